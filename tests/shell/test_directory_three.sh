#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# A directory in an etcd of three members: one is killed, and nobody notices; then a second,
# and the one that is left, which can write nothing, still says which appliances there are.
. "$XM_SRCDIR/tests/support/daemons.sh"
unset http_proxy HTTP_PROXY all_proxy ALL_PROXY
configured CURL || skip "extmem-directory is not built (Debian: libcurl4-openssl-dev)"
command -v etcd >/dev/null || skip "etcd is not there (Debian: etcd-server)"

members=
# shellcheck disable=SC2086 # several
trap 'kill -9 $daemons $members 2>/dev/null; rm -rf "$scratch"' EXIT

begin_member() { # NUMBER
	etcd --name "m$1" --data-dir "$scratch/m$1" \
		--listen-client-urls "http://127.0.0.1:$((port + $1))" \
		--advertise-client-urls "http://127.0.0.1:$((port + $1))" \
		--listen-peer-urls "http://127.0.0.1:$((port + 10 + $1))" \
		--initial-advertise-peer-urls "http://127.0.0.1:$((port + 10 + $1))" \
		--initial-cluster "$cluster" >>"$scratch/etcd.log" 2>&1 &
	members="$members $!"
}
listed() {
	"$XM_BUILDDIR/extmem-directory" list "${1:-$url}" >"$scratch/listed"
}
stands() {
	listed "${2-}" && grep -qx "$1" "$scratch/listed"
}
all_live() {
	# shellcheck disable=SC2086 # several
	kill -0 $members 2>/dev/null
}
each_answers() {
	listed "etcd://127.0.0.1:$((port + 1))/x" && listed "etcd://127.0.0.1:$((port + 2))/x" &&
		listed "etcd://127.0.0.1:$((port + 3))/x"
}
answer_or_end() {
	each_answers || ! all_live
}
begun=1
for try in 1 2 3 4 5; do
	port=$((32000 + ($$ * 7 + try * 1013) % 700))
	members=
	url=etcd://127.0.0.1:$((port + 1)),127.0.0.1:$((port + 2)),127.0.0.1:$((port + 3))/three
	cluster=
	for i in 1 2 3; do
		cluster="$cluster${cluster:+,}m$i=http://127.0.0.1:$((port + 10 + i))"
	done
	for i in 1 2 3; do
		begin_member $i
	done
	await answer_or_end
	all_live && begun=0 && break
	# shellcheck disable=SC2086 # several
	kill -9 $members 2>/dev/null
	rm -rf "$scratch"/m[123]
done
verdict "an etcd of three begins" $begun "$scratch/etcd.log"

start --memory 8M --directory "$url"
one=$address
check "an appliance stands there" await stands "$one"
# shellcheck disable=SC2086 # several
set -- $members
last=etcd://127.0.0.1:$((port + 3))/three
kill -9 "$1"
check "it does when the first member is killed" await stands "$one"
start --memory 8M --directory "$url"
check "another is written down all the same" await stands "$address"
check "at each member" await stands "$address" "$last"
kill -9 "$2"
said_away() {
	[ "$(grep -c 'directory: .* does not answer' "$scratch/log")" -eq 2 ]
}
check "without the second, both say that etcd does not answer" await said_away
check "and lend memory all the same" "$extmem" status "$one"
check "the last member still says who is there" stands "$one"
reached() {
	"$extmem" info --appliance "$url" >"$scratch/out" 2>"$scratch/err" &&
		[ "$(grep -c '^appliance.*, ready' "$scratch/out")" -eq 2 ]
}
check "and a client has both" reached
begin_member 2
again() {
	[ "$(grep -c 'directory: clients find this' "$scratch/log")" -eq 4 ]
}
check "with the second again, both stand there" await again
check "the one" await stands "$one"
check "and the other" await stands "$address"
summary
