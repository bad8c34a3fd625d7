#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# A directory of appliances in a real etcd of one node: appliances are found by clients as long
# as they live, go on when etcd is killed, and stand there again when it is back. What is wrong
# is refused in words.
. "$XM_SRCDIR/tests/support/daemons.sh"
unset http_proxy HTTP_PROXY all_proxy ALL_PROXY

# --- without etcd ------------------------------------------------------------------------

says_no() { # STATUS WORDS COMMAND...
	wanted=$1 words=$2
	shift 2
	timeout 60 "$@" >"$scratch/out" 2>"$scratch/err"
	[ $? -eq "$wanted" ] && grep -q -e "$words" "$scratch/out" "$scratch/err"
}
check "a directory that is no URL is refused" says_no 2 'write etcd://HOST:PORT/PREFIX' \
	"$extmemd" --listen "$tcp" --memory 1M --directory etcd://127.0.0.1/extmem --check-config
check "and one for which the address is everybody's" says_no 2 'say --advertise HOST' \
	"$extmemd" --listen ofi+tcp://0.0.0.0:0 --insecure-plaintext --memory 1M \
	--directory etcd://127.0.0.1:1/extmem --check-config
check "a client's, too" says_no 1 'write etcd://HOST:PORT/PREFIX' \
	"$extmem" status etcd://127.0.0.1/extmem

if [ -x "$XM_BUILDDIR/extmem-gateway" ]; then
	check "the gateway, which reads none, says so" says_no 2 'reads no directory: name' \
		"$XM_BUILDDIR/extmem-gateway" --appliance etcd://127.0.0.1:1/extmem \
		--listen 127.0.0.1:0 --read-without-token
fi

# Programs without extmem-directory beside them.
mkdir "$scratch/alone"
cp "$extmem" "$extmemd" "$scratch/alone"
check "without extmem-directory, extmemd says what is missing" env PATH=/nowhere \
	"$scratch/alone/extmemd" --version
check "and does not begin with a directory" says_no 2 'extmem-directory, which asks etcd' \
	env PATH=/nowhere "$scratch/alone/extmemd" --listen "$tcp" --memory 1M \
	--directory etcd://127.0.0.1:1/extmem
check "nor does a client" says_no 1 'extmem-directory, which asks etcd' \
	env PATH=/nowhere "$scratch/alone/extmem" status etcd://127.0.0.1:1/extmem

configured CURL || {
	echo "skipped what needs extmem-directory, which is not built (Debian: libcurl4-openssl-dev)"
	summary
	exit
}
check "an etcd that is not there is named, with what to do" \
	says_no 1 'does not answer: .*Is etcd running' "$extmem" status etcd://127.0.0.1:1/extmem
check "and the program is not run" says_no 125 'does not answer' \
	"$extmem" run --appliance etcd://127.0.0.1:1/extmem -- true

# --- with etcd -----------------------------------------------------------------------------

command -v etcd >/dev/null || {
	echo "skipped what needs etcd, which is not there (Debian: etcd-server)"
	summary
	exit
}
etcd_pid=
# shellcheck disable=SC2086 # several
trap 'kill -9 $daemons $etcd_pid 2>/dev/null; rm -rf "$scratch"' EXIT

# It has no way to take a free port and say which.
begin_etcd() {
	etcd --data-dir "$scratch/etcd" --listen-client-urls "http://127.0.0.1:$port" \
		--advertise-client-urls "http://127.0.0.1:$port" \
		--listen-peer-urls "http://127.0.0.1:$((port + 1))" \
		--initial-advertise-peer-urls "http://127.0.0.1:$((port + 1))" \
		--initial-cluster "default=http://127.0.0.1:$((port + 1))" \
		>>"$scratch/etcd.log" 2>&1 &
	etcd_pid=$!
	await answers_or_ends
	kill -0 "$etcd_pid" 2>/dev/null
}
listed() {
	"$XM_BUILDDIR/extmem-directory" list "$url" >"$scratch/listed"
}
answers_or_ends() {
	listed || ! kill -0 "$etcd_pid" 2>/dev/null
}
begun=1
for try in 1 2 3 4 5; do
	port=$((20000 + ($$ * 7 + try * 1013) % 12000))
	# A member that is away stands before it, everywhere.
	url=etcd://127.0.0.1:1,127.0.0.1:$port/test/extmem
	begin_etcd && begun=0 && break
	rm -rf "$scratch/etcd"
done
verdict "etcd begins" $begun "$scratch/etcd.log"
check "nobody stands there yet, and that is said" \
	says_no 1 "no appliance stands in etcd://.*begin extmemd" "$extmem" status "$url"

# usage: stands ADDRESS: it is in the directory. left ADDRESS: it is not, and etcd answers.
stands() {
	listed && grep -qx "$1" "$scratch/listed"
}
left() {
	listed && ! grep -qx "$1" "$scratch/listed"
}
start --memory 16M --directory "$url" --name one --zone red
one=$address one_pid=$daemon
start --memory 64M --directory "$url" --name two --zone blue
two=$address two_pid=$daemon
check "an appliance stands there" await stands "$one"
check "and another" await stands "$two"
check "the one with most free memory first" test "$(head -n 1 "$scratch/listed")" = "$two"
both() {
	"$extmem" status "$url" >"$scratch/out" 2>"$scratch/err" &&
		grep -q "^appliance.*$one (one, zone red)" "$scratch/out" &&
		grep -q "^appliance.*$two (two, zone blue)" "$scratch/out"
}
check "extmem status has both" both
json() {
	"$extmem" status --json "$url" >"$scratch/out" &&
		python3 -c 'import json, sys
sys.exit(sorted(x["name"] for x in json.load(sys.stdin)) != ["one", "two"])' <"$scratch/out"
}
if configured JANSSON && command -v python3 >/dev/null; then
	check "as JSON, too" json
