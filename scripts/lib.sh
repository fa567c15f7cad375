# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# Sourced by the other scripts: where the cache is, progress lines with the
# elapsed seconds, stages that run once and only once even with two callers,
# and commands inside the Debian root, in namespaces of their own so that no
# mount and no process outlives them.

set -euo pipefail

TOP=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
CACHE=${RSDFS_CACHE:-/var/cache/rsdfs}
ROOT=$CACHE/root
START=${RSDFS_START:-$(date +%s)}
ME=${0##*/}
export RSDFS_START=$START

# say TEXT...: a progress line on stderr with the seconds since the first script began.
say() {
	printf '[%4ds] %s: %s\n' "$(($(date +%s) - START))" "$ME" "$*" >&2
}

# die TEXT...: give up, and say why.
die() {
	say "error: $*"
	exit 1
}

need_user_root() {
	[ "$(id -u)" = 0 ] || die "must run as root (mounts, namespaces, debootstrap)"
}

# need_host PROGRAM:PACKAGE...: install what the host lacks.
need_host() {
	local pair missing=()
	for pair; do
		PATH=$PATH:/usr/sbin:/sbin command -v "${pair%%:*}" >/dev/null || missing+=("${pair#*:}")
	done
	[ ${#missing[@]} = 0 ] && return
	say "host: apt-get install ${missing[*]}"
	(
		flock 9
		[ -n "$(find /var/lib/apt/lists -name '*Packages*' 2>/dev/null | head -n1)" ] || apt-get -qq update
		DEBIAN_FRONTEND=noninteractive apt-get -qq -y --no-install-recommends install "${missing[@]}" >&2 ||
			{ apt-get -qq update && DEBIAN_FRONTEND=noninteractive apt-get -qq -y --no-install-recommends install "${missing[@]}" >&2; }
	) 9>"$CACHE/.host.lock" || die "cannot install ${missing[*]}"
}

# once NAME COMMAND...: run COMMAND unless the root says that NAME was done in it; two callers do
# not collide.
once() {
	local stamp=$ROOT/.rsdfs/$1 name=$1
	shift
	[ -e "$stamp" ] && return
	mkdir -p "$CACHE/log"
	(
		exec {lock}>"$CACHE/.$name.lock"
		flock "$lock"
		[ -e "$stamp" ] && exit
		say "$name ..."
		t0=$SECONDS
		"$@" {lock}>&-
		mkdir -p "$ROOT/.rsdfs"
		: >"$stamp"
		say "$name: done in $((SECONDS - t0)) s"
	) || die "$name failed"
}

# enter ROOT [-b SOURCE:TARGET]... COMMAND...: run COMMAND in a Debian root, with its own /proc,
# /sys, /dev and the asked-for bind mounts, all of which vanish with it.
enter() {
	local root=$1 binds=()
	shift
	while [ "${1:-}" = -b ]; do
		binds+=("$2")
		shift 2
	done
	"$TOP/scripts/lib-enter-ns" "$root" "${binds[@]}" -- "$@"
}

# in_root ...: enter the build root.
in_root() {
	enter "$ROOT" "$@"
}

# case_line CASE KEY: what a VM case says of itself in its line "# KEY: WORD", or nothing.
case_line() {
	sed -n "s/^# $2: *\([a-z0-9]*\).*/\1/p;20q" "$TOP/tests/vm/cases/$1" 2>/dev/null | head -n1
}

# case_topology CASE: the lab that a VM case needs.
case_topology() {
	local name
	name=$(case_line "$1" topology)
	echo "${name:-standalone}"
}

# checkout_key: a short name for this checkout's folder.
checkout_key() {
	printf %s "$TOP" | cksum | cut -d' ' -f1
}

# build_folder: where scripts/build keeps this checkout's objects.
build_folder() {
	echo "${RSDFS_BUILD:-$CACHE/build/$(checkout_key)}"
}

# cargo_in_root DIR COMMAND...: cargo of the Debian root in DIR of the checkout, artefacts in the cache, in a folder of
# the checkout's or in CARGO_TARGET.
cargo_in_root() {
	local dir=$1 target
	shift
	target=${CARGO_TARGET:-$CACHE/target/$(checkout_key)/$(basename "$dir")}
	mkdir -p "$target" "$CACHE/cargo"
	in_root -b "$TOP:/usr/src/checkout" -b "$target:/usr/src/target" -b "$CACHE/cargo:/usr/src/cargo" \
		env CARGO_HOME=/usr/src/cargo CARGO_TARGET_DIR=/usr/src/target \
		sh -c 'cd "/usr/src/checkout/$0" && exec cargo "$@"' "$dir" "$@"
}
