#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# In the client's guest: sort with the memory of the appliance's guest, over a
# line with delay and loss; then a program that touches its memory without end,
# while the host switches the appliance's guest off. /results/touching tells
# the host that it may; /results/noticed, that the program has ended.
. "$XM_SRCDIR/tests/support/run.sh"

address=ofi+tcp://10.66.0.1:7000
export EXTMEM_INSECURE_PLAINTEXT=yes
await "$extmem" info --appliance "$address"
verdict "the appliance is reached" $?

awk 'BEGIN { srand(6); for (i = 0; i < 30000; i++) print rand(), i }' \
	>"$scratch/text"
sort "$scratch/text" >"$scratch/sorted"
chmod 644 "$scratch/text"
for who in "" "$unprivileged"; do
	try $who "$extmem" run --appliance "$address" --local 1M --external 64M \
		-- sort -S 8M "$scratch/text"
	cmp -s "$scratch/sorted" "$scratch/out"
	verdict "sort${who:+, as another user}: the same bytes" $((status + $?))
done

tc -s qdisc show dev eth0

"$extmem" run --appliance "$address" --local 1M --external 64M -- \
	"$XM_BUILDDIR/tests/run/run_program" touch-forever 8 \
	>"$scratch/out" 2>"$scratch/err" &
run=$!
sleep 5
: >/results/touching
status=0
wait $run || status=$?
: >/results/noticed
cat "$scratch/err"
[ $status -eq 135 ] || [ $status -eq 7 ]
verdict "switched off: the program is ended by SIGBUS" $?
says "$address" "$status"
verdict "switched off: the user reads which appliance is lost" $?
summary
