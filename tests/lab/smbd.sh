# SPDX-License-Identifier: GPL-2.0
# One real smbd per server (sourced by scripts/lab). Each runs in its server's network namespace and in a mount
# namespace of its own, kept at $STATE/$s/mnt, where the Debian root has the lab's folders at /srv.

smbd_prepare() {
	local s a first=${SERVERS[0]}
	{
		echo "127.0.0.1 localhost"
		echo "::1 localhost"
		for s in "${SERVERS[@]}"; do
			for a in 10.123.0. fd00:123::; do
				echo "$a$(server_number "$s") $(server_name "$s") $(server_name "$s").rsdfs.test $(server_name "$s").eco.test"
			done
		done
	} >"$STATE/hosts"
	{ cat "$ROOT/etc/passwd"; echo "smbu:x:2001:2001::/:/bin/false"; echo "smbu2:x:2002:2001::/:/bin/false"; } >"$STATE/passwd"
	{ cat "$ROOT/etc/group"; echo "smbu:x:2001:"; } >"$STATE/group"
	cp "$HERE"/*.py "$STATE/"
	for s in "${SERVERS[@]}"; do
		mkdir -p "$STATE/$s"/{lock,state,cache,private,pid,ncalrpc,log,shares}
		smbd_names "$s"
		! is_dc "$s" || dc_files "$s"
		smbd_shares "$s"
		smbd_conf "$s" 445
		: >"$STATE/$s/mnt"
		smbd_namespace "$s" &
	done
	wait
	set_password "$first" smbu pw123
	set_password "$first" smbu2 pw123
	for s in "${SERVERS[@]}"; do
		[[ $s == "$first" ]] || is_dc "$s" || cp "$STATE/$first/private/smbpasswd" "$STATE/$s/private/smbpasswd"
	done
	set_password t1 smbu2 another
	for s in "${SERVERS[@]}"; do is_dc "$s" || cp "$STATE/$s/private/smbpasswd" "$STATE/$s/smbpasswd"; done
}

# The names a server knows: everybody's, and the domain's as its own, so that it answers for \\\\eco.test\\...
smbd_names() {
	{
		cat "$STATE/hosts"
		[[ $TOPOLOGY != domain ]] || echo "$(server_address "$1") eco.test eco"
	} >"$STATE/$1/hosts"
}

smbd_shares() {
	local name folder more
	topology_shares "$1" | while read -r name folder more; do
		printf '[%s]\npath = /srv/back/%s\nread only = no\n%s\n' "$name" "$folder" "${more//|/$'\n'}" >"$STATE/$1/shares/$name"
	done
}

smbd_role() { # server, folder
	cat <<-END
	netbios name = $(server_name "$1")
	workgroup = RSDFS
	server role = standalone server
	security = user
	passdb backend = smbpasswd:$2/private/smbpasswd
	map to guest = $([[ $1 == t3 ]] && echo "Bad User" || echo Never)
	END
}

smbd_conf() { # server, port
	local s=$1 d=/srv/$1
	{
		echo "[global]"
		if is_dc "$s"; then dc_role "$s" "$2"; else smbd_role "$s" "$d"; fi
		cat <<-END
		lock directory = $d/lock
		state directory = $d/state
		cache directory = $d/cache
		private dir = $d/private
		pid directory = $d/pid
		ncalrpc dir = $d/ncalrpc
		log file = $d/log/smbd.log
		max log size = 0
		log level = ${RSDFS_SMBD_LOG:-1}
		debug hires timestamp = yes
		smb ports = $2
		disable netbios = yes
		disable spoolss = yes
		load printers = no
		printcap name = /dev/null
		host msdfs = yes
		server min protocol = SMB2_02
		smb3 unix extensions = yes
		kernel oplocks = no
		create mask = 0666
		directory mask = 0777
		force create mode = 0666
		force directory mode = 0777
		END
		cat "$STATE/$s/options" 2>/dev/null || true
		cat "$STATE/$s/shares"/*
	} >"$STATE/$s/smb.conf"
}

# The port of the real smbd: another one behind a scripted peer.
smbd_port() { cat "$STATE/$1/port" 2>/dev/null || echo 445; }

smbd_namespace() {
	local also='' f
	[[ ! -e $STATE/$1/resolv.conf ]] || also=resolv.conf
	unshare --mount="$STATE/$1/mnt" --propagation private bash -ec "
		mount --rbind '$STATE' '$ROOT/srv'
		mount --rbind /dev '$ROOT/dev'
		mount -t proc proc '$ROOT/proc'
		mount -t tmpfs -o mode=755 tmpfs '$ROOT/run'
		mkdir '$ROOT/run/samba'
		for f in passwd group; do mount --bind '$STATE/'\$f '$ROOT/etc/'\$f; done
		for f in hosts $also; do mount --bind '$STATE/$1/'\$f '$ROOT/etc/'\$f; done"
}

# Run a program of the Debian root as that server would.
run_on() {
	local s=$1; shift
	nsenter --net="/run/netns/$LAB-$s" --mount="$STATE/$s/mnt" chroot "$ROOT" "$@"
}

set_password() { # server, user, password
	! is_dc "$1" || { dc_set_password "$@"; return; }
	printf '%s\n%s\n' "$3" "$3" | run_on "$1" smbpasswd -c "/srv/$1/smb.conf" -s -a "$2" >"$STATE/$1/log/smbpasswd.out" 2>&1
}

# Processes of a server: all, or only Samba's (not the scripted peer, nor the TCP server of the bench).
pids_on() { ip netns pids "$LAB-$1" 2>/dev/null; }
smbd_pids() {
	local p comm
	for p in $(pids_on "$1"); do
		read -r comm 2>/dev/null <"/proc/$p/comm" || continue
		[[ $comm == python* || $comm == rsdfs-test ]] || echo "$p"
	done
}

# A killed daemon may stay a zombie for seconds: that is not alive.
alive() {
	local stat
	[[ -n ${1:-} ]] && stat=$(cat "/proc/$1/stat" 2>/dev/null) && [[ ${stat##*) } != Z* ]]
}
smbd_alive() { alive "$(cat "$STATE/$1/smbd.pid" 2>/dev/null)"; }

smbd_start() {
	local program=smbd
	! is_dc "$1" || program=samba
	setsid nsenter --net="/run/netns/$LAB-$1" --mount="$STATE/$1/mnt" chroot "$ROOT" \
		$program -F --no-process-group -s "/srv/$1/smb.conf" </dev/null >>"$STATE/$1/log/smbd.out" 2>&1 &
	echo $! >"$STATE/$1/smbd.pid"
}

smbd_kill() {
	local pids i
	for i in {1..100}; do
		pids=$(smbd_pids "$1")
		[[ -n $pids ]] || return 0
		kill -KILL $pids 2>/dev/null
		((i < 2)) || sleep 0.005
	done
	die "$1 does not die"
}

# True when a socket in the namespace of the process listens on the port (hexadecimal).
listens() {
	local local_ rest st f
	for f in tcp6 tcp; do
		while read -r _ local_ _ st rest; do
			[[ $st == 0A && $local_ == *:$2 ]] && return 0
		done 2>/dev/null <"/proc/$1/net/$f"
	done
	return 1
}

smbd_ready() { # server, port in hexadecimal (default 445)
	local i pid
	for i in {1..500}; do
		pid=$(<"$STATE/$1/smbd.pid")
		listens "$pid" "${2:-01BD}" && { ! is_dc "$1" || dc_ready "$pid"; } && return 0
		alive "$pid" || return 1
		sleep 0.01
	done
	return 1
}

server_state() {
	local state=stopped
	if smbd_alive "$1"; then
		state=up
		grep -q '^State:.*stopped' "/proc/$(<"$STATE/$1/smbd.pid")/status" && state=frozen
	fi
	port_is_off "$1" && state+=,unplugged
	[[ -e $STATE/$1/dropped ]] && state+=,dropped
	[[ -e $STATE/$1/peer.sock ]] && state+=,peer
	[[ -e $STATE/$1/rejecting ]] && state+=,rejecting
	echo "$state"
}
