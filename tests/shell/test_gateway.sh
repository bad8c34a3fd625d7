#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# extmem-gateway as an operator, Prometheus and a stranger meet it.
# Run by `make check`, which sets XM_SRCDIR and XM_BUILDDIR.
. "$XM_SRCDIR/tests/support/count.sh"
unset NOTIFY_SOCKET

gateway=$XM_BUILDDIR/extmem-gateway
[ -x "$gateway" ] ||
	skip "extmem-gateway is not built (Debian: libmicrohttpd-dev libjansson-dev)"
command -v curl >/dev/null || skip "curl is not there (Debian: curl)"

daemons=
# shellcheck disable=SC2086 # several
trap 'kill -9 $daemons 2>/dev/null; rm -rf "$scratch"' EXIT

# usage: start FILE PROGRAM ARGUMENT...: its address is in $address, its process in
# $daemon.
start() {
	: >"$1"
	ready=$1
	shift
	"$@" --ready-fd 7 7>"$ready" 2>>"$scratch/log" &
	daemon=$!
	daemons="$daemons $daemon"
	await begins_or_ends
	address=$(cat "$ready")
	[ -n "$address" ]
}
begins_or_ends() {
	[ -s "$ready" ] || ! kill -0 "$daemon"
}

# --- what it does not begin with ----------------------------------------------

# usage: refuses STATUS WORDS OPTION...
refuses() {
	wanted=$1 words=$2
	shift 2
	timeout 60 "$gateway" "$@" >"$scratch/out" 2>&1
	got=$?
	[ $got -eq "$wanted" ] && grep -q -e "$words" "$scratch/out"
	verdict "extmem-gateway $*: $words" $?
}

echo 0123456789abcdef-acts >"$scratch/token"
echo 0123456789abcdef-reads >"$scratch/reads"
echo short >"$scratch/short"
chmod 600 "$scratch/token" "$scratch/reads" "$scratch/short"
cp "$scratch/token" "$scratch/open"
chmod 640 "$scratch/open"
refuses 2 'nobody could read'
refuses 2 'chmod 600' --token-file "$scratch/open"
refuses 2 'fewer than 16' --token-file "$scratch/short"
refuses 2 'No such file' --token-file "$scratch/nothing"
refuses 2 'go together' --read-without-token --tls-key "$scratch/token"
refuses 2 'reverse proxy' --token-file "$scratch/token" --listen 0.0.0.0:0
refuses 2 'its id' --read-without-token --appliance a:1 --appliance a/1
refuses 2 'HOST:PORT' --read-without-token --listen localhost
refuses 2 'gateway, http, appliances' --read-without-token --log-level network=info
refuses 0 'listen' --read-without-token --check-config
grep -q 0123456789abcdef "$scratch/out" "$scratch/log" 2>/dev/null
verdict "no token is printed" $((! $?))

# --- two appliances, one that is away, a program --------------------------------

for name in red blue; do
	start "$scratch/$name" "$XM_BUILDDIR/extmemd" --memory 64M --name $name \
		--listen ofi+tcp://127.0.0.1:0 || break
	eval "$name=\$address ${name}_pid=\$daemon"
done
start "$scratch/gateway" "$gateway" --listen 127.0.0.1:0 --interval 200ms \
	--appliance "$red" --appliance "$blue" \
	--appliance ofi+tcp://127.0.0.1:1 \
	--token-file "$scratch/token" --read-token-file "$scratch/reads"
verdict "it begins" $? "$scratch/log"
url=$address gateway_pid=$daemon
acts='Authorization: Bearer 0123456789abcdef-acts'
reads='Authorization: Bearer 0123456789abcdef-reads'
id=$(echo "$red" | sed 's/[^A-Za-z0-9.-]/_/g')

