# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# For the cases of tests/vm/cases: `. /opt/rsdfs/lib.sh`. Checks print TAP;
# times are milliseconds; mount points made by mount_rsdfs and mount_cifs are
# below $MNT. A case ends with `finish`, or exits 4 to be skipped.

MNT=${MNT:-/mnt}
USER_OPTS=${USER_OPTS:-username=smbu,password=pw123}
CHECKS=0 BAD=0

# ok NAME / not_ok NAME: one check.
ok() { CHECKS=$((CHECKS + 1)); echo "ok $CHECKS - $*"; }
not_ok() { CHECKS=$((CHECKS + 1)) BAD=$((BAD + 1)); echo "not ok $CHECKS - $*"; }

# check NAME COMMAND...: ok if COMMAND succeeds; its output is shown if not.
check() {
	local name=$1 text rc
	shift
	text=$("$@" 2>&1)
	rc=$?
	if [ $rc = 0 ]; then ok "$name"; else
		not_ok "$name"
		echo "# $* -> $rc"
		[ -z "$text" ] || sed 's/^/#   /' <<<"$text"
	fi
	return $rc
}

# check_fails NAME PATTERN COMMAND...: ok if COMMAND fails and its output matches.
check_fails() {
	local name=$1 pattern=$2 text rc
	shift 2
	text=$("$@" 2>&1)
	rc=$?
	if [ $rc != 0 ] && grep -qE -- "$pattern" <<<"$text"; then ok "$name"; else
		not_ok "$name"
		echo "# $* -> $rc, wanted a failure with: $pattern"
		sed 's/^/#   /' <<<"$text"
	fi
}

# is NAME GOT WANTED.
is() {
	if [ "$2" = "$3" ]; then ok "$1"; else
		not_ok "$1"
		echo "# got: $2"
		echo "# wanted: $3"
	fi
}

# at_most NAME GOT LIMIT: numbers.
at_most() {
	if [ "$2" -le "$3" ]; then ok "$1 ($2 <= $3)"; else not_ok "$1 ($2 > $3)"; fi
}

plan() { echo "1..$1"; }
diag() { echo "# $*"; }
skip() { echo "# skipped: $*"; exit 4; }
finish() { [ $BAD = 0 ] || exit 1; exit 0; }

# now: milliseconds of a clock that only goes forward.
now() {
	local up
	read -r up _ </proc/uptime
	up=${up/./}
	echo $((10#$up * 10))
}

# restart_vm FILE: starts the VM anew (a case that does has a line "# restarts"). The case begins again, with RESUMED
# naming a copy of FILE. If a check has failed, the case is over instead.
restart_vm() {
	[ $BAD = 0 ] || finish
	{
		echo "resume $(basename "$0") $(stat -c %s "$1")"
		cat "$1"
	} | dd of=/dev/vdc bs=64k iflag=fullblock conv=notrunc,fsync status=none
	sleep 0.3
	echo b >/proc/sysrq-trigger
	sleep 60
}

# took COMMAND...: runs it, its milliseconds into MS; its status is that of the command.
took() {
	local t0=${EPOCHREALTIME/./} rc
	"$@"
	rc=$?
	MS=$(((${EPOCHREALTIME/./} - t0) / 1000))
	return $rc
}

# wait_for SECONDS COMMAND...: until COMMAND succeeds.
wait_for() {
	local until=$((SECONDS + $1))
	shift
	until "$@"; do
		[ $SECONDS -lt $until ] || return 1
		sleep 0.05
	done
}

# mount_rsdfs DEVICE [OPTIONS [NAME]]: mounts at $MNT/NAME (default: m).
# rsdfs has no helper program and needs none.
mount_rsdfs() { mount_at rsdfs "$@"; }
mount_cifs() { mount_at cifs "$@"; }
mount_at() {
	local at=$MNT/${4:-m}
	mkdir -p "$at"
	mount -t "$1" -o "$USER_OPTS${3:+,$3}" "$2" "$at"
}
