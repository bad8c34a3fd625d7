#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# extmem-bench: a short run of each subcommand, the names in its JSON, what is
# wrong in a command line, and ranks of mpirun where that is there. Figures are
# looked at for being there, never for their size.
. "$XM_SRCDIR/tests/support/count.sh"

bench=$XM_BUILDDIR/extmem-bench
# A run that hangs ends.
limit="timeout $((300 * ${XM_SLOW:-1}))"

# usage: run STATUS COMMAND...: true when it ends with that status
run() {
	wanted=$1
	shift
	$limit "$@" >"$scratch/out" 2>"$scratch/log"
	got=$?
	[ "$got" -eq "$wanted" ] || {
		echo "status $got, not $wanted" >>"$scratch/log"
		return 1
	}
}

# usage: refuses WORDS OPTION...: status 2, and says so
refuses() {
	words=$1
	shift
	run 2 "$bench" "$@" && grep -q -- "$words" "$scratch/log" &&
		[ ! -s "$scratch/out" ]
}

# usage: has LINES NAME...: so many lines of JSON, each with all these names,
# each a number, null, or a text.
has() {
	[ "$(grep -c '^{.*}$' "$scratch/out")" -eq "$1" ] || return 1
	[ "$(wc -l <"$scratch/out")" -eq "$1" ] || return 1
	lines=$1
	shift
	for key; do
		[ "$(grep -cE "\"$key\":(-?[0-9]|null|\")" "$scratch/out")" \
			-eq "$lines" ] || {
			echo "no $key" >>"$scratch/log"
			return 1
		}
	done
}

# usage: value NAME: of the last line
value() {
	sed -n "s/.*\"$1\":\"\{0,1\}\([^,\"}]*\).*/\1/p" "$scratch/out" |
		tail -n 1
}

# No ratio is one that only a disturbed raw call has.
ratios_are_sane() {
	! sed -n 's/.*"ratio":\([0-9][0-9.e+-]*\).*/\1/p' "$scratch/out" |
		awk '$1 < 0.7 { bad = 1 } END { exit !bad }'
}

quick='--pages 5000 --threads 1'
# What every line says of where it was taken.
stamp='bench label memory local_pct t_net_by t_net_us f_us fresh_us B_net_MBps transport
	provider provider_version endpoint paging polling lanes ranks clients appliances
	repeat cpu version'

json=no
configured JANSSON && json=yes

# --- words ------------------------------------------------------------------

check "--help lists the subcommands" run 0 "$bench" --help
check "--version" run 0 "$bench" --version
check "no subcommand" refuses usage
check "an unknown subcommand" refuses 'no such subcommand' nothing
for command in $("$bench" --help | sed -n 's/^  \([a-z][a-z]*\) .*/\1/p'); do
	check "$command --help" run 0 "$bench" "$command" --help
	check "$command, unknown option" refuses 'no such option' "$command" \
		--nonsense
	check "$command, a word" refuses 'nothing was expected' "$command" word
	check "$command, both kinds of appliances" refuses 'one of both' \
		"$command" --appliance ofi+tcp://127.0.0.1:1 --appliances 2
	check "$command, a transport that is none" refuses '--transport' \
		"$command" --transport carrier-pigeon
done
check "no such pattern" refuses 'no such pattern' fault --pattern zigzag
check "a share of 0" refuses 'per cent' fault --local 0
check "a share above 100" refuses 'per cent' fault --local 50,101
check "a share that is no number" refuses 'per cent' fault --local 25%
check "two kinds of memory" refuses 'one of them' fault --umap x --cgroup y
check "two shares of UMap's" refuses 'one share' fault --umap x --local 50,25
check "too few pages" refuses 'too little' fault --pages 10
check "a share that is too small to work with" refuses \
	'local: .*too little' fault --pages 300
check "a share that is too small for so many lanes" refuses \
	'too little: at least 1M for each lane' fault --pages 5000 --lanes 16
check "a share in another base" refuses 'per cent' fault --local 0x19
check "a share behind a blank" refuses 'per cent' fault --local ' 25'
check "too little memory" refuses 'too little' fault --memory 1
check "a way of paging that is none" refuses 'none of auto' fault --paging x
check "a setting without a value" refuses '"colour"' fault --setting colour
for name in local=2M lanes=2 appliance=x polling=busy prefetch=1; do
	check "a setting that an option sets: $name" refuses \
		'is there for this' fault --setting $name
done
check "no address" refuses '--appliance: ADDR is wanted' fault --appliance ''
check "no file for a curve" refuses '--calibrate: FILE is wanted' rma \
	--calibrate ''
