# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# What the cases share: links to mount, the verifying writer, who serves a mount. Not a case itself (not executable).
# FSTYPE=cifs runs the logic of a case against the kernel's own client, to check the case; BEHIND=NAME mounts that
# link instead of the one a case names.

. /opt/rsdfs/lib.sh
FSTYPE=${FSTYPE:-rsdfs}
CASE=${0##*/}
M=$MNT/m
TMP=$(mktemp -d)
trap 'rm -rf "$TMP"' EXIT
declare -A ADDRESS=([dc1]=10.123.0.5 [dc2]=10.123.0.6 [root]=10.123.0.10 [t1]=10.123.0.11 [t2]=10.123.0.12 [t3]=10.123.0.13)

# mount_dev DEVICE [OPTIONS [NAME]], mount_link LINK [OPTIONS [NAME]].
mount_dev() { mount_at "$FSTYPE" "$1" "${2:-}" "${3:-m}"; }
mount_link() { mount_dev "//root/dfstest/${BEHIND:-$1}" "${2:-}" "${3:-m}"; }

# need_mount LINK [OPTIONS]: a check; without the mount the case is over.
need_mount() {
	check "mount $1${2:+ with $2}" mount_link "$@" || finish
}

# fresh_dir PLACE: an empty folder named after the case at PLACE on the server; prints nothing.
fresh_dir() {
	host backing "$1" "$CASE" rm
	host backing "$1" "$CASE/.keep" text keep
}

# json FIELD TEXT: the number (without decimals) or word of a field.
json() { sed -n "s/.*\"$1\":\"\{0,1\}\([^,\"}.]*\).*/\1/p" <<<"$2" | head -n1; }

# active: the targets (t1, t2, t3) that this machine holds an SMB connection to.
active() {
	ss -Htn state established dport = :445 | awk '{print $NF}' |
		sed -n 's/.*[.:]1\([123]\)\]*:445$/t\1/p' | sort -u
}

# other TARGET: the other one of t1 and t2.
other() { if [ "$1" = t1 ]; then echo t2; else echo t1; fi; }

# start_writer FILE [ARGS]: the writer in the background.
start_writer() {
	local file=$1
	shift
	WRITER_LOG=$TMP/writer.log
	rsdfs-test writer --file "$file" --until-signal "$@" --log "$WRITER_LOG" >"$TMP/writer.json" 2>/dev/null &
	WRITER=$!
}

# stop_writer: ends it; its summary into SUMMARY.
stop_writer() {
	kill -TERM "$WRITER" 2>/dev/null
	wait "$WRITER"
	SUMMARY=$(cat "$TMP/writer.json")
	diag "writer: $SUMMARY"
}

# size_of PLACE PATH: bytes of a file in the server's folder, 0 if there is none.
size_of() { host backing "$1" "$2" size 2>/dev/null || echo 0; }

is_larger() { [ "$(size_of "$1" "$2")" -gt "$3" ]; }

# grows PLACE PATH [SECONDS]: within that time five more records reach the server.
grows() {
	local size
	size=$(size_of "$1" "$2")
	wait_for "${3:-20}" is_larger "$1" "$2" $((size + 2560))
}

# sound FILE PLACE PATH: every record once, and the server's folder holds the same bytes.
sound() {
	local found
	found=$(rsdfs-test verify --file "$1" --records "$(json records "$SUMMARY")")
	check "every record there once" test $? = 0 || diag "$found"
	same "hash on the server equal" "$(host backing "$2" "$3" sha256)" "$(json sha256 "$found")"
}

# same NAME GOT WANTED: as `is`, and there must be something.
same() {
	if [ -n "$2" ]; then is "$@"; else not_ok "$1: nothing to compare"; fi
}

# cut kill|drop|freeze TARGET and mend the same.
cut() { host "$1" "$2"; }
mend() {
	case $1 in
	kill) host start "$2" ;;
	drop) host undrop "$2" ;;
	freeze) host cont "$2" ;;
	reject) host unreject "$2" ;;
	esac
}

