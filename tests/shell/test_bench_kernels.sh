#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# Each kernel of extmem-bench, small: on ordinary memory and on external memory
# at half and a quarter local, with an appliance that the run starts. It
# verifies itself; here, that it says all it should, and that two threads and
# two clients end well too. Run by `make check`, which sets XM_BUILDDIR.
. "$XM_SRCDIR/tests/support/count.sh"

bench=$XM_BUILDDIR/extmem-bench

if ! "$bench" gups --json --help >/dev/null 2>&1; then
	echo "extmem-bench gups --help fails"
	exit 1
fi
if "$bench" gups --json --size 1 2>&1 | grep -q 'no JSON'; then
	skip "this build has no JSON (Debian: libjansson-dev)"
fi

# usage: says LINE KEY...: a number or a text behind each key.
says() {
	line=$1
	shift
	for key in "$@"; do
		sed -n "${line}p" "$scratch/out" |
			grep -qE "\"$key\":(-?[0-9]|\")" || {
			echo "line $line has no $key" >>"$scratch/log"
			return 1
		}
	done
}

# usage: run LINES COMMAND...: its output has so many lines.
run() {
	lines=$1
	shift
	timeout $((300 * ${XM_SLOW:-1})) "$@" >"$scratch/out" 2>"$scratch/log" || return 1
	test "$(wc -l <"$scratch/out")" -eq "$lines"
}

common='bench memory local_pct size_bytes scratch_bytes threads rounds seconds
	errors errors_allowed checked digest misses pages_read pages_written
	slowdown'
external='p50_us p99_us t_net_us f_us B_net_MBps overlap roofline_seconds
	roofline_pct provider'

# usage: kernel NAME SIZE LOCAL ROUNDS KEY...
kernel() {
	name=$1
	size=$2
	local=$3
	rounds=$4
	shift 4
	run 3 "$bench" "$name" --size "$size" --rounds "$rounds" \
		--local "$local" --json &&
		says 1 $common "$@" && says 2 $common $external "$@" &&
		says 3 $common $external "$@" &&
		test "$(grep -c '"errors":0,' "$scratch/out")" -eq 3 &&
		test "$(grep -c '"memory":"external"' "$scratch/out")" -eq 2
	verdict "$name on ordinary and external memory" $?
	digests=$(grep -o '"digest":"[0-9a-f]*"' "$scratch/out" | sort -u | wc -l)
	test "$digests" -eq 1
	verdict "$name gives the same bits on each" $?
}

# GUPS costs a miss for most updates: fewer than the rules want.
kernel gups 2M 90,70 1 GUPS updates updates_per_s hpcc_updates
kernel stream 5M 50,25 2 MBps bytes copy_MBps scale_MBps add_MBps triad_MBps
kernel sort 4M 50,25 1 keys keys_per_s runs_keys_per_s merge_keys_per_s
kernel zipf 4M 50,25 1 operations ops_per_s puts_pct
kernel pagerank 8M 50,25 2 edges edges_per_s
kernel kmeans 5M 50,25 2 points points_per_s

for name in gups sort zipf; do
	run 2 "$bench" $name --size 2M --rounds 1 --local 80 --threads 2 --json
	verdict "$name by two threads" $?
done
run 10 "$bench" stream --size 4M --rounds 2 --local 50 --repeat 2
verdict "columns, with smallest and largest of two" $?

# Two clients, each with records of its own; the sum is rank 0's to print.
if can_mpirun; then
	# What an MPI leaks is not ours.
	ASAN_OPTIONS=${ASAN_OPTIONS:+$ASAN_OPTIONS:}detect_leaks=0
	export ASAN_OPTIONS
	run 2 $mpirun -n 3 "$bench" sort --size 4M --local 50 --json --appliances 1 &&
		says 2 $common $external &&
		test "$(grep -c '"clients":2,' "$scratch/out")" -eq 2 &&
		test "$(grep -c '"keys":262144,' "$scratch/out")" -eq 2
	verdict "sort by two clients under mpirun" $?
else
	echo "skipped: no MPI"
fi

for wrong in '--local 0' '--local x' '--size 1k' '--threads 65' \
	'--rounds 99999999' '--bogus'; do
	timeout 60 "$bench" stream $wrong >"$scratch/out" 2>"$scratch/log"
	test $? -eq 2 && test "$(wc -l <"$scratch/log")" -eq 1
	verdict "extmem-bench stream $wrong is refused" $?
done

summary
