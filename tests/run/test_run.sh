#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# `extmem run` and its siblings: programs that know nothing of extmem give the
# same output with a fraction of their memory local, with and without
# privilege; what cannot be done is refused in words; what is lost is named.
# Run by `make check`, which sets XM_BUILDDIR.
. "$XM_SRCDIR/tests/support/run.sh"

program=$XM_BUILDDIR/tests/run/run_program

# --- what programs do ------------------------------------------------------------

for use in malloc map io stdio socket threads growth signals fork-exec; do
	"$program" "$use" 24 >"$scratch/plain" 2>&1
	try "$extmem" run --local 6M --external 128M -- "$program" "$use" 24
	cmp -s "$scratch/plain" "$scratch/out"
	verdict "$use: as plain, with 6 of 24 MiB local" $((status + $?))
	[ -n "$unprivileged" ] || continue
	try $unprivileged "$extmem" run --local 6M --external 128M -- \
		"$program" "$use" 24
	cmp -s "$scratch/plain" "$scratch/out"
	verdict "$use: the same as an unprivileged user" $((status + $?))
done

try "$extmem" run --local 6M --external 128M --threshold 8K -- \
	"$program" malloc 24
verdict "small blocks can be external too" "$status"

try "$extmem" run --local 6M --external 128M --paging thread -- \
	"$program" io 24
if grep -q 'not allowed\|not permitted\|EPERM' "$scratch/err"; then
	echo "skipped: paging by a thread: not allowed here"
else
	verdict "paging by a thread, where the kernel meets faults" "$status"
fi
if [ -n "$unprivileged" ]; then
	try $unprivileged "$extmem" run --local 6M --external 128M \
		--paging thread -- "$program" io 24
	verdict "paging by a thread that the kernel's faults do not reach" \
		"$status"
fi

seq 1 300000 | awk '{ print ($1 * 7919) % 300007, $1 }' >"$scratch/text"
sort -o "$scratch/plain" "$scratch/text"
try "$extmem" run --local 4M --external 64M --stats "$scratch/stats" -- \
	sort -S 24M --parallel=1 -o "$scratch/sorted" "$scratch/text"
cmp -s "$scratch/plain" "$scratch/sorted"
verdict "the system's sort sorts" $((status + $?))
[ "$(number bytes_read)" -gt 0 ] && [ "$(number bytes_written)" -gt 0 ] &&
	[ "$(number faults)" -gt 0 ] && [ "$(number exit_status)" -eq 0 ] &&
	[ "$(number local_peak_bytes)" -le 4194304 ] &&
	[ "$(number local_limit_bytes)" -eq 4194304 ]
verdict "the statistics say that memory moved and the budget held" $?

try "$extmem" run --seal --local 4M --external 64M -- \
	sort -S 24M --parallel=1 -o "$scratch/sorted" "$scratch/text"
if grep -q 'cannot be loaded' "$scratch/err"; then
	echo "left out: $(cat "$scratch/err")"
else
	cmp -s "$scratch/plain" "$scratch/sorted"
	verdict "sort sorts in sealed memory" $((status + $?))
	try env EXTMEM_SEAL_KEY=nothing "$extmem" run --seal --local 4M \
		--external 64M -- sort -S 24M --parallel=1 "$scratch/text"
	grep -q 'extmem_open: seal: key nothing' "$scratch/err"
	verdict "a key from nowhere is refused in words" $?
fi

try "$extmem" run --local 6M --external 64M --stats "$scratch/stats" -- \
	env sh -c "exec '$program' malloc 24"
verdict "env and sh hand external memory on when they exec" \
	$((status + ($(number allocations) < 1)))

# The filter of the first is there in the last: ten deep.
chain=
for i in 1 2 3 4 5 6 7 8 9; do
	chain="$chain env"
done
try "$extmem" run --local 6M --external 64M --stats "$scratch/stats" -- \
	$chain "$program" io 24
"$program" io 24 | cmp -s - "$scratch/out"
verdict "ten programs that turn into one another" \
	$((status + $? + ($(number allocations) < 1)))
try "$extmem" run --local 6M --external 64M -- $chain env env "$program" io 24
grep -q 'this one has none' "$scratch/err"
verdict "and no more than that, in words" $((status + $?))
try "$extmem" run --local 6M --external 64M --children same -- \
	sh -c "'$program' io 24; true"
"$program" io 24 | cmp -s - "$scratch/out"
verdict "--children=same: a child's calls are served like its parent's" \
	$((status + $?))
try "$extmem" run --local 6M --external 64M -- \
	sh -c "'$extmem' run --local 6M --external 64M -- '$program' io 24"
"$program" io 24 | cmp -s - "$scratch/out"
verdict "a run inside a run" $((status + $?))

# --- how programs end --------------------------------------------------------------

try "$extmem" run --external 16M -- sh -c 'exit 7'
verdict "the program's status is the run's" $((status != 7))
try "$extmem" run --external 16M -- sh -c 'kill -TERM $$'
verdict "a signal's number is added to 128" $((status != 143))
try "$extmem" run --external 16M -- "$program" too-much 64
grep -q 'Cannot allocate memory' "$scratch/out" &&
	says 'no external memory for' 0
verdict "no room: the program is told, and so is the user" $?
[ "$(grep -c -- '--external is 16 MiB' "$scratch/err")" -eq 1 ] &&
	says ' bytes: as before; the program is told ENOMEM' 0
verdict "no room, once more: the reason is not repeated" $?
try "$extmem" run --external 16M --overflow local -- "$program" too-much 64
grep -q 'given' "$scratch/out" && says 'were local' 0
verdict "--overflow local: served, and said" $?