check "too many appliances" refuses 'at most 16' fault --appliances 17
check "a curve of small sizes" refuses '--calibrate wants --bytes' rma \
	--bytes 8,4K --calibrate "$scratch/link"
check "a size with a sign" refuses '--bytes' rma --bytes +8
check "a list that is a folder" refuses 'directory' alloc --trace /
check "an empty list" refuses 'no allocation' alloc --trace /dev/null
echo nonsense >"$scratch/slabs"
named_as_a_kind() {
	cd "$scratch" && refuses ':1: not' alloc --trace slabs
}
check "a list that is named as a kind is" named_as_a_kind
cd "$XM_BUILDDIR" || exit 1
check "sizes that are no multiple of 8" refuses '--bytes' rma --bytes 8,12
check "a size above the limit" refuses '--bytes' rma --bytes 5M
check "a depth above the limit" refuses '--depth' rma --depth 257
check "a curve without depth 1" refuses '--calibrate' rma --depth 8 \
	--calibrate "$scratch/link"
check "no such kind" refuses '--kind' alloc --kind everything
check "a list that is not there" refuses 'No such file' alloc \
	--trace "$scratch/none"
printf 'a 1 100\na 1 50\n' >"$scratch/trace"
check "a list that uses a slot twice" refuses 'slot 1 is in use' alloc \
	--trace "$scratch/trace"
printf 'a 1 100\nb 1\n' >"$scratch/trace"
check "a list with a strange line" refuses ':2: not' alloc \
	--trace "$scratch/trace"
check "one of several patterns is none" refuses 'no such pattern' fault \
	--pattern zipf,zap
check "a cgroup that is none" run 1 "$bench" fault --cgroup "$scratch/none"
check "nobody there" run 1 "$bench" fault $quick --pattern seq-read \
	--setting timeout=2s --appliance ofi+tcp://127.0.0.1:1
check "and that is said" grep -q 'extmem-bench fault: .*127.0.0.1:1' \
	"$scratch/log"
check "a setting that is none" refuses colour fault --setting colour=blue

# --- fault --------------------------------------------------------------------

check "fault, in columns" run 0 "$bench" fault $quick --pattern random-rmw
check "with where it was taken" grep -q '^# extmem-bench fault: extmem .* tcp' \
	"$scratch/out"
check "and a line of figures" grep -q '^random-rmw  *25\.000 ' "$scratch/out"

if [ $json = yes ]; then
	check "fault, every pattern, in JSON" run 0 "$bench" fault --json \
		$quick --local 50
	check "with its names" has 8 $stamp pattern threads pages us_per_access \
		us_per_miss us_per_miss_minus_t_net_in_f p50_us p99_us p999_us \
		MBps share_of_B_net_pct misses pages_read pages_written
	check "fault, threads, shared pages, two shares, repeated" run 0 \
		"$bench" fault --json --pages 5000 --pattern random-rmw \
		--threads 3 --shared --local 50,12.5 --repeat 2
	check "is two lines" has 2 us_per_access threads
	check "of the second share" test "$(value local_pct)" = 12.5
	check "fault over shared memory" run 0 "$bench" fault --json $quick \
		--pattern seq-write --transport ofi+shm
	check "says so" test "$(value provider)" = shm
	check "and has its t_net by the raw call" test "$(value t_net_by)" = raw
	check "fault on two appliances, with a small pool each" run 0 "$bench" \
		fault --json $quick --pattern seq-read --appliances 2
	check "says so" test "$(value appliances)" = 2
else
	check "--json is refused without jansson" refuses 'no JSON' fault --json
fi

# --- rma ----------------------------------------------------------------------

few='--bytes 8,4K,1M --depth 1,8 --time 2ms'
check "rma, in columns" run 0 "$bench" rma $few --op read --api plain
check "with a line of figures" grep -qE '^read  *plain  *4096  *8 ' "$scratch/out"
if [ $json = yes ]; then
	check "rma, all, in JSON" run 0 "$bench" rma $few --json \
		--calibrate "$scratch/link"
	check "with its names" has 24 $stamp op api bytes depth us MBps raw_us \
		raw_MBps ratio
	check "and figures of the raw calls" test "$(value raw_us)" != null
	check "by which t_net is, too" test "$(value t_net_by)" = raw
	check "and sane ratios" ratios_are_sane
	check "the curve says what it is" grep -q '"format": "extmem-link-1"' \
		"$scratch/link"
	for key in provider t_net_us f_us B_net_MBps read write bytes us MBps; do
		check "the curve has $key" grep -q "\"$key\":" "$scratch/link"
	done
	check "rma over shared memory" run 0 "$bench" rma $few --json \
		--transport ofi+shm --op write
	check "with the raw calls" test "$(value raw_us)" != null
	check "rma without the raw calls" run 0 "$bench" rma --json --no-raw \
		--bytes 64 --depth 1 --time 2ms
	check "has none" test "$(value raw_us)" = null
	check "and says whose t_net is" test "$(value t_net_by)" = library
	check "a curve that cannot be written" run 1 "$bench" rma $few \
		--calibrate "$scratch/none/link"
