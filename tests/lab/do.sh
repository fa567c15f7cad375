# SPDX-License-Identifier: GPL-2.0
# The commands of `scripts/lab do` (sourced): what a test may do to the servers while it runs.

do_help() {
	cat <<-'END'
	kill S             SIGKILL to every Samba process of the server
	start S            start it again, return when port 445 is open
	restart S          both
	stop S             an orderly end (SIGTERM)
	freeze S, cont S   SIGSTOP, SIGCONT to all of them
	drop S, undrop S   packets dropped silently, both ways (ARP still answered)
	unplug S, plug S   the server's bridge port off and on (ARP dead too)
	oneway S           only the server's answers are dropped (undone by undrop)
	refuse S           only new connections are answered with a TCP reset (undone by undrop)
	reject S           every packet to port 445 answered with a TCP reset (undone by unreject)
	noshare S SHARE    take the share away, also from those connected; share S SHARE brings it back
	setpw S USER PW    another password
	relink NAME T,T    rewrite the link \\root\dfstest\NAME; unlink NAME removes it. NAME may be FOLDER:NAME, for the
	                   other namespaces: dfs2, dfs3, many, domain (\\eco.test\dfs), ns
	dns [S] show|add|set|del NAME TYPE DATA      a name of eco.test, on S or on both controllers: see names.py
	option S LINE      one more global smb.conf line, then reload; "option S" removes them
	sessions S, openfiles S, conns S     counts
	accepted S [reset] connections to port 445 that S accepted from the VM since the reset
	smbstatus S [-..]  smbstatus --json
	backing PLACE PATH sha256|size|ls|cat|md5|rm|text WORDS|random BYTES|verify
	                   the server's own folder behind a share: share1, t1-share2, t2-share2, dfstest ...
	tcpd S             the raw TCP server of the bench, on port 5001
	run S CMD ...      run a program of the Debian root as that server
	log S [LINES]      the server's log
	peer S MODE ...    a scripted peer instead of, or in front of, smbd: see peer.py
	ctl S COMMAND ...  command to that peer; unpeer S puts smbd back
	pcap start|stop|file    capture at the bridge
	ksmbd up|down      a server of another kind, with the same share1; also kill, start, drop, undrop, console
	heal               everything running, reachable, shared, unscripted as after "up"
	time               milliseconds, microsecond clock of the host
	END
}

lab_do() {
	local verb=${1:-help}
	shift
	declare -F "do_$verb" >/dev/null || die "no command $verb (lab do help)"
	case $verb in
	help | time | pcap | backing | relink | unlink | dns | ksmbd | heal) ;;
	*) is_server "${1:-}" ;;
	esac
	"do_$verb" "$@"
}

do_kill() { smbd_kill "$1"; }
do_start() {
	smbd_alive "$1" || smbd_start "$1"
	smbd_ready "$1" || die "$1 did not open its port: $(tail -3 "$STATE/$1/log/smbd.out")"
}
do_restart() { smbd_kill "$1"; smbd_start "$1"; smbd_ready "$1" || die "$1 did not come back"; }
do_stop() {
	local i
	kill -TERM "$(<"$STATE/$1/smbd.pid")" 2>/dev/null
	for i in {1..100}; do [[ -n $(smbd_pids "$1") ]] || return 0; sleep 0.01; done
	smbd_kill "$1"
}
signal_smbd() {
	local pids
	pids=$(smbd_pids "$1")
	[[ -n $pids ]] || die "$1 is not running"
	kill "-$2" $pids
}
do_freeze() { signal_smbd "$1" STOP; }
do_cont() { signal_smbd "$1" CONT; }

# One rule set per state, for both address families, loaded in one go (IPv6: TCP only, so that neighbour
# discovery goes on as ARP does).
filter() { # server, rules
	local s=$1; shift
	local rules
	rules=$(printf '%s\n' '*filter' ':INPUT ACCEPT' ':OUTPUT ACCEPT' "$@" COMMIT)
	nsenter --net="/run/netns/$LAB-$s" chroot "$ROOT" /bin/sh -c '
		printf "%s\n" "$1" | iptables-legacy-restore && printf "%s\n" "$1" |
		sed "s/-j DROP/-p tcp -j DROP/" | ip6tables-legacy-restore' sh "$rules"
}
do_drop() { filter "$1" '-A INPUT -i eth0 -j DROP' '-A OUTPUT -o eth0 -j DROP'; : >"$STATE/$1/dropped"; }
do_oneway() { filter "$1" '-A OUTPUT -o eth0 -j DROP'; : >"$STATE/$1/dropped"; }
do_refuse() {
	filter "$1" '-A INPUT -i eth0 -p tcp --dport 445 --syn -j REJECT --reject-with tcp-reset'
	: >"$STATE/$1/dropped"
}
do_undrop() { filter "$1"; rm -f "$STATE/$1/dropped"; }
do_reject() {
	filter "$1" '-A INPUT -i eth0 -p tcp --dport 445 -j REJECT --reject-with tcp-reset'
	: >"$STATE/$1/rejecting"
}
do_unreject() { filter "$1"; rm -f "$STATE/$1/rejecting"; }
do_unplug() { port_state "$1" 0; }
do_plug() { port_state "$1" 3; }

