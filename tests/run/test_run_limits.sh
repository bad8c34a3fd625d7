#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# How much a program under `extmem run` may have, local and in all, what it is
# advised, and `extmem top`, which shows it.
. "$XM_SRCDIR/tests/support/run.sh"

program=$XM_BUILDDIR/tests/run/run_program

# --- the budget ------------------------------------------------------------------

try "$extmem" run --local 25% --external 256M --stats "$scratch/stats" -- \
	"$program" malloc 64
peak=$(number external_peak_bytes)
limit=$(number local_limit_bytes)
# Within a step of 256 KiB and a sixteenth; small ones are given room for by
# 2 MiB at once.
[ "$limit" -le $((peak / 4 + 524288)) ] &&
	[ $((limit + limit / 16 + 262144)) -ge $((peak / 4)) ] &&
	[ "$(number local_peak_bytes)" -le "$limit" ] &&
	[ "$(number local_percent)" -eq 25 ] && [ "$(number bytes_read)" -gt 0 ]
verdict "--local 25%: a quarter of what it came to use" $((status + $?))
try "$extmem" run --local 25% --external 256M --stats "$scratch/stats" -- \
	"$program" malloc 2
[ "$(number local_limit_bytes)" -eq 4194304 ]
verdict "--local 25%: 4 MiB at least" $((status + $?))
try env EXTMEM_LOCAL=50% "$extmem" run --external 256M \
	--stats "$scratch/stats" -- "$program" malloc 32
limit=$(number local_limit_bytes)
[ "$limit" -gt 8388608 ] &&
	[ "$limit" -le $(($(number external_peak_bytes) / 2 + 1048576)) ]
verdict "EXTMEM_LOCAL=50%: the same by a variable" $((status + $?))
for share in 0% 101% % 25%%; do
	try "$extmem" run --local $share -- true
	says '--local' 2
	verdict "--local $share is refused" $?
done

# --- the limit ---------------------------------------------------------------------

try "$extmem" run --limit 32M --external 256M -- "$program" too-much 64
grep -q 'Cannot allocate memory' "$scratch/out" && says '--limit is 32 MiB' 0
verdict "--limit: malloc() fails with ENOMEM, in words" $?
try "$extmem" run --limit 32M --external 256M --overflow local -- \
	"$program" too-much 64
grep -q 'Cannot allocate memory' "$scratch/out"
verdict "--limit: with --overflow=local as well" $((status + $?))
try "$extmem" run --limit 32M --external 256M -- "$program" too-much 24
grep -q 'given' "$scratch/out" && [ ! -s "$scratch/err" ]
verdict "--limit: less than that is given" $((status + $?))
# Small ones, one after the other: it is told before it has more.
try "$extmem" run --limit 16M --external 256M --stats "$scratch/stats" -- \
	awk 'BEGIN { for (;;) a[n++] = "text number " n }'
[ "$status" -ne 0 ] && [ "$(number external_peak_bytes)" -le 16777216 ] &&
	[ "$(number refused)" -gt 0 ]
verdict "--limit: many small allocations end at it, too" $?

# --- advice --------------------------------------------------------------------------

for advice in normal sequential random; do
	"$program" malloc 24 >"$scratch/plain"
	try "$extmem" run --local 6M --external 128M --advise $advice \
		--stats "$scratch/stats.$advice" -- "$program" malloc 24
	cmp -s "$scratch/plain" "$scratch/out"
	verdict "--advise $advice: as plain" $((status + $?))
done
cp "$scratch/stats.random" "$scratch/stats"
[ "$(number prefetched)" -eq 0 ]
verdict "--advise random: nothing is read ahead" $?
try "$extmem" run --advise perhaps -- true
says '--advise' 2
verdict "no such advice" $?

# --- top -------------------------------------------------------------------------------

# usage: top_has: the program is in `extmem top`, in $scratch/out.
top_has() {
	top_row "$program_pid" 200ms >"$scratch/out"
}
# usage: program_under TIMEOUT: of the run that timeout(1) watches.
program_under() {
	run=$(children_of "$1")
	run=${run% }
	for program_pid in $(children_of "$run"); do
		[ "$(cat "/proc/$program_pid/comm")" = extmemd ] || return 0
	done
}
appliance 128M
timeout $patience "$extmem" run --local 25% --appliance "$address" -- \
	"$program" touch-forever 32 >"$scratch/out" 2>"$scratch/err" &
timeout=$!
await grep -q touching "$scratch/out"
program_under "$timeout"
await top_has
verdict "top --json: it is there" $?
# A second without a fault may be one without processor time.
top_is_right() {
	top_has && grep -q '"program":"run_program"' "$scratch/out" &&
		grep -q "\"appliance\":\"$address\"" "$scratch/out" &&
		grep -q '"budget_percent":25,' "$scratch/out" &&
		grep -Eq '"external_bytes":3[3-9][0-9]{6},' "$scratch/out" &&
		grep -Eq '"budget_bytes":[0-9]{7},' "$scratch/out" &&
		grep -Eq '"faults_per_s":[1-9]' "$scratch/out" &&
		grep -Eq '"in_mb_per_s":[0-9.]*[1-9]' "$scratch/out" &&
		grep -Eq '"fault_p50_us":[0-9.]*[1-9]' "$scratch/out"
}
await top_is_right
verdict "top --json: its appliance, its budget, its faults, bytes and latency" $?
try "$extmem" top --once --interval 100ms
grep -q "run_program.*$address" "$scratch/out" && grep -q 'PID' "$scratch/out"
verdict "top: as a table" $((status + $?))
if [ -n "$unprivileged" ]; then
	try $unprivileged "$extmem" top --once --interval 100ms
	! grep -qF "$address" "$scratch/out" &&
		grep -q 'of other users' "$scratch/out"
	verdict "top: other users' programs are counted, not shown" \
		$((status + $?))
fi
# An appliance that is told to end drains, and its clients are told so.
top_says_leaving() {
	"$extmem" top --once --interval 50ms | grep -q "$address leaving"
}
kill -TERM "$daemon"
await top_says_leaving
verdict "top: an appliance that drains is leaving" $?
kill "$timeout"
wait "$timeout" 2>/dev/null
! top_has
verdict "top: it is gone when it has ended" $?
# What a killed run leaves behind is taken away by the next look.
timeout $patience "$extmem" run --external 64M -- "$program" touch-forever 16 \
	>"$scratch/out" 2>"$scratch/err" &
timeout=$!
await grep -q touching "$scratch/out"
program_under "$timeout"
await top_has
was_there=$?
kill -KILL "$run"
wait "$timeout" 2>/dev/null
gone() {
	! top_has && ! ls /dev/shm/extmem-run.*."$run"
}
await gone
verdict "top: what a killed run leaves behind is taken away" $((was_there + $?))
try "$extmem" top --interval 0ms
says '--interval' 2
verdict "top: an interval of nothing is refused" $?
summary