fi

# --- idle ---------------------------------------------------------------------

check "idle, twice" refuses 'measured once' idle --repeat 2
check "idle within one process" refuses 'within one process' idle \
	--transport loop
check "idle, in columns" run 0 "$bench" idle --seconds 1
if [ $json = yes ]; then
	check "idle, ten clients" run 0 "$bench" idle --seconds 1 --clients 10 \
		--pages 20 --json
	check "with its names" has 1 $stamp idle_clients seconds pages \
		client_cpu_pct clients_cpu_pct client_KiB client_files \
		control_cpu_pct control_KiB control_files interface_cpu_pct \
		interface_KiB interface_files
	check "and figures of the appliance" test \
		"$(value interface_cpu_pct)" != null
fi

# --- copy -----------------------------------------------------------------------

check "copy, what is no power of two" refuses 'a power of two' copy --size 5M
check "share, in columns" run 0 "$bench" share --size 4M --rounds 2
check "copy, in columns" run 0 "$bench" copy --size 4M --rounds 2
if [ $json = yes ]; then
	check "copy, in JSON" run 0 "$bench" copy --size 4M --rounds 1 --json
	check "with its names" has 1 $stamp MiB rounds call_ms_p50 call_ms_max \
		stall_ms_p50 stall_ms_max whole_ms_p50 whole_ms_max stores_per_ms
fi

# --- failover -------------------------------------------------------------------

check "failover of appliances that are named" refuses 'only what it has started' \
	failover --appliance ofi+tcp://127.0.0.1:9
check "failover, a command alone" refuses 'both are needed' failover --strike true
check "failover, how else" refuses 'kill or hang' failover --how sleep
check "failover, too little local" refuses "at least" failover --pages 512
check "failover, in columns" run 0 "$bench" failover --rounds 2 --pages 1024
if [ $json = yes ]; then
	check "failover, an appliance that hangs" run 0 "$bench" failover \
		--how hang --rounds 1 --pages 1024 --threads 2 --json
	check "with its names" has 1 $stamp how strategy rounds pages threads \
		stall_ms_p50 stall_ms_p99 stall_ms_max recover_ms_p99 \
		whole_ms_p50 mend_MBps touches touches_per_ms
fi

# --- alloc --------------------------------------------------------------------

check "alloc, in columns" run 0 "$bench" alloc --ops 20000 --threads 2
check "with a line for each kind" test \
	"$(grep -cE '^(slabs|objects|program) ' "$scratch/out")" -eq 3
printf '# two at once\na 0 100\na 7 4096\nf 0\na 0 31 # again\n' \
	>"$scratch/trace"
if [ $json = yes ]; then
	check "alloc by a list" run 0 "$bench" alloc --trace "$scratch/trace" \
		--json --no-mapped
	check "with its names" has 1 $stamp kind ops threads ns_per_op \
		malloc_ns_per_op jemalloc_ns_per_op ratio_to_malloc \
		ratio_to_jemalloc messages reads writes faults
	check "what was left is freed, too" test "$(value ops)" = 6
	check "two were there at once" test "$(value live_max)" = 2
	check "of so many bytes" test "$(value live_max_bytes)" = 4196
	check "beside malloc" test "$(value malloc_ns_per_op)" != null

	# --- within one process ----------------------------------------------

	check "fault over loop" run 0 "$bench" fault --json $quick \
		--pattern random-read,random-rmw --transport loop --label here
	check "two of the patterns" has 2 pattern us_per_access
	check "says what it is" test "$(value provider)" = loop
	check "and whose t_net is" test "$(value t_net_by)" = library
	check "and has its label" test "$(value label)" = here
	check "rma over loop, with several inside" run 0 "$bench" rma --json \
		--transport loop --appliances 2 --bytes 4K --depth 1,8 --time 2ms
	check "has no raw calls" test "$(value raw_us)" = null
	check "and says why" grep -q 'loop is no libfabric' "$scratch/log"
fi

# --- reports --------------------------------------------------------------------

