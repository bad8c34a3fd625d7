#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# The service manager's watchdog: it is fed while the interface process answers, not while
# that process is stopped, and again when it goes on. A socket of ours is the manager.
. "$XM_SRCDIR/tests/support/daemons.sh"

command -v python3 >/dev/null || skip "no python3, which is the manager here"
python3 - "$scratch" <<'END' &
import socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.bind(sys.argv[1] + "/manager")
with open(sys.argv[1] + "/manager.out", "w", buffering=1) as out:
    while True:
        print(s.recv(100).decode(), file=out)
END
manager=$!
daemons=$manager
await test -S "$scratch/manager"
export NOTIFY_SOCKET="$scratch/manager"

fed() { grep -c '^WATCHDOG=1$' "$scratch/manager.out"; }
fed_beyond() { [ "$(fed)" -gt "$1" ]; }
said() { grep -q -- "$1" "$scratch/log"; }
interfaces_of() { cat /proc/"$1"/task/"$1"/children; }
fresh() {
	: >"$scratch/manager.out"
	: >"$scratch/log"
}

fresh
export WATCHDOG_USEC=400000
start --memory 2M
check 'the watchdog is fed' await fed_beyond 3
iface=$(interfaces_of "$daemon" | tr -d ' ')
kill -STOP "$iface"
check 'an interface process that hangs is noticed' await said 'watchdog is not fed'
before=$(fed)
sleep 1.5
check 'and the watchdog is fed no more' test "$(fed)" -eq "$before"
kill -CONT "$iface"
check 'when it goes on, the watchdog is fed again' await fed_beyond $((before + 2))
check 'which is said' said 'answers again'
kill -TERM "$daemon"
wait "$daemon"
verdict 'and the daemon ends as ever' $?

fresh
WATCHDOG_PID=1
export WATCHDOG_PID
start --memory 2M
sleep 1
check 'a watchdog of another process is not fed' test "$(fed)" -eq 0
kill -TERM "$daemon"
wait "$daemon"
unset WATCHDOG_PID

if ! configured INIH || [ ! -x "$XM_BUILDDIR/extmem-auth" ]; then
	echo 'skipped a process for each tenant: no tenants files, or no TLS'
	summary
	exit
fi
fresh
keys=$scratch/keys
"$extmem" auth init "$keys" >"$scratch/out"
printf '[one]\nidentity = one\nbytes = 1M\n[two]\nidentity = two\nbytes = 1M\n' \
	>"$scratch/tenants"
start --memory 2M --auth "$keys/appliance.pem" --isolate tenant \
	--tenants "$scratch/tenants"
check 'with a process for each tenant it is fed too' await fed_beyond 3
# shellcheck disable=SC2046 # two numbers
set -- $(interfaces_of "$daemon")
kill -STOP "$2"
check 'of these the one that hangs is killed' await said 'it is killed'
check 'and another one begun' await said 'is back'
before=$(fed)
check 'the other goes on' kill -0 "$1"
check 'and the watchdog is fed on' await fed_beyond $((before + 2))
summary
