#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# Programs that wait in the kernel, for each other, on lists that lie in external
# memory: what they wait for reaches them, and nothing else is changed.
. "$XM_SRCDIR/tests/support/run.sh"

program=$XM_BUILDDIR/tests/run/run_waits

# usage: compare NAME COMMAND...: of $use, begun by that command.
compare() {
	name=$1
	shift
	try "$@" --local 3M --external 64M -- "$program" "$use"
	cmp -s "$scratch/plain" "$scratch/out"
	verdict "$use: $name" $((status + $?))
}

for use in polled epolled selected masked words interrupted messages locked; do
	"$program" "$use" >"$scratch/plain" 2>&1
	compare "as plain" "$extmem" run
	[ -z "$unprivileged" ] ||
		compare "as an unprivileged user" $unprivileged "$extmem" run
done

# Descriptors of ours would be open for ever in a program that executes another,
# and what closes all that it finds (closefrom(3)) would never come to its end.
try "$extmem" run -- sh -c 'exec sh -c "ls /proc/self/fd; true"'
[ "$status" -eq 0 ] && ! grep -q '^[0-9]\{4,\}' "$scratch/out"
verdict "no descriptor of the library's is open after exec" $?

# A runtime whose schedulers wait for each other, begun by two others.
if ! command -v erl >/dev/null; then
	echo "skipped: Erlang: it is not there (Debian: erlang-base)"
else
	try "$extmem" run --local 64M -- erl -noshell \
		-eval 'io:format("~p~n", [lists:sum(lists:seq(1, 100000))]), halt().'
	[ "$status" -eq 0 ] && [ "$(cat "$scratch/out")" = 5000050000 ]
	verdict "Erlang computes, and ends" $?
fi
summary
