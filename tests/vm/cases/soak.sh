# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# Programs that work on a mount and check what they did, and what is done to their servers meanwhile: for
# `make soak` (which sources this by `scripts/vm --root --run`) and the case soak-short. Each program goes round until
# it is told to stop; a round that fails ends it, and is a failed check.

. /opt/rsdfs/cases/common.sh
[ "$CASE" != bash ] || CASE=soak
SEED=${SEED:-1}
RANDOM=$SEED
D=$M/$CASE
STOP=$TMP/stop
ROOT=/opt/root
declare -A PROGRAMS=()

# The Debian root with its programs, which `scripts/vm --root` brings; what is mounted now is in it where it is here.
enter_root() {
	local d
	modprobe -a 9p 9pnet_virtio && mkdir -p $ROOT &&
		mount -t 9p -o ro,trans=virtio,version=9p2000.L,msize=524288,cache=loose root $ROOT || return
	for d in dev proc tmp mnt; do mount --rbind /$d $ROOT/$d || return; done
}
leave_root() { umount -R $ROOT; }
in_root() { chroot $ROOT env -i PATH=/usr/bin:/bin HOME=/tmp LC_ALL=C "$@"; }

cold() { echo 3 >/proc/sys/vm/drop_caches; }

# --- programs: each sets itself up with ROUND 0, then does a round; its folder is $1, the round $2.

# A clone is whole, what is built of it says what it should.
round_git() {
	local repository=$TMP/repository i
	if [ "$2" = 0 ]; then
		mkdir -p "$repository"
		for i in {1..40}; do
			printf 'int part%d(void) { return %d; }\n' $i $i >"$repository/part$i.c"
			head -c 20000 /dev/urandom | base64 >"$repository/data$i"
		done
		{
			for i in {1..3}; do echo "int part$i(void);"; done
			echo 'int main(void) { return part1() + part2() + part3(); }'
		} >"$repository/main.c"
		printf 'prog: main.o part1.o part2.o part3.o\n\tgcc-14 -o $@ $^\n%%.o: %%.c\n\tgcc-14 -c -o $@ $<\n' >"$repository/Makefile"
		in_root git -C "$repository" init -q &&
			in_root git -C "$repository" add . &&
			in_root git -C "$repository" -c user.name=soak -c user.email=soak@rsdfs.test commit -qm all
		return
	fi
	in_root git -c safe.directory='*' clone -q --no-local "$repository" "$1/clone" &&
		in_root git -C "$1/clone" -c safe.directory='*' fsck --strict &&
		[ -z "$(in_root git -C "$1/clone" -c safe.directory='*' status --porcelain)" ] &&
		in_root make -s -C "$1/clone" prog || return
	in_root "$1/clone/prog"
	[ $? = 6 ] && rm -r "$1/clone"
}

# Two processes add rows by transactions: none is lost, none there twice, the database is whole.
round_sqlite() { # folder, round, journal mode
	local db=$1/db rows other
	local sql=(in_root sqlite3 -batch -bail -cmd '.timeout 60000')
	if [ "$2" = 0 ]; then
		"${sql[@]}" "$db" "PRAGMA journal_mode=$3; CREATE TABLE t(n INTEGER PRIMARY KEY, x BLOB);"
		return
	fi
	transactions | "${sql[@]}" "$db" &
	other=$!
	transactions | "${sql[@]}" "$db" || { wait $other; return 1; }
	wait $other || return
	rows=$("${sql[@]}" "$db" "PRAGMA integrity_check; SELECT count(*), max(n) FROM t;") || return
	[ "$rows" = "ok"$'\n'"$(($2 * 200))|$(($2 * 200))" ] || { echo "$rows"; return 1; }
}
transactions() {
	local i
	echo "PRAGMA synchronous=FULL;"
	for i in {1..5}; do
		echo "BEGIN IMMEDIATE; WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM c WHERE i<20) INSERT INTO t(x) SELECT randomblob(300) FROM c; COMMIT;"
	done
}
round_journal() { round_sqlite "$1" "$2" DELETE; }
round_wal() { round_sqlite "$1" "$2" WAL; }

# A tree that changes a little, mirrored and compared by checksums.
round_rsync() {
	local from=$TMP/tree left i
	mkdir -p "$from/sub"
	for i in {1..30}; do
		[ "$2" != 0 ] && [ $((i % 7)) != $(($2 % 7)) ] || head -c $((i * 5000)) /dev/urandom >"$from/sub/f$i"
	done
	[ "$2" != 0 ] || return 0
	in_root rsync -rc --delete "$from/" "$1/mirror/" || return
	left=$(in_root rsync -rcni --delete "$from/" "$1/mirror/") || return
	[ -z "$left" ] || { echo "$left"; return 1; }
}

