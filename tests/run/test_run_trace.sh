#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# `extmem trace`: a program with two copies of its memory, of whose appliances one is killed
# and comes back: what it keeps of that, in words, in JSON and while it happens.
. "$XM_SRCDIR/tests/support/run.sh"
unset NOTIFY_SOCKET

pids=
# shellcheck disable=SC2086 # several
trap 'kill -9 $pids 2>/dev/null; rm -rf "$scratch"' EXIT

# usage: appliance ADDRESS: its number in $pid, its address in $address.
appliance() {
	: >"$scratch/ready"
	"$XM_BUILDDIR/extmemd" --listen "$1" --memory 64M --lease 2s --ready-fd 7 \
		6>&- 7>"$scratch/ready" 2>>"$scratch/log" &
	pid=$!
	pids="$pids $pid"
	await test -s "$scratch/ready"
	address=$(cat "$scratch/ready")
}
appliance ofi+tcp://127.0.0.1:0
first=$pid first_address=$address
appliance ofi+tcp://127.0.0.1:0
second_address=$address

mkfifo "$scratch/pipe"
"$extmem" run --local 4M --strategy 'mirror 2' --appliance "$first_address" \
	--appliance "$second_address" -- \
	awk -v pipe="$scratch/pipe" 'BEGIN {
		for (i = 0; i < 200000; i++)
			a[i] = i
		print "filled" >"/dev/stderr"
		getline <pipe
		for (i = 0; i < 200000; i++)
			if (a[i] != i)
				exit 1
	}' 2>"$scratch/err" &
run=$!
exec 6<>"$scratch/pipe"
await grep -q filled "$scratch/err"
verdict 'a program runs' $?
program=$(children_of $run | tr -d ' ')

# usage: tells WORDS: the program's trace has them.
tells() {
	"$extmem" trace "$program" >"$scratch/out" 2>&1 && grep -q -- "$1" "$scratch/out"
}
check 'the trace has the appliances that it began with' await \
	tells "appliance info: $first_address is ready"
check 'and its copies' await tells 'copies info: view [0-9]* of the appliances'

"$extmem" trace --follow "$program" >"$scratch/followed" 2>&1 6>&- &
follower=$!
kill -9 "$first"
wait "$first" 2>/dev/null
check 'an appliance that is killed is told' await \
	tells "appliance warning: $first_address is away: [a-z]"
check 'and that copies are missing' await tells 'copies warning: [0-9]* of [0-9]* copies'
appliance "$first_address"
back() {
	tells . && [ "$(grep -c "appliance info: $first_address is ready" "$scratch/out")" -ge 2 ]
}
check 'when it comes back, that is told' await back
grep -qE "^20[0-9-]+T[0-9:]+\.[0-9]{3}Z [a-z]*awk\[$program\] " "$scratch/out"
verdict 'with the time, and whose it is' $?

if configured JANSSON; then
	"$extmem" trace --json "$program" >"$scratch/out" 2>&1
	grep -qE '^\{"time":"20.*"level":"warning","message":".* is away' "$scratch/out"
	verdict 'in JSON, too' $?
fi
exec 6>&-
wait $run
verdict 'the program has what it stored' $?
await test ! -e "/proc/$follower"
wait $follower
verdict 'who follows a program ends with it' $?
grep -q 'is away' "$scratch/followed" && grep -q 'copies' "$scratch/followed"
verdict 'and was told on the way' $? "$scratch/followed"
try "$extmem" trace "$program"
says 'no program with external memory here is' 1
verdict 'who has ended is not there any more' $?
try "$extmem" trace one two
says 'one program, or none' 2
verdict 'one at most can be named' $?
summary