# usage: ask STATUS PATH CURL-OPTION...: the answer is in out.
ask() {
	wanted=$1 path=$2
	shift 2
	got=$(curl -s -m 60 -o "$scratch/out" -w '%{http_code}' "$@" "$url$path")
	[ "$got" = "$wanted" ]
}
answers() {
	ask "$@"
	verdict "$3${4:+ ...} $2: $1" $?
}
has() {
	grep -qE -- "$1" "$scratch/out"
}
ready() {
	ask 200 /readyz
}
await ready
verdict "it is ready when all were asked and one answers" $?
answers 200 /healthz -X GET
answers 200 / -X GET

described=
command -v python3 >/dev/null && described=yes
[ -n "$described" ] || echo "skipped: answers and docs/openapi.json: python3 is not there"
# usage: fits METHOD PATH STATUS: what is in out is what docs/openapi.json says.
fits() {
	[ -n "$described" ] || return 0
	python3 "$XM_SRCDIR/tests/shell/schema.py" \
		"$XM_SRCDIR/docs/openapi.json" "$@" <"$scratch/out" \
		>"$scratch/wrong" 2>&1
	verdict "$1 $2 $3 is as described" $? "$scratch/wrong"
}

answers 401 /v1/appliances -X GET
fits get /v1/appliances 401
answers 401 /v1/appliances -H 'Authorization: Bearer 0123456789abcdef-wrong'
answers 403 "/v1/appliances/$id/drain" -H "$reads" -X PUT
answers 403 "/v1/appliances/$id/drain" -H "$acts" -X PUT \
	-H 'Origin: http://evil.example'
answers 421 / -H 'Host: evil.example'
answers 404 /v1/appliances/nothing -H "$reads"
answers 404 /v2 -H "$reads"
answers 405 /v1/appliances -H "$reads" -X DELETE
answers 413 /v1/strategies/check -H "$reads" -d "$(head -c 20000 /dev/zero | tr '\0' x)"
answers 400 /v1/strategies/check -H "$reads" -d '{"strategy":"mirror 2"}'
answers 422 /v1/strategies/check -H "$reads" -d '{"strategy":"mirror 0","bytes":1}'
fits post /v1/strategies/check 422
answers 400 '/v1/appliances?cursor=x' -H "$reads"

# A program that has memory at the first of them until its pipe is closed.
mkfifo "$scratch/pipe"
EXTMEM_OPEN_AFTER=0 "$XM_BUILDDIR/extmem" run --local 4M --appliance "$red" \
	--appliance "$blue" -- \
	awk -v pipe="$scratch/pipe" 'BEGIN {
		for (i = 0; i < 200000; i++)
			a[i] = i
		getline <pipe
	}' 2>>"$scratch/log" &
program=$!
exec 6<>"$scratch/pipe"
leased() {
	ask 200 "/v1/appliances/$id" -H "$reads" && has '"lent_bytes":[1-9]'
}
case ${XM_FLAGS-} in
*-fsanitize*)
	echo "skipped: a program's figures: a sanitizer's library must be first"
	;;
*)
	await leased
	verdict "an appliance shows what it has lent" $?
	seen() {
		ask 200 /v1/clients -H "$reads" && has '"program":"[a-z]*awk"'
	}
	await seen
	verdict "the program is shown" $?
	sleep 0.5
	;;
esac

for path in /v1 /v1/appliances "/v1/appliances/$id" "/v1/appliances/$id/regions" \
	/v1/regions /v1/clients /v1/history /v1/strategies; do
	answers 200 "$path" -H "$reads"
	fits get "$path" 200
done
answers 200 /v1/strategies/check -H "$reads" \
	-d '{"strategy":"mirror 2","bytes":65536}'
