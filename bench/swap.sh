# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=sh
# What a comparison with swap consists of, but for the runs: its options, swap
# areas and a memory cgroup, how they are taken away again, and its table. Read by
# bench/peers.sh and bench/programs.sh behind bench/common.sh, not run.
# They set $bytes, the size of a swap area.

# --- options and results ------------------------------------------------------

build=.
out=bench-$(basename "$0" .sh)
disk=
swaps='zram disk'

# usage: comparison_option: of getopts, those that all have.
comparison_option() {
	case $option in
	b) build=$OPTARG ;;
	o) out=$OPTARG ;;
	d) disk=$OPTARG ;;
	l) locals=$OPTARG ;;
	p) chosen=$OPTARG ;;
	s) swaps=$OPTARG ;;
	*) usage ;;
	esac
}

# usage: comparison_open PROGRAM: that is in $build. The runs go to $lines.
comparison_open() {
	[ -x "$build/$1" ] || fail "no $build/$1: say with -b where it was built"
	build=$(cd "$build" && pwd)
	for swap in $swaps; do
		case $swap in zram | disk) ;; *) usage ;; esac
	done
	mkdir -p "$out" || fail "$out cannot be made"
	out=$(cd "$out" && pwd)
	disk=${disk:-$out}
	lines=$out/$(basename "$0" .sh).jsonl
	: >"$lines"
	: >"$out/swap.txt"
}

# usage: comparison_begin: from here on, what is made is undone.
comparison_begin() {
	begin_undoer
	trap 'exit 130' INT
	trap 'exit 143' TERM HUP
	trap undo_all EXIT
	have_cgroup=no
	[ -n "$swaps" ] && need_root && cgroup_make && have_cgroup=yes
}

# usage: comparison_table PROGRAM [VARIABLE=VALUE]...: of json, over the runs.
comparison_table() {
	table=$out/$(basename "$0" .sh).md
	json "$@" "$lines" >"$table"
	[ ! -s "$out/swap.txt" ] ||
		{ echo; sed 's/^/* /' "$out/swap.txt"; } >>"$table"
	rm -f "$out/swap.txt"
	cat "$table"
}

# --- what is undone -----------------------------------------------------------

# The undoer reads commands from a pipe, one a line, and does them in reverse
# when the pipe ends; those that begin with "first" before all others. Nobody but
# this shell holds its other end (what it runs is started with 4>&-), so it ends
# with this shell, however that comes about.
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

need_root() {
	[ "$(id -u)" -eq 0 ] && return
	say "no swap: that takes root"
	return 1
}

cgroup_make() {
	name=extmem-$(basename "$0" .sh).$$
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

# usage: swap_begin zram|disk: an area of that kind, on.
swap_begin() {
	[ "$have_cgroup" = yes ] || return 1
	"${1}_make" || return 1
	swap_on || {
		say "no $1: swapon refuses $area"
		return 1
	}
	echo "$1: $what" >>"$out/swap.txt"
}
