#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# Strangers at both ports of an appliance with credentials, XM_STRANGERS of them at each
# (2,000): who does not get past the handshake, or shakes and says nonsense, at the control
# port; who has no ticket at the data port, with 1,000 connections held open. A good client
# goes on meanwhile, and the daemon has as much memory and as many descriptors after as
# before. Run by `make check`.
. "$XM_SRCDIR/tests/support/count.sh"
unset NOTIFY_SOCKET EXTMEM_AUTH

extmem=$XM_BUILDDIR/extmem
many=${XM_STRANGERS:-2000}
command -v python3 >/dev/null || skip "strangers.py needs python3"
[ -x "$XM_BUILDDIR/extmem-auth" ] ||
	skip "this build has no TLS (Debian: libssl-dev)"
case ${XM_FLAGS-} in
*-fsanitize*) skip "a sanitizer's own memory is not flat" ;;
esac

"$extmem" auth init "$scratch/keys" >"$scratch/out"
mkfifo "$scratch/ready"
port=$(awk 'BEGIN { srand(); print 20000 + int(rand() * 20000) }')
"$XM_BUILDDIR/extmemd" --auth "$scratch/keys/appliance.pem" --memory 128M \
	--listen ofi+tcp://127.0.0.1:0 --data-port "$port" --handshake-timeout 300ms \
	--ready-fd 7 7>"$scratch/ready" 2>"$scratch/log" &
daemon=$!
read -r address <"$scratch/ready"
interface=$(tr -d ' ' <"/proc/$daemon/task/$daemon/children")
EXTMEM_AUTH=$scratch/keys/client.pem
export EXTMEM_AUTH

# usage: rma TIME: a client that reads and writes all the while.
rma() {
	timeout 600 "$XM_BUILDDIR/extmem-bench" rma --appliance "$address" --no-raw \
		--bytes 4096 --depth 1 --time "$1" >"$scratch/bench.out" 2>&1
}
kib() { awk '$1 == "RssAnon:" { print $2 }' "/proc/$1/status"; }
files() { ls "/proc/$1/fd" | wc -l; }
# usage: has PID: what it has of both
has() { echo "$(kib "$1") $(files "$1")"; }
# usage: flat BEFORE NOW: two MiB more at most, however many came, and no descriptor
flat() {
	echo "$1 $2" >>"$scratch/log"
	echo "$1 $2" | awk '{ exit !($3 - $1 < 2048 && $4 <= $2) }'
}

# What is allocated once is there before.
rma 100ms
timeout 60 "$XM_BUILDDIR/tests/shell/thrower" "$address" 200 1 >>"$scratch/log" 2>&1
python3 "$XM_SRCDIR/tests/shell/strangers.py" "$port" 300 100 >>"$scratch/log" 2>&1
sleep_over() { [ "$(files "$interface")" -le 12 ] && [ "$(files "$daemon")" -le 16 ]; }
await sleep_over
control=$(has "$daemon") data=$(has "$interface")

python3 "$XM_SRCDIR/tests/shell/strangers.py" "$port" "$many" 1000 \
	>"$scratch/refused" 2>>"$scratch/log" &
strangers=$!
rma 300ms &
good=$!
most=0
while kill -0 "$strangers" 2>/dev/null || kill -0 "$good" 2>/dev/null; do
	now=$(files "$interface")
	[ "$now" -le "$most" ] || most=$now
done
wait "$good"
verdict 'a client comes in and works while strangers hold 1,000 connections' $?
wait "$strangers"
# 64, and those that came since it has looked: it had 2,481 descriptors without a limit.
[ "$most" -gt 0 ] && [ "$most" -lt 1240 ]
verdict "of which the interface has some at a time ($most descriptors at most)" $?
timeout 3000 "$XM_BUILDDIR/tests/shell/thrower" "$address" "$many" 2 \
	>>"$scratch/log" 2>&1
verdict "$many times nonsense at the control port while a good client goes on" $?
await sleep_over
echo "KiB of its own and descriptors, before and after: control $control," \
	"$(has "$daemon"); interface $data, $(has "$interface")"
flat "$control" "$(has "$daemon")"
verdict 'the control process has as much memory and as many descriptors as before' $?
flat "$data" "$(has "$interface")"
verdict 'and so has the interface process' $?
rma 100ms
verdict 'clients are served as before' $?
kill -TERM "$daemon"
wait "$daemon"
verdict 'the daemon ends like any other' $?

summary