fits post /v1/strategies/check 200
has '"met":true'
verdict "a strategy is checked" $?
answers 200 '/v1/appliances?limit=1' -H "$reads"
next=$(sed -n 's/.*"next":"\([^"]*\)".*/\1/p' "$scratch/out")
pages=1
while [ -n "$next" ] && [ $pages -lt 9 ]; do
	ask 200 "/v1/appliances?limit=1&cursor=$next" -H "$reads"
	next=$(sed -n 's/.*"next":"\([^"]*\)".*/\1/p' "$scratch/out")
	pages=$((pages + 1))
done
[ $pages -eq 3 ]
verdict "a list has pages, each item is on one" $?

answers 200 /metrics -H "$reads"
has 'extmem_appliance_up\{.*:1"\} 0' && has 'extmem_appliance_pool_bytes\{.*\} 67108864'
verdict "metrics have the appliances" $?
if command -v promtool >/dev/null; then
	promtool check metrics <"$scratch/out" >"$scratch/wrong" 2>&1
	verdict "promtool has nothing to say about the metrics" $? "$scratch/wrong"
	promtool check rules "$XM_SRCDIR/gateway/alerts.yml" >"$scratch/wrong" 2>&1 &&
		promtool test rules "$XM_SRCDIR/gateway/alerts_test.yml" \
			>"$scratch/wrong" 2>&1
	verdict "alerts fire when they should" $? "$scratch/wrong"
else
	echo "skipped: promtool is not there (Debian: prometheus)"
fi

sed -n 's/^# TYPE \([a-z_]*\) .*/\1/p' "$scratch/out" >"$scratch/known"
grep -ohE '\bextmem_(appliance|client|host|gateway)_[a-z_]+' \
	"$XM_SRCDIR/gateway/alerts.yml" "$XM_SRCDIR/gateway/grafana.json" |
	sed 's/_seconds_\(bucket\|count\|sum\)$/_seconds/' | sort -u |
	grep -vxFf "$scratch/known" >"$scratch/wrong"
complaints "alerts and the dashboard name metrics that there are" "$scratch/wrong"

# --- an act ---------------------------------------------------------------------

for _ in 1 2; do # twice: it is idempotent
	answers 200 "/v1/appliances/$id/drain" -H "$acts" -X PUT
	fits put "/v1/appliances/$id/drain" 200
done
state() {
	ask 200 "/v1/appliances/$id" -H "$reads" && has "\"state\":\"$1\""
}
await state draining
verdict "the appliance drains" $?
answers 200 "/v1/appliances/$id/drain" -H "$acts" -X DELETE
await state up
verdict "it lends again" $?

answers 403 "/v1/appliances/$id/pool" -H "$reads" -X PUT -d '{"bytes":1}'
answers 400 "/v1/appliances/$id/pool" -H "$acts" -X PUT -d '{"bytes":"all"}'
answers 422 "/v1/appliances/$id/pool" -H "$acts" -X PUT -d '{"bytes":-1}'
answers 422 "/v1/appliances/$id/pool" -H "$acts" -X PUT -d '{"bytes":1099511627776}'
fits put "/v1/appliances/$id/pool" 422
answers 404 "/v1/appliances/nothing/pool" -H "$acts" -X PUT -d '{"bytes":1}'
answers 200 "/v1/appliances/$id/pool" -H "$acts" -X PUT -d '{"bytes":50331648}'
fits put "/v1/appliances/$id/pool" 200
shrunk() {
	ask 200 "/v1/appliances/$id" -H "$reads" && has '"pool_bytes":50331648[,}]'
}
await shrunk
verdict "the appliance has shrunk" $?
answers 200 "/v1/appliances/$id/pool" -H "$acts" -X PUT -d '{"bytes":67108864}'
grown() {
	ask 200 "/v1/appliances/$id" -H "$reads" && has '"pool_bytes":67108864[,}]'
}
await grown
verdict "and grown again" $?

# --- a region for somebody else -------------------------------------------------------