reload() { # server: read smb.conf again
	smbd_conf "$1" "$(smbd_port "$1")"
	run_on "$1" smbcontrol -s "/srv/$1/smb.conf" smbd reload-config
}
do_noshare() {
	mkdir -p "$STATE/$1/away"
	mv "$STATE/$1/shares/$2" "$STATE/$1/away/$2" || die "$1 has no share $2"
	reload "$1"
	run_on "$1" smbcontrol -s "/srv/$1/smb.conf" smbd close-share "$2"
}
do_share() { mv "$STATE/$1/away/$2" "$STATE/$1/shares/$2" || die "$2 of $1 was not taken away"; reload "$1"; }
do_option() {
	local s=$1; shift
	if (($#)); then echo "$*" >>"$STATE/$s/options"; else rm -f "$STATE/$s/options"; fi
	reload "$s"
}
do_setpw() {
	: >"$STATE/$1/passwords"
	set_password "$1" "$2" "$3" || die "$(cat "$STATE/$1/log/smbpasswd.out")"
}
# FOLDER:NAME, the folder being dfstest if none is named.
link_folder() { if [[ $1 == *:* ]]; then echo "${1%%:*}"; else echo dfstest; fi; }
do_relink() { set_link "$(link_folder "$1")" "${1#*:}" "${2//\//\\}"; }
do_unlink() { rm "$STATE/back/$(link_folder "$1")/${1#*:}"; }

do_dns() {
	local s servers=()
	for s in "${SERVERS[@]}"; do ! is_dc "$s" || servers+=("$s"); done
	((${#servers[@]})) || die "topology $TOPOLOGY has no DNS server (scripts/lab up domain)"
	if is_dc "$1"; then servers=("$1"); shift; elif [[ $1 == show ]]; then servers=(dc1); fi
	for s in "${servers[@]}"; do
		[[ $1 == show ]] || dc_changed "$s"
		run_on "$s" python3 -E /srv/names.py "$(server_address "$s")" "$@" || return
	done
}

do_smbstatus() { local s=$1; shift; run_on "$s" smbstatus -s "/srv/$s/smb.conf" --json "$@" 2>/dev/null; }
# It is all in one line.
do_sessions() { do_smbstatus "$1" -p | grep -o '"session_id"' | wc -l; }
do_openfiles() { do_smbstatus "$1" -L | grep -o '"share_file_id"' | wc -l; }
do_conns() {
	local pid local_ st f n=0
	pid=$(pids_on "$1" | head -1)
	[[ -n $pid ]] || { echo 0; return; }
	for f in tcp tcp6; do
		while read -r _ local_ _ st _; do [[ $local_ == *:01BD && $st == 01 ]] && n=$((n + 1)); done <"/proc/$pid/net/$f"
	done
	echo "$n"
}

# Answers to SYNs of the VM, counted in a table that `filter` leaves alone.
do_accepted() {
	local rules
	rules=$(printf '%s\n' '*mangle' ':OUTPUT ACCEPT' \
		'-A OUTPUT -d VM -p tcp --sport 445 --tcp-flags SYN,ACK SYN,ACK -j ACCEPT' COMMIT)
	nsenter --net="/run/netns/$LAB-$1" chroot "$ROOT" /bin/sh -c '
		if [ "$2" = reset ]; then
			echo "$1" | sed s/VM/10.123.0.20/ | iptables-legacy-restore -T mangle &&
			echo "$1" | sed s/VM/fd00:123::20/ | ip6tables-legacy-restore -T mangle
		else
			{ iptables-legacy -t mangle -nvxL OUTPUT; ip6tables-legacy -t mangle -nvxL OUTPUT; } |
				awk "/spt:445/ { n += \$1 } END { print n + 0 }"
		fi' sh "$rules" "${2:-}"
}

# A file, and the folder it is in, that every user may change.
open_to_all() { mkdir -p "${1%/*}"; : >>"$1"; chmod a+rw "$1"; chmod a+rwx "${1%/*}"; }

do_backing() {
	local p=$STATE/back/$1/${2:-} what=${3:-ls}
	shift 3 || shift $#
	case $what in
	sha256) sha256sum <"$p" | cut -d' ' -f1 ;;
	md5) md5sum <"$p" | cut -d' ' -f1 ;;
	size) stat -c %s "$p" ;;
	ls) ls -lA "$p" ;;
	cat) cat "$p" ;;
	rm) rm -rf "$p" ;;
	text) open_to_all "$p"; echo "$*" >"$p" ;;
	random) open_to_all "$p"; head -c "$1" /dev/urandom >"$p"; sha256sum <"$p" | cut -d' ' -f1 ;;
	verify) "$(test_program)" verify --file "$p" "$@" ;;
	*) die "backing: sha256, md5, size, ls, cat, rm, text, random or verify" ;;
	esac
}
test_program() { RSDFS_CACHE=$CACHE "$HERE/../../scripts/tools"; }
do_tcpd() {
	setsid nsenter --net="/run/netns/$LAB-$1" "$(test_program)" tcp serve </dev/null >"$STATE/$1/log/tcpd.out" 2>&1 &
}
do_run() { run_on "$@"; }
do_log() { tail -n "${2:-40}" "$STATE/$1/log/smbd.log" "$STATE/$1/log/smbd.out"; }
do_time() { echo "$((${EPOCHREALTIME/./} / 1000))"; }

