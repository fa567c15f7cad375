# SPDX-License-Identifier: GPL-2.0
# The domain controllers of eco.test (sourced by scripts/lab): `samba` with a database that scripts/root provisions
# once, and that each lab copies. dc2 is a copy of dc1, not a partner that replicates: both answer everything (SMB,
# referrals, DNS, LDAP, KDC), and what a test changes on one the other does not see.

# The folder of the database; made if there is none yet.
dc_template() {
	RSDFS_CACHE=$CACHE "$HERE/../../scripts/root" domain >&2 && "$HERE/../../scripts/root" domain-folder
}

dc_files() {
	local d=$STATE/$1
	rm -rf "$d"/{private,state,cache,lock}
	mkdir -p "$d"/{cache,lock,bind-dns,cores}
	cp -a --sparse=always "${TEMPLATE:-$(dc_template)}"/{private,state} "$d/"
	install -d -m750 "$d/ntp"
	printf 'nameserver %s\nsearch eco.test\n' "$(server_address "$1")" >"$d/resolv.conf"
}

# The first lines of [global]. A scripted peer cannot sign, and a domain controller demands it if not told otherwise.
dc_role() { # server, port
	local d=/srv/$1
	cat <<-END
	netbios name = DC1
	workgroup = ECO
	realm = ECO.TEST
	server role = active directory domain controller
	server services = s3fs, rpc, ldap, cldap, kdc, winbindd, dns
	binddns dir = $d/bind-dns
	ntp signd socket directory = $d/ntp
	interfaces = lo eth0
	bind interfaces only = yes
	vfs objects = dfs_samba4 acl_xattr
	idmap_ldb:use rfc2307 = yes
	allow dns updates = nonsecure
	dns update command = /bin/true
	spn update command = /bin/true
	prefork children = 1
	tls enabled = no
	END
	[[ $2 == 445 ]] || echo "server signing = disabled"
}

dc_shares() {
	echo "sysvol ../$1/state/sysvol"
	echo "netlogon ../$1/state/sysvol/eco.test/scripts"
}

# Port 445 opens first: DNS, LDAP and Kerberos must answer too.
dc_ready() { listens "$1" 0035 && listens "$1" 0185 && listens "$1" 0058; }

dc_set_password() { # server, user, password
	dc_changed "$1"
	run_on "$1" samba-tool user setpassword "$2" --newpassword="$3" -s "/srv/$1/smb.conf" >"$STATE/$1/log/smbpasswd.out" 2>&1
}

# A controller whose database a test may have changed gets a new copy of it when the lab is healed.
dc_changed() { : >"$STATE/$1/changed"; }
dc_restore() {
	[[ -e $STATE/$1/changed ]] || return 0
	smbd_kill "$1"
	dc_files "$1"
	rm -f "$STATE/$1/changed"
	do_start "$1"
}
