# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# What the cases about locks share: processes that lock as they are told. Not a case itself (not executable).

declare -A TO=() FROM=() PID=()

# talker NAME: starts one.
talker() {
	local to from
	rm -f "$TMP/$1.to" "$TMP/$1.from"
	mkfifo "$TMP/$1.to" "$TMP/$1.from"
	(
		# Those who hold on to the others' ends would keep them from ending.
		for to in "${TO[@]}"; do exec {to}>&-; done
		exec rsdfs-test lock <"$TMP/$1.to" >"$TMP/$1.from"
	) &
	PID[$1]=$!
	exec {to}>"$TMP/$1.to" {from}<"$TMP/$1.from"
	TO[$1]=$to FROM[$1]=$from
}

# order NAME WORDS...: does not wait for the answer; answer NAME [SECONDS]: does.
order() { echo "${@:2}" >&"${TO[$1]}"; }
answer() {
	local text=none
	read -r -t "${2:-15}" text <&"${FROM[$1]}"
	echo "$text"
}

# tell NAME WORDS...: order and answer; says NAME WANTED WORDS...: a check of that.
tell() {
	order "$@"
	answer "$1"
}
says() { is "$1: ${*:3}" "$(tell "$1" "${@:3}")" "$2"; }

# end NAME [SIGNAL]: ends one.
end() {
	local to=${TO[$1]} from=${FROM[$1]}
	[ -z "${2:-}" ] || kill "-$2" "${PID[$1]}"
	exec {to}>&-
	wait "${PID[$1]}" 2>/dev/null
	exec {from}<&-
	unset "TO[$1]" "FROM[$1]"
}

# brl SERVER: the byte-range locks it holds: "start size type" lines.
brl() {
	host smbstatus "$1" -B | python3 -c '
import json, sys
for entry in json.load(sys.stdin).get("byte_range_locks", {}).values():
    for lock in entry.get("locks", []):
        print(lock["start"], lock["size"], lock["type"])' | sort -n
}

# counter NAME: of the mount at $M.
counter() { sed -n "s/^$1=//p" "/sys/fs/rsdfs/$(mountpoint -d "$M")/stats"; }
