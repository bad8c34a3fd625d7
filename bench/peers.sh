#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# extmem beside its peers, in one run: the same patterns on external memory, on
# ordinary memory in a memory cgroup whose rest the kernel swaps to zram, or to a
# file on a disk, and on memory by UMap (https://github.com/LLNL/umap), another
# pager in user space, over a file on a tmpfs and without a network.
#
#	bench/peers.sh [-b BUILD] [-o FOLDER] [-d FOLDER] [-n PAGES] [-r REPEAT]
#	               [-l LOCALS] [-p PATTERNS] [-s SWAPS] [-u FOLDER]
#	               [-- OPTION...]
#
#	-b  where extmem-bench and extmemd were built (.)
#	-o  where peers.jsonl and peers.md are written (bench-peers)
#	-d  where the swap file is made; a disk's (the folder of -o)
#	-n  pages of 4 KiB (100000)     -r  repetitions, whose median counts (3)
#	-l  local shares in per cent (75,50,25,12.5)
#	-p  patterns of `extmem-bench fault` (random-read,random-rmw,seq-read,seq-write)
#	-s  "zram disk", one of them, or none at all (both)
#	-u  the folder where UMap's libumap.so is (none: without UMap)
#	Options after -- go to extmem-bench for external memory: --transport ...
#
# Needs root, a memory cgroup (of version 1 or 2), and zram's module for zram;
# what is missing is said, and left out. Whatever happens, also kill -9, the
# swap areas, devices, the file and the cgroup it made are taken away again: by a
# process of their own, which knows how to undo each and waits for the end of
# this one.
set -u
export LC_ALL=C

build=.
out=bench-peers
disk=
pages=100000
repeat=3
locals=75,50,25,12.5
patterns=random-read,random-rmw,seq-read,seq-write
swaps='zram disk'
umap=

say() {
	echo "peers: $*" >&2
}

fail() {
	say "$*"
	exit 1
}

usage() {
	sed -n 's/^#	//p' "$0" >&2
	exit 2
}

while getopts b:o:d:n:r:l:p:s:u: option; do
	case $option in
	b) build=$OPTARG ;;
	o) out=$OPTARG ;;
	d) disk=$OPTARG ;;
	n) pages=$OPTARG ;;
	r) repeat=$OPTARG ;;
	l) locals=$OPTARG ;;
	p) patterns=$OPTARG ;;
	s) swaps=$OPTARG ;;
	u) umap=$OPTARG ;;
	*) usage ;;
	esac
done
shift $((OPTIND - 1))
bench=$build/extmem-bench
[ -x "$bench" ] || fail "no $bench: say with -b where it was built"
case $pages$repeat in
*[!0-9]*) usage ;;
esac
for swap in $swaps; do
	case $swap in zram | disk) ;; *) usage ;; esac
done
mkdir -p "$out" || fail "$out cannot be made"
out=$(cd "$out" && pwd)
disk=${disk:-$out}
lines=$out/peers.jsonl
: >"$lines"

# --- what is undone -----------------------------------------------------------

# The undoer reads commands from a pipe, one a line, and does them in reverse
# when the pipe ends; those that begin with "first" before all others. Nobody but this shell holds its other end (what runs below
# is started with 4>&-), so it ends with this shell, however that comes about.
begin_undoer() {
	pipe=$out/.undo.$$
	mkfifo -m 600 "$pipe" || fail "mkfifo: $pipe"
	setsid sh -c '
		trap "" INT TERM HUP QUIT
		first() { "$@"; }
		firsts= commands=
		while IFS= read -r line; do
			case $line in
			"first "*) firsts="$line
$firsts" ;;
			*) commands="$line
$commands" ;;
			esac
		done
		eval "$firsts"
		eval "$commands"' <"$pipe" >/dev/null 2>&1 &
	undoer=$!
	exec 4>"$pipe"
	rm -f "$pipe"
}

undo_by() {
	echo "$*" >&4
}

# Does it all, and waits until it is done.
undo_all() {
	exec 4>&-
	wait "$undoer"
}

