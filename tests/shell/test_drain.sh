#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# `extmem drain` as an operator meets it: a program sorts under `extmem run`, its
# appliance is emptied meanwhile, and the output is the same.
# Run by `make check`, which sets XM_BUILDDIR.
. "$XM_SRCDIR/tests/support/count.sh"
unset NOTIFY_SOCKET

extmem=$XM_BUILDDIR/extmem
extmemd=$XM_BUILDDIR/extmemd
tcp='ofi+tcp://127.0.0.1:0'
daemons=
# shellcheck disable=SC2086 # several
trap 'kill -9 $daemons 2>/dev/null; rm -rf "$scratch"' EXIT

# usage: start: a daemon; its address is in $address.
start() {
	: >"$scratch/ready"
	"$extmemd" --ready-fd 7 --listen $tcp --memory 256M 7>"$scratch/ready" \
		2>>"$scratch/log" &
	daemon=$!
	daemons="$daemons $daemon"
	await begins_or_ends
	address=$(cat "$scratch/ready")
}
begins_or_ends() {
	[ -s "$scratch/ready" ] || ! kill -0 "$daemon"
}

# usage: drains STATUS WORDS OPTION...
drains() {
	status=$1 words=$2
	shift 2
	timeout 120 "$extmem" drain "$@" >"$scratch/out" 2>&1
	got=$?
	if test $got -eq "$status" && grep -q -- "$words" "$scratch/out"; then
		verdict "extmem drain $*" 0
	else
		cat "$scratch/out" >>"$scratch/log"
		echo "status $got, wanted $status and: $words" >>"$scratch/log"
		verdict "extmem drain $*" 1
	fi
}

leased() {
	"$extmem" status "$1" | sed -n 's/^pool.*: \([0-9]*\)\.[0-9]* MiB leased.*/\1/p'
}

drains 2 'which appliance'
drains 2 'one appliance' a b
drains 1 'no' --timeout 1s ofi+tcp://127.0.0.1:1

start
first=$address
drains 0 'is empty' "$first"
"$extmem" status "$first" | grep -q leaving
verdict "it says that it drains" $?
drains 0 'lends memory again' --off "$first"
"$extmem" status "$first" | grep -q leaving
verdict "it lends again" $((! $?))

start
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
