#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# `extmem drain` as an operator meets it: a program sorts under `extmem run`, its
# appliance is emptied meanwhile, and the output is the same.
# Run by `make check`, which sets XM_BUILDDIR.
. "$XM_SRCDIR/tests/support/daemons.sh"

drains() {
	says drain "$@"
}

drains 2 'which appliance'
drains 2 'one appliance' a b
drains 1 'no' --timeout 1s ofi+tcp://127.0.0.1:1

start --memory 256M
first=$address
drains 0 'is empty' "$first"
"$extmem" status "$first" | grep -q leaving
verdict "it says that it drains" $?
drains 0 'lends memory again' --off "$first"
"$extmem" status "$first" | grep -q leaving
verdict "it lends again" $((! $?))

start --memory 256M
second=$address second_pid=$daemon
awk 'BEGIN { srand(7); for (i = 0; i < 1000000; i++) print int(rand() * 1e9) }' \
	>"$scratch/in"
LC_ALL=C sort "$scratch/in" >"$scratch/wanted"
LC_ALL=C "$extmem" run --local 8M --appliance "$second" --appliance "$first" -- \
	sort --parallel=1 -S 200M "$scratch/in" >"$scratch/sorted" 2>>"$scratch/log" &
program=$!
for _ in $(seq 1200); do
	test "$(leased "$second")" -gt 0 && break
	kill -0 $program 2>/dev/null || break
	sleep 0.05
done
drains 0 'is empty' "$second"
wait $program
verdict "the program that used it goes on" $?
cmp -s "$scratch/wanted" "$scratch/sorted"
verdict "its output is the same" $?
kill -TERM $second_pid
wait $second_pid
verdict "the empty appliance ends with status 0" $?
summary
