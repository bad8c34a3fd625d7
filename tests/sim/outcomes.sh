#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# usage: outcomes.sh [-w] [RUNS]
# The simulator against the list of outcomes in sim/outcomes.c, which
# tests/api/reality holds real processes against. Troubles of networks and clients
# are left out, as they are there, and so are stripes and copies. Asked in both directions:
#
#   what the simulator produces in RUNS seeds is in the list;
#   what is in the list has a line in tests/sim/outcomes.txt, with a seed whose run
#   produces it.
#
# A change of schedules takes some seeds' outcomes away: then three thousand more
# are looked through. A few outcomes are rarer than that, so the test fails only
# when a tenth of the list is not found again; make outcomes looks through 40,000
# and finds all. -w writes tests/sim/outcomes.txt anew, with the first seed of each; what
# is not found keeps its line.
. "$XM_SRCDIR/tests/support/count.sh"
need_simulator

list=$XM_SRCDIR/tests/sim/outcomes.txt
more=3000
write=0
if [ "${1:-}" = -w ]; then
	write=1
	shift
fi
runs=${1:-200}

# What runs came to: call, trouble, outcome, how often, first seed.
outcomes() {
	"$sim" --plain --weather 300ms --operations 400 --outcomes --quiet \
		--without partition,one_way_partition,clog,slow_node,loss \
		--without connection_broken,stream_broken,clock_skew \
		--without hang_client,kill_client,no_memory,no_memory_client \
		--without eagain_for_ever,death_told_late "$@"
}

# Of what is compared and was seen: call, trouble and outcome.
seen() {
	awk '!/not compared/ && $4 > 0 { print $1, $2, $3 }'
}

outcomes --runs "$runs" --jobs 2 >"$scratch/came" 2>"$scratch/err"
verdict "what $runs seeds come to is in the list" $?
if [ $write -eq 1 ]; then
	sed -n '/^#/p' "$list" >"$scratch/list"
	awk '!/not compared|not in/ { print $1, $2, $3, $5 }' "$scratch/came" |
		while read -r call trouble result seed; do
			if [ "$seed" -eq 0 ]; then
				grep "^$call $trouble $result " "$list"
			else
				echo "$call $trouble $result $seed"
			fi
		done >>"$scratch/list"
	cp "$scratch/list" "$list"
	grep 'never seen' "$scratch/came"
	summary
	exit
fi

awk '!/not compared|not in/ { print $1, $2, $3 }' "$scratch/came" |
	sort >"$scratch/listed"
awk '!/^#/ { print $1, $2, $3 }' "$list" | sort >"$scratch/kept"
check "each of the list has a seed that is kept (make outcomes-write)" \
	diff "$scratch/listed" "$scratch/kept"

for seed in $(awk '!/^#/ { print $4 }' "$list" | sort -nu); do
	outcomes --seed "$seed" 2>"$scratch/err" | seen
done >"$scratch/seen"
seen <"$scratch/came" >>"$scratch/seen"
sort -u "$scratch/seen" | comm -13 - "$scratch/kept" >"$scratch/missing"
if [ -s "$scratch/missing" ]; then
	echo "these seeds are out of date (make outcomes-write):"
	grep -F -f "$scratch/missing" "$list"
	outcomes --seed $((runs + 1)) --runs $more --jobs 2 \
		2>"$scratch/err" | seen >>"$scratch/seen"
	sort -u "$scratch/seen" | comm -13 - "$scratch/kept" \
		>"$scratch/missing"
fi
echo "not seen: $(wc -l <"$scratch/missing") of $(wc -l <"$scratch/kept")"
check "what is in the list is produced" \
	test $((10 * $(wc -l <"$scratch/missing"))) -le \
	"$(wc -l <"$scratch/kept")"
summary
