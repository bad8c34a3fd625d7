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
. "$(dirname "$0")/common.sh"
. "$(dirname "$0")/swap.sh"

pages=100000
repeat=3
locals=75,50,25,12.5
chosen='random-read,random-rmw,seq-read,seq-write'
umap=
while getopts b:o:d:n:r:l:p:s:u: option; do
	case $option in
	n) pages=$OPTARG ;;
	r) repeat=$OPTARG ;;
	u) umap=$OPTARG ;;
	*) comparison_option ;;
	esac
done
shift $((OPTIND - 1))
case $pages$repeat in
*[!0-9]*) usage ;;
esac
comparison_open extmem-bench
bench=$build/extmem-bench
# Twice the pages: what an area holds of pages that came back may stay there.
bytes=$((pages * 4096 * 2))

# --- runs -----------------------------------------------------------------------

# usage: run LABEL SHARE OPTION...
run() {
	label=$1
	share=$2
	shift 2
	say "$label, $share % local"
	"$bench" fault --json --label "$label" --local "$share" \
		--pattern "$chosen" --pages "$pages" --repeat "$repeat" "$@" \
		4>&- >>"$lines" || say "$label, $share % local: it failed"
}

comparison_begin
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
		for pattern in $(echo "$chosen" | tr ',' ' '); do
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

comparison_table '
function cell(us) { return shown(us, "%.2f") }
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
}' pages="$pages"
