# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# The guest's half of scripts/demo: a writer on a DFS mount lives through the death of its file server. Prints a
# timeline and a table; status 0 if rsdfs had no error. Not a case (not executable).

. /opt/rsdfs/cases/common.sh
CASE=demo
START=${EPOCHREALTIME/./}
SHARE='//root/dfstest/link1'
declare -A RESULT

# event WHAT [TARGET [STALL]]: a line of the timeline.
event() {
	local t=$(((${EPOCHREALTIME/./} - START) / 100000))
	printf '%5d.%d s  %-56s %-8s %s\n' $((t / 10)) $((t % 10)) "$1" "${2:-}" "${3:-}"
}
named() { [ -z "$1" ] && echo '?' || sed 's/^t/target/' <<<"$1" | paste -sd+; }

# cut_and_mend FS HOW WORDS: one outage; the stall and the number of errors it cost into RESULT.
cut_and_mend() {
	local fs=$1 how=$2 words=$3 from to seen stall errors
	from=$(active)
	seen=$(wc -l <"$WRITER_LOG")
	event "CUT: $words" "$(named "$from")"
	cut "$how" "$from"
	if ! grows share1 $CASE/$fs 120; then
		event "the writer did not go on within 120 s"
		RESULT[$fs-$how]="no end"
		mend "$how" "$from"
		return
	fi
	to=$(other "$from")
	stall=$(tail -n +$((seen + 1)) "$WRITER_LOG" | sed -n 's/.* stall ms=\([0-9]*\).*/\1/p' | sort -n | tail -n1)
	errors=$(tail -n +$((seen + 1)) "$WRITER_LOG" | grep -c ' error ')
	event "the writer goes on, $errors errors" "$(named "$to")" "${stall:-under 50} ms"
	RESULT[$fs-$how]="${stall:-<50} ms, $errors errors"
	mend "$how" "$from"
	event "healed: $(named "$from") is back"
	sleep 1
}

# run FS OPTIONS: a mount, a writer, two cuts, the check.
run() {
	local fs=$1 found server
	FSTYPE=$fs
	host backing share1 $CASE/$fs rm
	if ! took mount_link link1 "$2"; then
		event "$fs: the mount failed"
		RESULT[$fs-sound]="no mount"
		return
	fi
	event "$fs: $SHARE mounted in $MS ms" "$(named "$(active)")"
	if [ "$fs" = rsdfs ] && [ -e /proc/fs/rsdfs/dfscache ]; then
		echo; sed 's/^/    /' /proc/fs/rsdfs/dfscache; echo
	fi
	start_writer "$M/$CASE/$fs" --stall-ms 50
	event "$fs: writer started: 512 bytes and fsync every 20 ms"
	grows share1 $CASE/$fs
	sleep 1
	cut_and_mend "$fs" kill "kill -9, every process of the active server"
	cut_and_mend "$fs" drop "network: packets dropped silently, both ways"
	stop_writer >/dev/null
	found=$(rsdfs-test verify --file "$M/$CASE/$fs" --records "$(json records "$SUMMARY")") &&
		RESULT[$fs-sound]="every record once" || RESULT[$fs-sound]="records lost or doubled"
	server=$(host backing share1 $CASE/$fs sha256)
	[ -n "$server" ] && [ "$server" = "$(json sha256 "$found")" ] || RESULT[$fs-sound]="hashes differ"
	event "$fs: $(json records "$SUMMARY") records, $(json errors "$SUMMARY") errors; ${RESULT[$fs-sound]}; hash ${server:0:16}..."
	RESULT[$fs-errors]=$(json errors "$SUMMARY")
	if [ "$fs" = rsdfs ] && [ -e /proc/fs/rsdfs/mounts ]; then
		echo; sed 's/^/    /' /proc/fs/rsdfs/mounts; echo
	fi
	umount "$M"
}

fresh_dir share1
printf '%9s  %-56s %-8s %s\n' t event target stall
run rsdfs ''
modprobe cifs
run cifs echo_interval=1
echo
printf '%-34s %-24s %-24s %s\n' '' kill drop content
printf '%-34s %-24s %-24s %s\n' 'rsdfs (defaults)' "${RESULT[rsdfs-kill]:-}" "${RESULT[rsdfs-drop]:-}" "${RESULT[rsdfs-sound]:-}"
printf '%-34s %-24s %-24s %s\n' 'cifs.ko (echo_interval=1, fastest)' "${RESULT[cifs-kill]:-}" "${RESULT[cifs-drop]:-}" "${RESULT[cifs-sound]:-}"
[ "${RESULT[rsdfs-errors]:-1}" = 0 ] && [ "${RESULT[rsdfs-sound]}" = "every record once" ]
exit