# --- swap areas ---------------------------------------------------------------

# Twice the pages: what an area holds of pages that came back may stay there.
bytes=$((pages * 4096 * 2))
need_root() {
	[ "$(id -u)" -eq 0 ] && return
	say "no swap: that takes root"
	return 1
}

cgroup_make() {
	name=extmem-peers.$$
	if [ -f /sys/fs/cgroup/memory/memory.limit_in_bytes ]; then
		cgroup=/sys/fs/cgroup/memory/$name
	elif grep -qw memory /sys/fs/cgroup/cgroup.subtree_control 2>/dev/null
	then
		cgroup=/sys/fs/cgroup/$name
	elif grep -qw memory /sys/fs/cgroup/cgroup.controllers 2>/dev/null &&
		echo +memory >/sys/fs/cgroup/cgroup.subtree_control 2>/dev/null
	then
		undo_by "echo -memory >/sys/fs/cgroup/cgroup.subtree_control"
		cgroup=/sys/fs/cgroup/$name
	else
		say "no swap: there is no memory cgroup"
		return 1
	fi
	# What still runs there ends before its swap is taken away; it may need
	# a moment to be gone.
	undo_by "for i in 1 2 3 4 5 6 7 8 9; do rmdir $cgroup && break; sleep 0.3; done"
	undo_by "first kill -9 \$(cat $cgroup/cgroup.procs)"
	mkdir "$cgroup" 2>/dev/null && return
	say "no swap: $cgroup cannot be made"
	return 1
}

zram_make() {
	if [ ! -d /sys/class/zram-control ]; then
		modprobe zram num_devices=0 2>/dev/null
	fi
	if ! id=$(cat /sys/class/zram-control/hot_add 2>/dev/null); then
		say "no zram: its module is not there"
		return 1
	fi
	undo_by "echo $id >/sys/class/zram-control/hot_remove"
	undo_by "echo 1 >/sys/block/zram$id/reset"
	area=/dev/zram$id
	undo_by "swapoff $area"
	if ! echo $bytes >"/sys/block/zram$id/disksize" || [ ! -b "$area" ] ||
		! mkswap "$area" >/dev/null; then
		say "no zram: $area cannot be made"
		return 1
	fi
	what="zram, $(sed 's/.*\[\(.*\)\].*/\1/' "/sys/block/zram$id/comp_algorithm")"
}

disk_make() {
	area=$disk/.swap.$$
	undo_by "rm -f '$area'"
	undo_by "swapoff '$area'"
	if ! (umask 077 && dd if=/dev/zero of="$area" bs=1M \
		count=$((bytes / 1048576 + 1)) conv=fsync 2>/dev/null) ||
		! mkswap "$area" >/dev/null; then
		say "no disk: $area cannot be made"
		return 1
	fi
	what="a file on $(df --output=source,fstype "$disk" | tail -n 1 | tr -s ' ')"
}

# Some file systems have files that cannot be swapped to; a loop device can.
swap_on() {
	swapon -p 32767 "$area" 2>/dev/null && return
	loop=$(losetup -f --show "$area" 2>/dev/null) || return 1
	undo_by "losetup -d $loop"
	undo_by "swapoff $loop"
	area=$loop
	what="$what, by a loop device"
	swapon -p 32767 "$area" 2>/dev/null
}

# --- runs -----------------------------------------------------------------------

# usage: run LABEL SHARE OPTION...
run() {
	label=$1
	share=$2
	shift 2
	say "$label, $share % local"
	"$bench" fault --json --label "$label" --local "$share" \
		--pattern "$patterns" --pages "$pages" --repeat "$repeat" "$@" \
		4>&- >>"$lines" || say "$label, $share % local: it failed"
}

swap_begin() { # zram | disk
	[ "$have_cgroup" = yes ] || return 1
	"${1}_make" || return 1
	swap_on || {
		say "no $1: swapon refuses $area"
		return 1
	}
	echo "$1: $what" >>"$out/peers.txt"
}

