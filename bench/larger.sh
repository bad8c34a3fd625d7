#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# A region four times the memory of its appliance, which has its pool in a file on a disk,
# beside ordinary memory that is swapped to the same disk, in one run: all patterns of
# `extmem-bench fault`, which verifies each page.
#
#	bench/larger.sh [-b BUILD] [-o FOLDER] [-d FOLDER] [-n PAGES] [-r REPEAT]
#	                [-l LOCALS] [-p PATTERNS] [-s disk|'']
#
#	-b  where extmem-bench and extmemd were built (.)
#	-o  where larger.jsonl and larger.md are written (bench-larger)
#	-d  where the pool file and the swap file are made; a disk's (the folder of -o)
#	-n  pages of 4 KiB (100000)     -r  repetitions, whose median counts (3)
#	-l  local shares of the client in per cent (5)
#	-p  patterns (all)
#	-s  disk, or '': without swap (disk)
#
# The daemon is in a memory cgroup of a quarter of the region and 32 MiB for itself; the
# program that swaps has that quarter beside its local share: both have as much memory. The
# client of the appliance is in none. Needs root and a memory cgroup; what was made is taken
# away again, also after kill -9.
. "$(dirname "$0")/common.sh"
. "$(dirname "$0")/swap.sh"

pages=100000
repeat=3
locals=5
chosen=all
swaps=disk
while getopts b:o:d:n:r:l:p:s: option; do
	case $option in
	n) pages=$OPTARG ;;
	r) repeat=$OPTARG ;;
	*) comparison_option ;;
	esac
done
case $pages$repeat in
*[!0-9]*) usage ;;
esac
case $swaps in '' | disk) ;; *) usage ;; esac
need_root || exit 1
comparison_open extmem-bench
bench=$build/extmem-bench
bytes=$((pages * 4096 * 2))
quarter=$((pages * 1024))

comparison_begin
[ "$have_cgroup" = yes ] || [ -n "$swaps" ] || cgroup_make || exit 1
[ "${cgroup:-}" != "" ] && [ -d "$cgroup" ] || exit 1

# --- the appliance, in a cgroup of its own ------------------------------------------

few=$cgroup.appliance
undo_by "for i in 1 2 3 4 5 6 7 8 9; do rmdir $few && break; sleep 0.3; done"
undo_by "first kill -9 \$(cat $few/cgroup.procs)"
mkdir "$few" || fail "$few cannot be made"
limit=memory.max
[ -f "$few/$limit" ] || limit=memory.limit_in_bytes
echo $((quarter + 33554432)) >"$few/$limit" || fail "$few/$limit cannot be set"
pool=$disk/.pool.$$
ready=$out/.ready.$$
undo_by "rm -f '$pool' '$ready'"
: >"$ready"
# (The region, and what the bench asks for beside it.)
sh -c 'echo $$ >"$0/cgroup.procs" && exec "$@"' "$few" "$build/extmemd" \
	--listen ofi+tcp://127.0.0.1:0 --pool-file "$pool" --ready-fd 7 \
	--memory $((pages * 4096 / 1048576 + 64))M 4>&- 7>"$ready" 2>"$out/larger.log" &
daemon=$!
until [ -s "$ready" ]; do
	kill -0 $daemon 2>/dev/null || fail "extmemd did not begin: $(cat "$out/larger.log")"
	sleep 0.1
done
address=$(cat "$ready")

# --- runs -----------------------------------------------------------------------------

# usage: run LABEL SHARE LOCAL OPTION...
run() {
	label=$1
	share=$2
	local=$3
	shift 3
	say "$label, $share % local"
	"$bench" fault --json --label "$label" --local "$local" --pattern "$chosen" \
		--pages "$pages" --repeat "$repeat" "$@" 4>&- >"$lines.one" ||
		say "$label, $share % local: it failed"
	sed "s/^{/{\"share\":$share,/" "$lines.one" >>"$lines"
	rm -f "$lines.one"
}

on=no
[ -n "$swaps" ] && swap_begin disk && on=yes
for share in $(echo "$locals" | tr ',' ' '); do
	run file "$share" "$share" --appliance "$address"
	[ $on = yes ] && run disk "$share" "$(echo "$share" | awk '{ print $1 + 25 }')" \
		--cgroup "$cgroup"
done
[ $on = yes ] && swapoff "$area"

# --- the table ------------------------------------------------------------------------

comparison_table '
function cell(us) { return shown(us, "%.2f") }
{
	key = text("pattern") SUBSEP number("share")
	if (!(key in seen)) { seen[key] = 1; keys[++count] = key }
	us[text("label"), key] = number("us_per_access")
}
END {
	print "# A region four times the memory of its appliance\n"
	printf "%d pages; microseconds an access, and extmem over swap.\n\n", pages
	print "| pattern | local % | pool file | swap | ratio |"
	print "|---|---|---|---|---|"
	for (i = 1; i <= count; i++) {
		split(keys[i], part, SUBSEP)
		a = us["file", keys[i]]; b = us["disk", keys[i]]
		print "| " part[1] " | " part[2] " | " cell(a) " | " cell(b) " | " \
			share(a, b) " |"
	}
}' pages="$pages"