# --- what cannot begin ---------------------------------------------------------------

try "$extmem" run -- "$scratch/nosuch"
says 'No such file' 127
verdict "no such program: 127" $?
try "$extmem" run -- "$scratch"
says 'Permission denied' 126
verdict "not a program: 126" $?
if [ -x /sbin/ldconfig ]; then
	try "$extmem" run -- /sbin/ldconfig --version
	says 'statically linked' 125
	verdict "a static program is refused in words" $?
fi
cp "$program" "$scratch/setuid"
if [ -n "$unprivileged" ] && chmod 4755 "$scratch/setuid"; then
	try $unprivileged "$extmem" run -- "$scratch/setuid" malloc
	says 'rights of its own' 125
	verdict "a setuid program is refused in words" $?
fi
try "$extmem" run --appliance ofi+tcp://127.0.0.1:1 -- "$program" malloc
says 'nobody listens at ofi+tcp://127.0.0.1:1' 125
verdict "no appliance there: refused before the program begins" $?
try "$extmem" run --stats /nonexistent/file -- "$program" malloc
says '/nonexistent/file' 125
verdict "statistics that cannot be written: refused before it begins" $?

# usage: usage TEXT ARGUMENT...: a bad command line, 2, and a word about it.
usage() {
	text=$1
	shift
	try "$extmem" "$@"
	says "$text" 2
	verdict "usage: extmem $*" $?
}
usage 'usage:'
usage 'no command "walk"' walk
usage 'which program' run
usage 'which program' run --local 8M --
usage '--nope' run --nope -- true
usage 'is not a size' run --local lots -- true
usage '--local' run --local 0 -- true
usage '--limit' run --limit none -- true
usage 'one argument too many' top x
usage '--local' run --local -5M -- true
usage '--local' run --local 99999999999T -- true
usage '--threshold' run --threshold few -- true
usage '--calls' run --calls none -- true
usage '--paging' run --paging maybe -- true
usage '--overflow' run --overflow no -- true
usage 'of which appliance' status
usage 'one appliance' status a b
usage 'one argument too many' doctor x
usage 'one argument too many' info x
usage 'no command' help walk

for command in '' run info status top doctor; do
	try "$extmem" $command --help
	grep -q '^[Uu]sage: extmem' "$scratch/out"
	verdict "extmem $command --help" $((status + $?))
	try "$extmem" $command --version
	grep -q '^extmem [0-9]' "$scratch/out"
	verdict "extmem $command --version" $((status + $?))
done

# --- looking ---------------------------------------------------------------------------

try "$extmem" doctor
grep -q '^paging' "$scratch/out" && grep -q 'ofi+tcp' "$scratch/out"
verdict "doctor finds out about paging and providers" $((status + $?))
try "$extmem" info
grep -q 'ofi+tcp' "$scratch/out"
verdict "info names the transports" $((status + $?))

appliance 64M
try "$extmem" status "$address"
grep -q '64.0 MiB' "$scratch/out" && grep -q 'regions *none' "$scratch/out"
verdict "status shows an idle appliance" $((status + $?))
try "$extmem" info --appliance "$address"
grep -q '^endpoint' "$scratch/out" && grep -q '^paging' "$scratch/out"
verdict "info shows how an appliance is reached" $((status + $?))
try "$extmem" info --appliance "ofi+shm://nobody.$$" --appliance "$address"
grep -q "^appliance .*nobody.$$, away" "$scratch/out" &&
	grep -q "^why .*nobody.$$" "$scratch/out" &&
	grep -q ', ready$' "$scratch/out" && grep -q '^paging' "$scratch/out"
verdict "info shows one that is away beside one that is ready" \
	$(($? + (status != 1)))
try "$extmem" info --appliance "ofi+shm://nobody.$$" \
	--appliance "ofi+shm://nobody-else.$$"
grep -q "nobody.$$" "$scratch/err" && grep -q "nobody-else.$$" "$scratch/err"
verdict "info says of each why it is away, where all are" \
	$(($? + (status != 1)))

# --- the end of a run ----------------------------------------------------------------------

# Each needs more than half of it; a silent client's lease would be ten seconds.
for how in "$program malloc 40" "env $program malloc 40" "sh -c 'exec $program malloc 40'"; do
	eval "try \"\$extmem\" run --local 8M --appliance \"\$address\" -- $how"
	[ "$status" -eq 0 ] || break
done
verdict "the memory of a run is free when it has ended: another begins at once" "$status"
try "$extmem" run --local 8M --appliance "$address" -- sh -c 'kill -9 $$'
try "$extmem" status "$address"
grep -q 'clients *0 of' "$scratch/out" && grep -q 'clients expired 0' "$scratch/out"
verdict "nobody is left behind, after exec and after a kill" $?

# --- loss ----------------------------------------------------------------------------------

timeout $patience "$extmem" run --local 4M --appliance "$address" -- \
	"$program" touch-forever 16 >"$scratch/out" 2>"$scratch/err" &
run=$!
await grep -q touching "$scratch/out"
try_status=0
timeout $patience "$extmem" status --json "$address" >"$scratch/json" 2>&1 ||
	try_status=$?
grep -q 'run_program' "$scratch/json"
verdict "status --json shows whose a region is" $((try_status + $?))
kill -KILL "$daemon"
status=0
wait "$run" || status=$?
daemon=
says "$address" 135
verdict "the appliance killed: SIGBUS, and its name" $?

summary