round_fio() {
	[ "$2" != 0 ] || return 0
	fio --name=verify --directory="$1" --rw=randwrite --bs=4k-64k --size=8m --fsync=32 --randseed=$((SEED + $2)) \
		--verify=crc32c --verify_fatal=1 --do_verify=1 --verify_backlog=64 --output-format=terse >/dev/null
}

round_fsx() {
	local said
	[ "$2" != 0 ] || return 0
	said=$(rsdfs-test fsx --file "$1/f" --ops 200 --seed $((SEED + $2))) || { echo "$said"; return 1; }
	same_there "$1/f" "$(json sha256 "$said")"
}

# Eight processes lock counters and count: nobody meets anybody, no count is lost.
round_torture() {
	[ "$2" = 0 ] || rsdfs-test locktorture --file "$1/f" --seconds 4
}

# A copy is what it was made of, read cold, and at the server.
round_copy() {
	if [ "$2" = 0 ]; then
		head -c 6000000 /dev/urandom >"$TMP/original"
		return
	fi
	cp "$TMP/original" "$1/copy" || return
	cold
	same_there "$1/copy" "$(rsdfs-test hash "$TMP/original")"
}
same_there() { # file, hash
	local here there
	here=$(rsdfs-test hash "$1") || return
	there=$(host backing share1 "${1#"$M"/}" sha256)
	[ "$here" = "$2" ] && [ "$there" = "$2" ] || { echo "$1: $here here, $there at the server, instead of $2"; return 1; }
}

# go_round PROGRAM: until it is told to stop; the rounds that went well.
go_round() {
	local n=0
	mkdir -p "$D/$1"
	while "round_$1" "$D/$1" $n >"$TMP/$1.log" 2>&1; do
		n=$((n + 1))
		[ ! -e "$STOP" ] || { echo "$n" >"$TMP/$1.rounds"; return 0; }
	done
	echo "round $n failed" >>"$TMP/$1.log"
	return 1
}

start_programs() {
	local name
	rm -f "$STOP"
	for name; do
		go_round "$name" &
		PROGRAMS[$name]=$!
	done
}

# all_run: none has ended before its time.
all_run() {
	local name
	for name in "${!PROGRAMS[@]}"; do
		kill -0 "${PROGRAMS[$name]}" 2>/dev/null || return 1
	done
}

stop_programs() {
	local name
	: >"$STOP"
	for name in "${!PROGRAMS[@]}"; do
		if wait "${PROGRAMS[$name]}"; then ok "$name: $(($(cat "$TMP/$name.rounds") - 1)) rounds"; else
			not_ok "$name"
			tail -n 20 "$TMP/$name.log" | sed 's/^/#   /'
		fi
	done
	PROGRAMS=()
}

# --- what is done to them

# kill_servers SECONDS [FROM TO]: the active server is killed every FROM to TO seconds, at least twice, and is back
# before the next.
kill_servers() {
	local until=$((SECONDS + $1)) from=${2:-5} to=${3:-20} n=0 server
	while { [ $SECONDS -lt $until ] || [ $n -lt 2 ]; } && all_run; do
		sleep $((from + RANDOM % (to - from + 1)))
		server=$(active | head -n1)
		[ -n "$server" ] || { diag "nobody serves"; sleep 1; continue; }
		diag "$SECONDS s: kill $server"
		host kill "$server"
		sleep 2
		host start "$server"
		n=$((n + 1))
	done
	KILLED=$n
}

# cut_connections N: all TCP connections to servers are ended, N times.
cut_connections() {
	local n=0
	while [ $n -lt "$1" ] && all_run; do
		sleep 0.$((RANDOM % 9 + 1))
		ss -KHtn state established dport = :445 >"$TMP/cut" 2>&1
		[ ! -s "$TMP/cut" ] || n=$((n + 1))
	done
	CUT=$n
}

no_files_open() { [ "$(host openfiles t1)$(host openfiles t2)" = 00 ]; }
the_end() {
	diag "$(grep "$CASE\|link1" /proc/fs/rsdfs/mounts)"
	rm -rf "$D"
	check "umount" umount "$M"
	check "nothing is open at any server" wait_for 10 no_files_open
}

soak() {
	fresh_dir share1
	need_mount link1
	check "the Debian root is there" enter_root || finish
	start_programs git journal wal rsync fio
	kill_servers $((MINUTES * 60))
	check "servers killed: $KILLED" test "$KILLED" -ge 2
	stop_programs
	leave_root
	start_programs fsx copy torture
	cut_connections "$KILLS"
	is "connections cut" "$CUT" "$KILLS"
	stop_programs
	the_end
	finish
}
[ "$CASE" != soak ] || soak