# hold_files: a process that holds files open, for `fd`. (Whenever the shell writes through a descriptor of its own, it
# closes a duplicate, which writes back.)
hold_files() {
	mkfifo "$TMP/fd.in" "$TMP/fd.out"
	python3 -S -E -c 'import errno, os, sys
files, modes = {}, {"r": os.O_RDONLY, "rw": os.O_RDWR, "w": os.O_WRONLY, "new": os.O_RDWR | os.O_CREAT}
def do(what, name, *words):
    if what == "open": files[name] = os.open(words[1], modes[words[0]], 0o444)
    elif what == "read": return os.pread(files[name], 4096, 0).decode().splitlines()[0]
    elif what == "write": os.pwrite(files[name], (words[0] + "\n").encode(), 0)
    elif what == "sync": os.fsync(files[name])
    elif what == "stat": os.fstat(files[name])
    elif what == "close": os.close(files.pop(name))
    return "OK"
while True:
    words = open(sys.argv[1]).read().split()
    if not words: break
    try: answer = do(*words)
    except OSError as e: answer = errno.errorcode[e.errno]
    with open(sys.argv[2], "w") as out: print(answer, file=out)' "$TMP/fd.in" "$TMP/fd.out" &
	HOLDER=$!
}

# fd open NAME r|rw|w|new PATH (what is new is read-only), fd write NAME WORD, fd read|sync|stat|close NAME: at its
# beginning; OK, the first line that was read, or the errno. drop_files: closes all.
fd() {
	echo "$*" >"$TMP/fd.in"
	cat "$TMP/fd.out"
}
drop_files() {
	: >"$TMP/fd.in"
	wait "$HOLDER"
	rm "$TMP/fd.in" "$TMP/fd.out"
}

# forget: an empty referral cache, so that a link's first target is the first again.
forget() {
	[ ! -w /proc/fs/rsdfs/dfscache ] || echo flush >/proc/fs/rsdfs/dfscache
	[ ! -w /proc/fs/cifs/dfscache ] || echo 0 >/proc/fs/cifs/dfscache
}

# errno_of WORDS: one system call: its errno into ERRNO, milliseconds into MS.
errno_of() {
	read -r ERRNO MS < <(rsdfs-test errno -- "$@")
}

# try_mount DEVICE OPTIONS: through fsopen, not attached: ERRNO, MS and MESSAGES.
try_mount() {
	local answer
	answer=$(rsdfs-test mountctx -t "$FSTYPE" -o "$2" "$1")
	ERRNO=$(json errno "$answer")
	MS=$(json ms "$answer")
	MESSAGES=${answer#*\"messages\":}
	MESSAGES=${MESSAGES%%],*}
}

# trace: records the tracepoints from here on. events NAME: what was recorded, without who and when. switches: the moves
# between targets, as "from to reason xTIMES". cached COUNTER: of the referral cache.
T=/sys/kernel/tracing
trace() {
	[ -e $T/trace ] || mount -t tracefs tracefs $T
	trap 'echo 0 >$T/events/rsdfs/enable; rm -rf "$TMP"' EXIT
	: >$T/trace
	echo 1 >$T/events/rsdfs/enable
}
events() { sed -n "s/^.*: $1: //p" $T/trace; }
switches() {
	events target_switch | sed 's|.* old=//target\(.\)/.* new=//target\(.\)/.* reason=\([a-z]*\) .*|t\1 t\2 \3|' |
		sort | uniq -c | awk '{ print $2, $3, $4, "x" $1 }' | paste -sd,
}
cached() { sed -n "s/.* $1=\([0-9]*\).*/\1/p" /proc/fs/rsdfs/dfscache_stats; }

# use_dns DC...: the controllers to ask for names, in this order; the domain's names may be short. What /etc/hosts
# has goes before. Undone after the case.
use_dns() {
	local dc
	{
		for dc; do echo "nameserver ${ADDRESS[$dc]}"; done
		printf 'search eco.test\noptions timeout:1 attempts:1\n'
	} >/etc/resolv.conf
}

# is_active TARGET: it is the only one that serves.
is_active() { [ "$(active)" = "$1" ]; }

forget