if [ $json = yes ]; then
	check "a report is made" run 0 env XM_BENCH_SHORT=1 \
		"$XM_SRCDIR/bench/report.sh" "$XM_BUILDDIR" "$scratch/report"
	check "as a page" grep -q '</html>' "$scratch/report/index.html"
	check "with a row for every share" test \
		"$(grep -cE '^<tr><td>[a-z-]+</td><td>12.5</td>' \
			"$scratch/report/index.html")" -eq 4
	check "and its data" test "$(wc -l <"$scratch/report/rma.dat")" -gt 36
	if command -v gnuplot >/dev/null; then
		for plot in fault read write kernels; do
			check "and a plot, $plot" grep -q '</svg>' \
				"$scratch/report/$plot.svg"
		done
	else
		check "plots are missed, in words" grep -q 'no plots' \
			"$scratch/report/index.html"
	fi
	check "the lines are measured" run 0 env REPEAT=1 PAGES=5000 \
		"$XM_SRCDIR/bench/lines.sh" "$XM_BUILDDIR" loop
	check "all of them" test \
		"$(grep -cE ' (yes|no)$' "$scratch/out")" -eq 12
	mkdir "$scratch/build"
	printf '#!/bin/sh\n[ "$1" != rma ] || exit 1\nexec "%s" "$@"\n' \
		"$bench" >"$scratch/build/extmem-bench"
	chmod +x "$scratch/build/extmem-bench"
	check "a bench that fails is not hidden" run 1 env REPEAT=1 PAGES=5000 \
		"$XM_SRCDIR/bench/lines.sh" "$scratch/build" loop
	check "fault with one thread and two, of one client" run 0 "$bench" \
		fault --json --pages 5000 --pattern seq-write --threads 1,2 \
		--transport loop
	check "is two lines" has 2 threads us_per_access
	check "with no such number of threads" refuses '--threads' fault \
		--threads 1,65
	check "peers, without swap" run 0 "$XM_SRCDIR/bench/peers.sh" \
		-b "$XM_BUILDDIR" -o "$scratch/peers" -n 5000 -r 1 -l 50 \
		-p seq-read,random-read -s ''
	check "make a table" test "$(grep -cE \
		'^[|] (seq|random)-read [|] 50 [|] [0-9.]+ [|] - [|] - ' \
		"$scratch/peers/peers.md")" -eq 2
	check "peers of no kind" run 2 "$XM_SRCDIR/bench/peers.sh" \
		-b "$XM_BUILDDIR" -o "$scratch/peers" -s tape
fi

# --- ranks --------------------------------------------------------------------

if can_mpirun; then
	# What an MPI leaks and how it locks is not ours.
	ASAN_OPTIONS=${ASAN_OPTIONS:+$ASAN_OPTIONS:}detect_leaks=0
	TSAN_OPTIONS=${TSAN_OPTIONS:+$TSAN_OPTIONS:}report_bugs=0
	export ASAN_OPTIONS TSAN_OPTIONS
	{
		check "two ranks" run 0 $mpirun -n 2 "$bench" fault $quick \
			--pattern random-read
		check "print one line" test \
			"$(grep -c '^random-read' "$scratch/out")" -eq 1
		check "and say that they are two" grep -q \
			'2 ranks, 1 clients, 1 appliances' "$scratch/out"
		if [ $json = yes ]; then
			check "four ranks" run 0 $mpirun -n 4 "$bench" fault \
				--json $quick --pattern seq-write
			check "print one line with the names" has 1 $stamp \
				pattern us_per_access us_per_access_min
			check "of two clients" test "$(value clients)" = 2
			check "and two appliances" test "$(value appliances)" = 2
			check "three ranks, two of them appliances" run 0 $mpirun \
				-n 3 "$bench" rma --json --appliances 2 \
				--bytes 4K --depth 1 --time 2ms --op write
			check "with the raw calls beside" test \
				"$(value raw_us)" != null
			check "and sane ratios" ratios_are_sane
			check "say so" test "$(value appliances)" = 2
		fi
		check "loop is within one process" run 2 $mpirun -n 2 "$bench" \
			fault $quick --transport loop
		check "more appliances than a client can have" run 2 $mpirun \
			-n 18 "$bench" fault $quick --appliances 17
		check "no client left" run 2 $mpirun -n 2 "$bench" fault $quick \
			--appliances 2
		check "a wrong option" run 2 $mpirun -n 2 "$bench" fault --nonsense
		check "an appliance that cannot be" run 1 $mpirun -n 2 "$bench" \
			fault $quick --memory 60T
	}
else
	echo "skipped: ranks: no MPI (Debian: openmpi-bin libopenmpi-dev)"
fi

summary
