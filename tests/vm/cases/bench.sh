# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# The guest's half of scripts/bench: rsdfs and cifs.ko in turn in one VM, medians of $ROUNDS. Not a case.

. /opt/rsdfs/cases/common.sh
CASE=bench
ROUNDS=${ROUNDS:-5} MB=${MB:-64} FILES=${FILES:-500}
RESULTS=$TMP/results

# note FS ROW VALUE
note() { echo "$1 $2 $3" >>"$RESULTS"; }
number() { sed -n "s/.*\"$1\":\([0-9.]*\).*/\1/p" <<<"$2"; }

# answers ADDRESS: its SMB port takes connections from here.
answers() { timeout 2 bash -c ": </dev/tcp/$1/445" 2>/dev/null; }

# settle: the lab as it was, and every address of it in reach: what the round before did to the servers is
# undone, and what it did to neighbours and routes of this machine is over.
settle() {
	local n
	host heal
	for n in 0 1 2 3; do
		wait_for 30 answers 10.123.0.1$n && wait_for 30 answers fd00:123::1$n ||
			diag "server 1$n is out of reach"
	done
}

# mounted FS [OPTIONS]: mounts link1; if that fails, says what the kernel said and tries again, twice.
mounted() {
	local try
	for try in 1 2 3; do
		settle
		mount_at "$1" //root/dfstest/link1 "${2:-}" && return
		diag "$1: mount $try failed"
		dmesg | tail -n 8 | sed 's/^/#   /'
		sleep 5
		forget
	done
	return 1
}

throughput() { # FS
	local fs=$1 d=$M/$CASE out phase
	out=$(rsdfs-test seqwrite --cold --file "$d/seq" --mb "$MB") && note "$fs" seqwrite "$(number mb_per_s "$out")"
	umount "$M" && mounted "$fs" || return
	out=$(rsdfs-test seqread --cold --file "$d/seq" --mb "$MB") && note "$fs" seqread "$(number mb_per_s "$out")"
	out=$(rsdfs-test randread --cold --file "$d/seq" --secs 3) && note "$fs" randread "$(number iops "$out")"
	out=$(rsdfs-test files --cold --dir "$d" --count "$FILES") || return
	for phase in create stat readdir rename unlink; do
		note "$fs" "$phase" "$(number ${phase}_ms "$out")"
	done
	rm -f "$d/seq"
}

mount_time() { # FS: namespace and link both cold
	settle
	forget
	took mount_at "$1" //root/dfstest/link1 || return
	note "$1" mount "$MS"
	forget
}

stall() { # FS HOW [ROW [SECONDS]]: with the mount that stands
	local fs=$1 how=$2 row=${3:-$2} from
	start_writer "$M/$CASE/w" --stall-ms 50
	grows share1 $CASE/w
	sleep 1
	from=$(active)
	cut "$how" "$from"
	grows share1 $CASE/w "${4:-60}"
	stop_writer >/dev/null
	note "$fs" "$row" "$(number longest_stall_ms "$SUMMARY")"
	note "$fs" "$row-errors" "$(number errors "$SUMMARY")"
	mend "$how" "$from"
	rm -f "$M/$CASE/w"
}

# round FS FAILOVER-OPTIONS
round() {
	mount_time "$1" || { diag "$1: the mount failed"; return; }
	throughput "$1"
	umount "$M"
	mounted "$1" "$2" || return
	stall "$1" kill
	settle
	stall "$1" drop
	umount "$M" || umount -l "$M"
}

# cache_costs: lookups and memory of the referral cache at three sizes, from its own counters.
cache_costs() {
	local n how cache=/proc/fs/rsdfs/dfscache before after slab
	for n in 10 1000 64000; do
		echo flush >$cache
		slab=$(awk '/^(Slab|VmallocUsed):/ { kb += $2 } END { print kb }' /proc/meminfo)
		awk -v n=$n 'BEGIN {
			print "rsdfs-dfscache 1"
			for (i = 0; i < n; i++) {
				printf("entry path=//bench.example.com/dfs/projects%d/link%d kind=link flags=0x2 ttl=600 account=*\n", i % 100, i)
				printf("target set=0 path=//server%d.example.com/share%d\n", i % 50, i)
				printf("target set=0 path=//other%d.example.com/share%d\n", i % 50, i)
			}
			print "end entries=" n
		}' | dd of=/proc/fs/rsdfs/dfscache_export bs=64k iflag=fullblock status=none || return
		slab=$(($(awk '/^(Slab|VmallocUsed):/ { kb += $2 } END { print kb }' /proc/meminfo) - slab))
		for how in hot cold; do
			echo "probe $how 2000" >$cache # the code itself is warm
			before=$(cat ${cache}_stats)
			echo "probe $how 20000" >$cache
			after=$(cat ${cache}_stats)
			note rsdfs "lookup-$how-$n" $((($(counter lookup_ns "$after") - $(counter lookup_ns "$before")) / 20000))
		done
		note rsdfs "bytes-$n" $((($(counter bytes "$after") + $(counter table_bytes "$after")) / n))
		note rsdfs "slab-$n" $((slab * 1024 / n))
	done
	echo flush >$cache
}
counter() { sed -n "s/.* $1=\([0-9]*\).*/\1/p" <<<"$2"; }