# --- scripted peer: on port 445, with the server's smbd moved to port 4450 behind it
do_peer() {
	local s=$1 i; shift
	do_unpeer "$s" quiet
	echo 4450 >"$STATE/$s/port"
	smbd_conf "$s" 4450
	smbd_start "$s"
	smbd_ready "$s" 1162 || die "$s did not open port 4450"
	setsid nsenter --net="/run/netns/$LAB-$s" --mount="$STATE/$s/mnt" chroot "$ROOT" \
		python3 -S -E /srv/peer.py serve "/srv/$s/peer.sock" "$@" </dev/null >>"$STATE/$s/log/peer.out" 2>&1 &
	for i in {1..300}; do
		[[ -e $STATE/$s/peer.sock ]] && return
		sleep 0.01
	done
	die "the peer did not start: $(tail -3 "$STATE/$s/log/peer.out")"
}
do_ctl() { local s=$1; shift; run_on "$s" python3 -S -E /srv/peer.py ctl "/srv/$s/peer.sock" "$@"; }
do_unpeer() {
	local pids p comm
	for p in $(pids_on "$1"); do
		read -r comm 2>/dev/null <"/proc/$p/comm" || continue
		[[ $comm == python* ]] && kill -KILL "$p" 2>/dev/null
	done
	rm -f "$STATE/$1/peer.sock" "$STATE/$1/port"
	smbd_kill "$1"
	[[ ${2:-} == quiet ]] && return
	smbd_conf "$1" 445
	do_start "$1"
}

do_pcap() {
	local file=$STATE/lab.pcap i
	case ${1:-} in
	start)
		do_pcap stop
		rm -f "$file"
		setsid nsenter --net="/run/netns/$LAB-hub" --mount="$STATE/root/mnt" chroot "$ROOT" \
			tcpdump -i br0 --immediate-mode -B 16384 -s 0 -U -w /srv/lab.pcap -Z root </dev/null >"$STATE/pcap.out" 2>&1 &
		echo $! >"$STATE/pcap.pid"
		for i in {1..200}; do
			[[ -s $file ]] && return
			sleep 0.01
		done
		die "no capture: $(cat "$STATE/pcap.out")"
		;;
	stop)
		[[ -e $STATE/pcap.pid ]] || return 0
		i=$(<"$STATE/pcap.pid")
		rm -f "$STATE/pcap.pid"
		sleep 0.05
		kill -INT "$i" 2>/dev/null
		while alive "$i"; do sleep 0.01; done
		;;
	file) echo "$file" ;;
	show) shift; run_on root tshark -n -r /srv/lab.pcap "$@" 2>/dev/null ;;
	*) die "pcap start, stop, file or show TSHARK-ARGUMENTS" ;;
	esac
}

do_heal() {
	local s
	for s in "${SERVERS[@]}"; do heal_server "$s" & done
	ksmbd_down
	topology_link_all
	wait
}
heal_server() {
	local s=$1 state f
	state=$(server_state "$s")
	[[ $state == *dropped* || $state == *rejecting* ]] && { filter "$s"; rm -f "$STATE/$s/dropped" "$STATE/$s/rejecting"; }
	[[ $state == *unplugged* ]] && do_plug "$s"
	[[ $state == frozen* ]] && do_cont "$s"
	if [[ -e $STATE/$s/port ]]; then do_unpeer "$s"; fi
	if [[ -e $STATE/$s/options ]]; then do_option "$s"; fi
	if [[ -e $STATE/$s/passwords ]]; then
		rm "$STATE/$s/passwords"
		cp "$STATE/$s/smbpasswd" "$STATE/$s/private/smbpasswd"
	fi
	for f in "$STATE/$s/away"/*; do [[ -e $f ]] && do_share "$s" "${f##*/}"; done
	if is_dc "$s"; then dc_restore "$s"; fi
	[[ $state == stopped* ]] && do_start "$s"
	true
}
