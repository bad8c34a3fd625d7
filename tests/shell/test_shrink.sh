#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# An appliance gives memory back to its host, by `extmem shrink`, by SIGHUP and by itself,
# while a program sorts under `extmem run`: the output is the same, and the pages are the
# host's.
# Run by `make check`, which sets XM_BUILDDIR.
. "$XM_SRCDIR/tests/support/daemons.sh"

shrinks() {
	says shrink "$@"
}

# usage: pool_mib PID: what the banks of this daemon take of the host's memory.
pool_mib() {
	sum=0
	for fd in /proc/"$1"/fd/*; do
		case $(readlink "$fd") in
		*memfd:extmem-bank*)
			sum=$((sum + $(stat -L -c %b "$fd") / 2048)) ;;
		esac
	done
	echo $sum
}

shrinks 2 'which appliance, and to what size'
shrinks 2 'is no size' ofi+tcp://127.0.0.1:1 much
shrinks 1 'no' ofi+tcp://127.0.0.1:1 1M

echo 'memory = 192M' >"$scratch/config"
start --config "$scratch/config"
first=$address first_pid=$daemon
test "$(pool_mib $first_pid)" -ge 192
verdict "the pool is there from the start" $?
shrinks 0 'has 64.0 MiB now' "$first" 64M
test "$(pool_mib $first_pid)" -eq 64
verdict "its pages are the host's" $?
shrinks 1 'larger --memory' "$first" 1G
shrinks 0 '"goal": 201326592' --json "$first" 192M
test "$(pool_mib $first_pid)" -eq 192
verdict "they are the pool's again" $?

start --memory 256M
second=$address
awk 'BEGIN { srand(7); for (i = 0; i < 1000000; i++) print int(rand() * 1e9) }' \
	>"$scratch/in"
LC_ALL=C sort "$scratch/in" >"$scratch/wanted"
LC_ALL=C "$extmem" run --local 8M --appliance "$first" --appliance "$second" \
	--strategy 'rank listed' -- \
	sort --parallel=1 -S 150M "$scratch/in" >"$scratch/sorted" 2>>"$scratch/log" &
program=$!
for _ in $(seq 1200); do
	test "$(leased "$first")" -gt 16 && break
	kill -0 $program 2>/dev/null || break
	sleep 0.05
done
echo 'memory = 16M' >"$scratch/config"
kill -HUP $first_pid
is_small() {
	test "$(pool_mib $first_pid)" -le 16 && grep -q 'as was asked' "$scratch/log"
}
await is_small
verdict "SIGHUP with less memory gives it back" $?
wait $program
verdict "the program that used it goes on" $?
cmp -s "$scratch/wanted" "$scratch/sorted"
verdict "its output is the same" $?
echo 'memory = 1G' >"$scratch/config"
kill -HUP $first_pid
await grep -q 'memory was 192 MiB at the start' "$scratch/log"
verdict "more than at the start is refused in words" $?

# What cannot move is seen.
start --memory 16M
narrow=$address
start --memory 192M
third=$address
mkfifo "$scratch/fifo"
head -n 100000 "$scratch/in" >"$scratch/few"
LC_ALL=C sort "$scratch/few" >"$scratch/wanted"
LC_ALL=C "$extmem" run --local 8M --appliance "$third" --appliance "$narrow" \
	--strategy 'rank listed' -- \
	sort --parallel=1 -S 60M "$scratch/few" "$scratch/fifo" \
	>"$scratch/sorted" 2>>"$scratch/log" &
program=$!
for _ in $(seq 1200); do
	test "$(leased "$third")" -gt 16 && break
	kill -0 $program 2>/dev/null || break
	sleep 0.05
done
"$extmem" shrink --timeout 1s "$third" 16M >>"$scratch/log" 2>&1
is_shown() {
	"$extmem" top --once >"$scratch/top" 2>>"$scratch/log"
	grep -q 'drains or takes memory back.*have nowhere to go' "$scratch/top"
}
await is_shown
verdict "extmem top shows what is asked back, and has nowhere to go" $?
: >"$scratch/fifo"
wait $program && cmp -s "$scratch/wanted" "$scratch/sorted"
verdict "the program goes on with it" $?

# A machine that lacks memory, since it is never to have less than it can have.
start --memory 64M --give-back 16T
is_given() {
	test "$(pool_mib "$daemon")" -eq 0
}
await is_given
verdict "under pressure it gives by itself" $?
grep -q 'giving memory back' "$scratch/log"
verdict "it says so" $?
summary
