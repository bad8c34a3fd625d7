#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# extmem-sim --minimize: a failing seed's smallest command line is smaller,
# and fails by the same law.
. "$XM_SRCDIR/tests/support/count.sh"
need_simulator

# What a run says of the law it broke, or nothing.
law() {
	"$@" 2>&1 >/dev/null | sed -n 's/^seed [0-9]*: law broken: //p'
}

# A seed whose weather has the event that is to break a law.
for seed in $(seq 1 100); do
	words=$(law "$sim" --seed "$seed" --fail-on weather.kill_client)
	[ -n "$words" ] && break
done
check "some seed's client is killed" test "$words" = "asked for: weather.kill_client"

line=$("$sim" --minimize --quiet --seed "$seed" --fail-on weather.kill_client)
check "a command line is printed" test -n "$line"
check "one thread is enough" \
	expr "$line" : '.* --operations 1 '
check "no operation is needed" \
	expr "$line" : '.*--only-operations none'
shift $#
eval "set -- $line"
shift
check "it fails by the same law" test "$(law "$sim" "$@")" = "$words"
check "and by no other event" \
	test -z "$(law "$sim" "$@" --without kill_client)"
check "a seed that breaks no law is refused" \
	test "$("$sim" --minimize --seed "$seed" --quiet 2>&1)" = \
	"seed $seed breaks no law"
check "a kind that is none is refused" \
	test "$("$sim" --without rain 2>&1)" = \
	"extmem-sim: --without: rain is no kind of fault or operation"

summary
