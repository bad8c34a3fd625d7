#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# extmem-sim --link: from a link's file, here one that is kept, what workloads
# would take; the same each time, and more of it with less local memory. And
# that extmem-bench writes such a file. How good it is depends on the machine:
# docs/SIMULATOR.md has figures.
. "$XM_SRCDIR/tests/support/count.sh"
need_simulator

bench="$XM_BUILDDIR/extmem-bench"
kept="$XM_SRCDIR/tests/sim/link.json"

# usage: field NAME FILE: a number of a line of JSON.
field() {
	sed -n "s/.*\"$1\":\([-0-9.e]*\)[,}].*/\1/p" "$2"
}

less() {
	awk "BEGIN { exit !($1 + 0 < $2 + 0) }"
}

refuses() { # WORDS OPTION...
	words=$1
	shift
	"$sim" "$@" >/dev/null 2>"$scratch/words"
	[ $? -eq 2 ] && grep -q "$words" "$scratch/words"
}

for workload in random-read random-rmw seq-read seq-write sort; do
	for local in 50 25; do
		"$sim" --link "$kept" --workload $workload --local $local --pages 4096 --json \
			>"$scratch/$workload.$local" || echo "failed: $workload"
	done
	check "$workload: less local memory, slower" less \
		"$(field us_per_access "$scratch/$workload.50")" \
		"$(field us_per_access "$scratch/$workload.25")"
	check "$workload: slower than on ordinary memory" less 1 \
		"$(field slow_down "$scratch/$workload.25")"
	check "$workload: it misses" less 100 \
		"$(field misses "$scratch/$workload.25")"
	"$sim" --link "$kept" --workload $workload --local 25 --pages 4096 --json \
		>"$scratch/again"
	check "$workload: the same again" cmp -s "$scratch/again" \
		"$scratch/$workload.25"
done
check "a random miss costs a read at least" less \
	"$(sed -n '/"read"/,/"write"/p' "$kept" | sed -n '/"bytes": 4096/,/}/s/.*"mean_us": \(.*\),/\1/p')" \
	"$(field us_per_miss "$scratch/random-read.25")"
# On a processor and a connection each, threads wait for each other by the
# library's own locks alone.
for n in 1 16; do
	"$sim" --link "$kept" --local 25 --workload random-read --threads $n \
		--lanes $n --json >"$scratch/threads.$n"
done
check "sixteen threads and lanes fault ten times as fast as one" less \
	"10 * $(field us_per_miss "$scratch/threads.16")" \
	"$(field us_per_miss "$scratch/threads.1")"
check "what no threads share is not predicted for them" refuses 'threads share' \
	--link "$kept" --workload sort --threads 2
check "so many threads are for a link" refuses 'without --link' --threads 16
"$sim" --link "$kept" --local 25 --pages 4096 >"$scratch/table"
check "a table has all of them" test "$(wc -l <"$scratch/table")" = 6

check "a file that is not there is said" refuses 'no-such' --link "$scratch/no-such"
echo '{ "format": "extmem-link-1" }' >"$scratch/empty.json"
check "a link without curves is refused" refuses 'read and write are lists' \
	--link "$scratch/empty.json"
sed 's/"bytes": \([0-9]*\)/"bytes": \10000/' "$kept" >"$scratch/large.json"
check "a curve that does not reach down to a page is refused" \
	refuses 'reach from 4096' --link "$scratch/large.json"
sed 's/"install_us"/"other_us"/' "$kept" >"$scratch/lacks.json"
check "what is missing is named" refuses 'local.install_us' --link "$scratch/lacks.json"
check "an unknown workload is refused" refuses 'no bogus' --link "$kept" --workload bogus
check "no percentage is refused" refuses '1 to 200' --link "$kept" --local all

# A calibration, short: its figures are not looked at. Without userfaultfd it
# says null where faults were to be measured, and that is said.
if [ -x "$bench" ] && "$bench" rma --calibrate "$scratch/link.json" --raw=no --time=1ms \
	--bytes=4K,64K --depth=1,8 >"$scratch/out" 2>&1; then
	check "a calibration has a format" grep -q '"format": "extmem-link-1"' "$scratch/link.json"
	if grep -q '"local": null' "$scratch/link.json"; then
		check "it lacks what could not be measured" \
			refuses 'local.deliver_us' --link "$scratch/link.json"
	else
		check "a calibration is a link" "$sim" --link "$scratch/link.json" --pages 1024
	fi
else
	echo "no appliance could be calibrated here" >&2
	[ -x "$bench" ] && cat "$scratch/out" >&2
fi
summary