begin_undoer
trap 'exit 130' INT
trap 'exit 143' TERM HUP
trap undo_all EXIT
: >"$out/peers.txt"

have_cgroup=no
[ -n "$swaps" ] && need_root && cgroup_make && have_cgroup=yes
if grep -q '^/' /proc/swaps; then
	say "there is other swap already; it is of lower priority and stays"
fi

# One kind of swap at a time, and external memory again with each, so that what
# is compared was measured within a minute.
for swap in ${swaps:-none}; do
	[ "$swap" = none ] && [ -n "$umap" ] && break
	on=no
	if [ "$swap" != none ] && swap_begin "$swap"; then
		on=yes
	fi
	for share in $(echo "$locals" | tr ',' ' '); do
		run "extmem/$swap" "$share" "$@"
		[ $on = yes ] && run "$swap" "$share" --cgroup "$cgroup"
	done
	[ $on = yes ] && swapoff "$area"
done

# Each pattern in a process of its own: a run that UMap does not survive costs
# one figure.
if [ -n "$umap" ]; then
	for share in $(echo "$locals" | tr ',' ' '); do
		run "extmem/umap" "$share" "$@"
		for pattern in $(echo "$patterns" | tr ',' ' '); do
			LD_LIBRARY_PATH=$umap timeout 120 "$bench" fault --json --label umap \
				--local "$share" --pattern "$pattern" \
				--pages "$pages" --repeat "$repeat" \
				--umap="/dev/shm/extmem-peers.$$" 4>&- >"$lines.one" ||
				say "umap, $pattern, $share % local: it failed"
			# It prints lines of its own.
			grep '^{' "$lines.one" >>"$lines"
			rm -f "$lines.one"
		done
	done
fi

# --- the table ----------------------------------------------------------------------

awk -v pages="$pages" '
function text(name,  at) {
	if (!match($0, "\"" name "\":\"[^\"]*\""))
		return ""
	at = length(name) + 4
	return substr($0, RSTART + at, RLENGTH - at - 1)
}
function number(name,  at) {
	if (!match($0, "\"" name "\":[-0-9.e+]+"))
		return ""
	at = length(name) + 3
	return substr($0, RSTART + at, RLENGTH - at) + 0
}
function cell(us) { return us == "" ? "-" : sprintf("%.2f", us) }
function share(a, b) { return a == "" || b == "" ? "-" : sprintf("%.2f", a / b) }
{
	label = text("label"); key = text("pattern") SUBSEP number("local_pct")
	if (!(key in seen)) { seen[key] = 1; keys[++count] = key }
	us[label, key] = number("us_per_access")
	if (label ~ /^extmem/ && link == "")
		link = text("provider") ", t_net " cell(number("t_net_us")) \
			" us, f " cell(number("f_us")) " us"
}
END {
	print "# extmem beside its peers\n"
	printf "%d pages; microseconds an access, and extmem over the other, ", pages
	print "both of the same minute. " link ".\n"
	print "| pattern | local % | extmem | zram | ratio | extmem | disk | ratio | extmem | UMap | ratio |"
	print "|---|---|---|---|---|---|---|---|---|---|---|"
	for (i = 1; i <= count; i++) {
		split(keys[i], part, SUBSEP)
		a = us["extmem/zram", keys[i]]; b = us["zram", keys[i]]
		c = us["extmem/disk", keys[i]]; d = us["disk", keys[i]]
		e = us["extmem/umap", keys[i]]; f = us["umap", keys[i]]
		if (a == "" && c == "" && e == "")
			a = us["extmem/none", keys[i]]
		print "| " part[1] " | " part[2] " | " cell(a) " | " cell(b) " | " \
			share(a, b) " | " cell(c) " | " cell(d) " | " share(c, d) \
			" | " cell(e) " | " cell(f) " | " share(e, f) " |"
	}
}' "$lines" >"$out/peers.md"
[ -s "$out/peers.txt" ] && { echo; sed 's/^/* /' "$out/peers.txt"; } >>"$out/peers.md"
rm -f "$out/peers.txt"
cat "$out/peers.md"
