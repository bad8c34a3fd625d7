#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# extmem-gateway among strangers: malformed requests, slow clients, a crowd; its memory and
# its descriptors stay as they were. XM_REQUESTS: how many malformed ones; XM_SEED: which.
# Run by `make check`, which sets XM_BUILDDIR.
. "$XM_SRCDIR/tests/support/count.sh"
unset NOTIFY_SOCKET

gateway=$XM_BUILDDIR/extmem-gateway
thrower=$XM_BUILDDIR/tests/shell/gateway_thrower
[ -x "$gateway" ] ||
	skip "extmem-gateway is not built (Debian: libmicrohttpd-dev libjansson-dev)"
command -v curl >/dev/null || skip "curl is not there (Debian: curl)"
requests=${XM_REQUESTS:-4000}
seed=${XM_SEED:-18}

echo 0123456789abcdef-acts >"$scratch/token"
chmod 600 "$scratch/token"
: >"$scratch/address"
"$gateway" --listen 127.0.0.1:0 --token-file "$scratch/token" --interval 200ms \
	--read-without-token --connections-max 200 --request-timeout 2s \
	--ready-fd 7 7>"$scratch/address" 2>"$scratch/log" &
daemon=$!
begins_or_ends() {
	[ -s "$scratch/address" ] || ! kill -0 "$daemon"
}
await begins_or_ends
url=$(cat "$scratch/address")
port=${url##*:}
[ -n "$url" ]
verdict "it begins" $?

# usage: throws NAME KIND ARGUMENT...
throws() {
	name=$1 kind=$2
	shift 2
	timeout $((3000 * ${XM_SLOW:-1})) "$thrower" "$kind" "$port" "$@" >"$scratch/out" 2>&1
	verdict "$name: $(tail -n 1 "$scratch/out")" $?
}
figure() {
	curl -s -m 60 "$url/metrics" | sed -n "s/^$1 //p"
}
alone() {
	[ "$(figure extmem_gateway_connections)" -le 1 ]
}

# What it needs for such guests it has from here on.
throws "some to warm up" malformed 1000 "$((seed + 1))"
throws "a crowd to warm up" crowd 1000
await alone
memory=$(figure process_resident_memory_bytes)
descriptors=$(figure process_open_fds)

throws "$requests malformed requests, seed $seed" malformed "$requests" "$seed"
throws "a request beside 1000 connections that say nothing" crowd 1000
throws "slow clients are cut" slow 100 $((20000 * ${XM_SLOW:-1}))
for _ in 1 2 3 4 5 6 7 8 9 10; do
	curl -s -m 60 -o "$scratch/out" -w '%{http_code}\n' -X PUT \
		-H "Authorization: Bearer wrong-0123456789" \
		"$url/v1/appliances/none/drain"
done | sort | uniq -c | grep -q '10 401'
verdict "wrong tokens are refused" $?
[ "$(figure extmem_gateway_wrong_tokens_total)" -ge 10 ]
verdict "and counted" $?

await alone
verdict "every connection has ended" $?
now=$(figure process_open_fds)
[ "$now" -le $((descriptors + 2)) ]
verdict "descriptors: $descriptors before, $now now" $?
now=$(figure process_resident_memory_bytes)
case ${XM_FLAGS-} in
*-fsanitize*)
	echo "skipped: memory: a sanitizer keeps what is freed"
	;;
*)
	[ "$now" -le $((memory + 4194304)) ]
	verdict "memory: $memory bytes before, $now now" $?
	;;
esac
[ "$(curl -s -m 60 "$url/healthz")" = ok ]
verdict "it goes on" $?
kill -TERM "$daemon"
wait "$daemon"
verdict "it ends with status 0" $? "$scratch/log"
daemon=
summary