fi
reached() {
	"$extmem" info --appliance "$url" >"$scratch/out" 2>"$scratch/err" &&
		[ "$(grep -c '^appliance.*, ready' "$scratch/out")" -eq 2 ]
}
check "a client that is opened with the directory has both" reached
with_variable() {
	EXTMEM_APPLIANCE="$url" "$extmem" info >"$scratch/out" 2>"$scratch/err" &&
		[ "$(grep -c '^appliance.*, ready' "$scratch/out")" -eq 2 ]
}
check "also by a variable, where commas separate" with_variable
program=$XM_BUILDDIR/tests/run/run_program
"$program" malloc 16 >"$scratch/plain"
runs() {
	timeout 300 "$extmem" run --appliance "$url" --local 4M --external 24M -- \
		"$program" malloc 16 >"$scratch/out" 2>"$scratch/err" &&
		cmp "$scratch/plain" "$scratch/out"
}
if [ -e "$XM_BUILDDIR/.libs/libextmem-run.so" ]; then
	check "a program runs on what stands there" runs
fi
# By libextmem.so, which finds extmem-directory by PATH.
library() {
	cat >"$scratch/program.c" <<END
#include <stdio.h>
#include "extmem.h"
int main(int argc, char *argv[])
{
	char text[400];
	const char *const settings[] = { text, "local=4M", NULL };
	struct extmem_info info = { .size = sizeof(info) };
	extmem *x;
	int count = 0;
	if (argc != 2)
		return 2;
	snprintf(text, sizeof(text), "appliance=%s", argv[1]);
	if (extmem_open(settings, &x) < 0)
		return puts(extmem_error()), 1;
	while (extmem_info(x, count, &info) == 0)
		printf("%d %s\\n", count++, info.appliance);
	return extmem_close(x) < 0;
}
END
	# shellcheck disable=SC2086 # several words
	$XM_CC -I"$XM_SRCDIR/core" "$scratch/program.c" -o "$scratch/program" $XM_FLAGS \
		-L"$XM_BUILDDIR/.libs" -lextmem >"$scratch/err" 2>&1
}
of_library() {
	LD_LIBRARY_PATH="$XM_BUILDDIR/.libs" PATH="$XM_BUILDDIR:$PATH" timeout 300 \
		"$scratch/program" "$1" >"$scratch/out" 2>"$scratch/err"
}
has_both() {
	of_library "$url" && grep -qx "0 $two" "$scratch/out" && grep -qx "1 $one" "$scratch/out"
}
says_so() {
	! of_library "$1" && grep -q "extmem_open: .*$1.*$2" "$scratch/out"
}
if [ -n "${XM_CC-}" ]; then
	check "a program that uses the library compiles" library
	check "and has both" has_both
	check "or words, if nobody stands there" says_so "$url/none" "begin extmemd"
	check "or if etcd does not answer" says_so etcd://127.0.0.1:1/extmem "Is etcd running"
fi

# --- etcd is killed, and comes back -----------------------------------------------------------

kill -9 "$etcd_pid"
wait "$etcd_pid" 2>/dev/null
said_away() {
	[ "$(grep -c 'directory: .* does not answer' "$scratch/log")" -eq 2 ]
}
check "both say that etcd is away" await said_away
check "and lend memory all the same" "$extmem" status "$one"
known() {
	"$extmem" info --appliance "$url" --appliance "$one" >"$scratch/out" 2>"$scratch/err" &&
		grep -q 'does not answer' "$scratch/err" &&
		[ "$(grep -c '^appliance.*, ready' "$scratch/out")" -eq 1 ]
}
check "who knows an address goes on with it, and is told" known
# One leaves meanwhile: it does not wait for etcd.
kill "$two_pid"
wait "$two_pid"
verdict "an appliance ends without etcd" $?
check "etcd is back, with what it had" begin_etcd
check "the appliance stands there again" await stands "$one"
check "the one that left does not, when its lease has ended" await left "$two"
again() {
	[ "$(grep -c 'directory: clients find this' "$scratch/log")" -ge 3 ]
}
check "that is said" await again
verdict "that it was away was said once by each" \
	"$(($(grep -c 'directory: .* does not answer' "$scratch/log") - 2))" "$scratch/log"

# An etcd that has forgotten all.
kill -9 "$etcd_pid"
wait "$etcd_pid" 2>/dev/null
rm -rf "$scratch/etcd"
check "an etcd that is empty takes its place" begin_etcd
check "and the appliance stands there again" await stands "$one"

# --- ends ------------------------------------------------------------------------------------

keeper=$(ps -o pid= --ppid "$one_pid" -C extmem-directory 2>/dev/null |
	while read -r pid; do
		[ "$(ps -o ppid= -p "$pid")" -eq "$one_pid" ] &&
			[ "$(ps -o comm= -p "$pid")" = extmem-director ] && echo "$pid"
	done)
if [ -n "$keeper" ]; then
	kill -9 "$keeper"
	begun_again() {
		grep -q 'extmem-directory has ended; it is begun again' "$scratch/log"
	}
	check "a keeper that is killed is begun again" await begun_again
	check "and the appliance stands there" await stands "$one"
fi
kill "$one_pid"
wait "$one_pid"
verdict "it ends well" $?
listed
verdict "its entry is gone with it" "$(grep -cx "$one" "$scratch/listed")" "$scratch/listed"
start --memory 16M --directory "$url"
check "another begins" await stands "$address"
kill -9 "$daemon"
check "of one that was killed the entry goes, too" await left "$address"
summary
