#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# usage: [XM_BUILDDIR=build] bench/handshakes.sh [COUNT]
# What a handshake of a control stream costs, by certificates, by pre-shared keys, and
# without TLS: COUNT of them (1000), one at a time.
set -eu
build=${XM_BUILDDIR:-build}
count=${1:-1000}
scratch=$(mktemp -d)
daemon=
end() {
	[ -z "$daemon" ] || kill "$daemon" 2>/dev/null || :
	rm -rf "$scratch"
}
trap end EXIT

"$build/extmem" auth init "$scratch/certificates" >"$scratch/out"
"$build/extmem" auth psk "$scratch/keys" client >"$scratch/out"
mkfifo "$scratch/ready"
ticks=$(getconf CLK_TCK)

# usage: measure NAME APPLIANCE_FILE CLIENT_FILE; empty: no TLS
measure() {
	name=$1 file=$2
	if [ -n "$3" ]; then export EXTMEM_AUTH="$3"; else unset EXTMEM_AUTH; fi
	"$build/extmemd" ${file:+--auth "$file"} --listen ofi+tcp://127.0.0.1:0 \
		--memory 16M --ready-fd 7 7>"$scratch/ready" 2>"$scratch/log" &
	daemon=$!
	read -r address <"$scratch/ready"
	"$build/tests/shell/handshaker" "$address" 20 >"$scratch/out"
	before=$(awk '{ print $14 + $15 }' "/proc/$daemon/stat")
	said=$("$build/tests/shell/handshaker" "$address" "$count")
	after=$(awk '{ print $14 + $15 }' "/proc/$daemon/stat")
	echo "$name: $said, $(((after - before) * 1000000 / ticks / count)) us of extmemd's"
	kill "$daemon"
	wait "$daemon" || :
	daemon=
}
measure certificates "$scratch/certificates/appliance.pem" "$scratch/certificates/client.pem"
measure 'pre-shared keys' "$scratch/keys/appliance.psk" "$scratch/keys/client.psk"
measure 'no TLS' '' ''