median() { # FS ROW
	awk -v fs="$1" -v row="$2" '$1 == fs && $2 == row { print $3 }' "$RESULTS" | sort -n |
		awk '{ v[NR] = $1 } END { if (NR) print v[int((NR + 1) / 2)] }'
}

# row TEXT ROW UNIT more|less [NOTE]: more or less of it is better; the ratio above 1 is in rsdfs's favour.
row() {
	local ours theirs ratio=-
	ours=$(median rsdfs "$2") theirs=$(median cifs "$2")
	[ -z "$ours" ] || [ -z "$theirs" ] || ratio=$(awk -v a="$ours" -v b="$theirs" -v w="$4" 'BEGIN {
		if (w == "less") { t = a; a = b; b = t }
		if (b > 0) printf("%.2f", a / b); else printf("-") }')
	printf '%-38s %12s %12s  %-6s %6s  %s\n' "$1" "${ours:--}" "${theirs:--}" "$3" "$ratio" "${5:-}"
}

modprobe cifs
fresh_dir share1
: >"$RESULTS"
for ((r = 1; r <= ROUNDS; r++)); do
	diag "round $r of $ROUNDS"
	for direction in send recv; do
		out=$(rsdfs-test tcp $direction 10.123.0.11 --mb "$MB") && note tcp $direction "$(number mb_per_s "$out")"
	done
	# Who comes second finds the emulator warmer: they take turns at that.
	if ((r % 2)); then
		round rsdfs ''
		round cifs echo_interval=1
	else
		round cifs echo_interval=1
		round rsdfs ''
	fi
done
cache_costs
if [ -z "${QUICK:-}" ]; then
	diag "cifs.ko with its defaults, once (up to four minutes)"
	# Its writer hangs for minutes, which is no trouble of ours.
	echo 0 >/proc/sys/kernel/hung_task_timeout_secs
	mounted cifs && { stall cifs kill kill-default 240; settle; stall cifs drop drop-default 240; umount -l "$M"; }
fi
echo
printf '%-38s %12s %12s  %-6s %6s\n' "median of $ROUNDS, higher ratio is better" rsdfs cifs.ko '' ratio
row "sequential read, 1 MiB, cold" seqread MB/s more "raw TCP $(median tcp recv) MB/s"
row "sequential write, 1 MiB, fsync" seqwrite MB/s more "raw TCP $(median tcp send) MB/s"
row "random read, 4 KiB, cold" randread 1/s more
row "create $FILES files" create ms less
row "stat $FILES files, cold" stat ms less
row "readdir of $FILES files, cold" readdir ms less
row "rename $FILES files" rename ms less
row "unlink $FILES files" unlink ms less
row "DFS mount, nothing cached" mount ms less
row "failover stall, kill" kill ms less "cifs.ko: echo_interval=1"
row "failover stall, drop" drop ms less "cifs.ko: echo_interval=1"
row "errors at kill" kill-errors '' less
row "errors at drop" drop-errors '' less
for n in 10 1000 64000; do
	row "cache lookup, $n entries, hot" "lookup-hot-$n" ns less
	row "cache lookup, $n entries, cold" "lookup-cold-$n" ns less \
		"$(median rsdfs "bytes-$n") bytes per entry; slab and vmalloc grew by $(median rsdfs "slab-$n")"
done
[ -n "${QUICK:-}" ] || printf '%-38s %12s %12s  %-6s %6s  %s\n' "cifs.ko with its defaults: kill, drop" - \
	"$(median cifs kill-default) $(median cifs drop-default)" ms - "errors $(median cifs kill-default-errors), $(median cifs drop-default-errors)"
exit