# usage: make_region STATUS JSON CURL-OPTION...: its token is in $token.
make_region() {
	wanted=$1 json=$2
	shift 2
	answers "$wanted" /v1/regions -H "$acts" -d "$json" "$@"
	fits post /v1/regions "$wanted"
	token=$(sed -n 's/.*"token":"\([^"]*\)".*/\1/p' "$scratch/out")
}
answers 403 /v1/regions -H "$reads" -d '{"bytes":65536}'
make_region 400 '{"size":65536}'
make_region 422 '{"bytes":65536,"strategy":"mirror 9"}'
make_region 507 '{"bytes":1099511627776}'
case ${XM_FLAGS-} in
*-fsanitize*)
	echo "skipped: a region for somebody else"
	;;
*)
	make_region 201 '{"bytes":2097152,"name":"for-ann","strategy":"mirror 2"}' \
		-H 'Idempotency-Key: one'
	first=$token
	make_region 201 '{"bytes":2097152,"name":"for-ann","strategy":"mirror 2"}' \
		-H 'Idempotency-Key: one'
	[ -n "$first" ] && [ "$token" = "$first" ]
	verdict "a repeated request makes nothing" $?
	make_region 422 '{"bytes":4194304}' -H 'Idempotency-Key: one'
	listed() {
		ask 200 /v1/regions -H "$reads" &&
			[ "$(grep -o '"name":"for-ann"' "$scratch/out" | wc -l)" -eq 2 ]
	}
	await listed
	verdict "the region waits, with both its copies" $?
	answers 200 /v1/regions/free -H "$acts" -d "{\"token\":\"$first\"}"
	fits post /v1/regions/free 200
	answers 404 /v1/regions/free -H "$acts" -d "{\"token\":\"$first\"}"
	fits post /v1/regions/free 404
	unlisted() {
		ask 200 /v1/regions -H "$reads" && ! has '"name":"for-ann"'
	}
	await unlisted
	verdict "it is free again" $?
	;;
esac

# --- the page, as an operator uses it -----------------------------------------------

browser=
for name in chromium-headless-shell chromium chromium-browser; do
	browser=$(command -v $name) && break
done
if [ -z "$browser" ] || ! command -v python3 >/dev/null; then
	echo "skipped: the page: no chromium, or no python3 (Debian: chromium)"
else
	start "$scratch/open" "$gateway" --listen 127.0.0.1:0 --interval 200ms \
		--appliance "$red" --appliance "$blue" \
		--token-file "$scratch/token" --read-without-token
	timeout 300 python3 "$XM_SRCDIR/tests/shell/page.py" "$browser" "$address/" \
		0123456789abcdef-acts blue "${XM_PICTURES:-}" >"$scratch/out" 2>&1
	verdict "the page shows appliances, and acts on them with a token" $?
	kill -TERM "$daemon"
fi

kill -9 "$red_pid"
await state away
verdict "an appliance that has died is away" $?
has '"reason":"[^"]'
verdict "and there is a reason" $?
answers 502 "/v1/appliances/$id/drain" -H "$acts" -X PUT
fits put "/v1/appliances/$id/drain" 502
ask 200 /metrics -H "$reads"
! grep '^extmem_appliance_pool_bytes' "$scratch/out" | grep -qF "$red"
verdict "it has no figures any more" $?

exec 6>&-
wait $program
gone() {
	ask 200 /metrics -H "$reads" && ! has '^extmem_client_.*program="[a-z]*awk"'
}
await gone
verdict "a program that has ended has no series" $?

grep -q "appliances: $red drains" "$scratch/log" &&
	grep -q "warning: appliances: $red is away" "$scratch/log"
verdict "the log has what an operator would miss" $?
grep -q 'warning: http: a wrong token from 127.0.0.1' "$scratch/log"
verdict "and who tries tokens" $?

kill -TERM "$gateway_pid"
wait "$gateway_pid"
verdict "it ends with status 0" $? "$scratch/log"
grep -q 0123456789abcdef "$scratch/log"
verdict "no token is in the log" $((! $?))
summary
