#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# extmemd as its users meet it: start and end, what it says when it cannot, and
# nonsense thrown at it while a good client goes on. Nothing here waits for a
# fixed time: --ready-fd tells when to begin, and every wait has a limit.
# Run by `make check`, which sets XM_BUILDDIR.
. "$XM_SRCDIR/tests/support/count.sh"
unset NOTIFY_SOCKET

extmemd=$XM_BUILDDIR/extmemd
thrower=$XM_BUILDDIR/tests/shell/thrower

# usage: start OPTION...: a daemon; its address is in $address.
start() {
	: >"$scratch/ready"
	"$extmemd" --ready-fd 7 "$@" 7>"$scratch/ready" 2>"$scratch/log" &
	daemon=$!
	await begins_or_ends
	address=$(cat "$scratch/ready")
}
begins_or_ends() {
	[ -s "$scratch/ready" ] || ! kill -0 "$daemon"
}

# usage: finish NAME: SIGTERM, and the exit status must be 0.
finish() {
	kill -TERM "$daemon"
	wait "$daemon"
	verdict "$1" $?
	daemon=
}

said() { grep -q -- "$1" "$scratch/log"; }

# usage: refuses STATUS WORDS OPTION...: one line, with these words.
refuses() {
	status=$1
	words=$2
	shift 2
	timeout 60 "$extmemd" "$@" >/dev/null 2>"$scratch/log"
	got=$?
	if test $got -eq "$status" && said "$words" &&
	   test "$(wc -l <"$scratch/log")" -eq 1; then
		verdict "extmemd $*" 0
	else
		echo "status $got, wanted $status and: $words" >>"$scratch/log"
		verdict "extmemd $*" 1
	fi
}

interface_of() { cat /proc/"$1"/task/"$1"/children; }

# --- what it refuses ------------------------------------------------------

tcp='ofi+tcp://127.0.0.1:0'
refuses 2 'listen is missing' --memory 1M
refuses 2 'memory is missing' --listen $tcp
refuses 2 'no such option' --listen $tcp --memory 1M --bogus
refuses 2 'nothing was expected' --listen $tcp --memory 1M word
for size in 0 -1 x 1Z 99999999999999999999 70000G ''; do
	refuses 2 'memory' --listen $tcp --memory "$size"
done
refuses 1 'can be had on this machine' --listen $tcp --memory 60T
refuses 2 'built in' --listen foo://x --memory 1M
refuses 2 'built in' --listen loop:a --memory 1M
refuses 2 'not an address' --listen ofi+tcp://127.0.0.1 --memory 1M
refuses 2 'not an address' --listen ofi+tcp://127.0.0.1:65536 --memory 1M
refuses 2 'not an address' --listen ofi+shm://a/b --memory 1M
refuses 1 'address of this machine' --listen ofi+tcp://192.0.2.1:0 --memory 1M \
	--insecure-plaintext
refuses 2 'reached from other machines' --listen ofi+tcp://0.0.0.0:0 --memory 1M
refuses 1 'No such file' --listen $tcp --memory 1M --auth "$scratch/none"
refuses 2 'contradict each other' --listen $tcp --memory 1M --insecure-plaintext \
	--auth "$scratch/none"
refuses 2 'no numeric address' --listen $tcp --memory 1M --advertise myhost
refuses 2 'no meaning for' --listen ofi+shm://x --memory 1M --data-port 7471
refuses 2 'data' --listen $tcp --memory 1M --data-port 65536
refuses 1 'no provider nosuch' --listen $tcp --memory 1M --provider nosuch
refuses 2 'own use' --interface-process
refuses 2 'too little' --listen $tcp --memory 1M --lease 1ms
refuses 2 'above extents_max' --listen $tcp --memory 1M --extents-max 4 \
	--extents-per-client 5
refuses 2 'No such file' --config "$scratch/none"
echo 'memory = 1M
memory = 2M' >"$scratch/twice"
refuses 2 'memory' --listen $tcp --config "$scratch/twice"
echo 'colour = blue' >"$scratch/unknown"
refuses 2 'colour' --listen $tcp --memory 1M --config "$scratch/unknown"
head -c 3000 /dev/urandom >"$scratch/noise"
timeout 60 "$extmemd" --config "$scratch/noise" >/dev/null 2>"$scratch/log"
test $? -eq 2
verdict 'a configuration file of noise' $?

for flag in --help --version; do
	"$extmemd" $flag >"$scratch/out" 2>"$scratch/log" && test -s "$scratch/out"
	verdict "extmemd $flag" $?
done
"$extmemd" --listen $tcp --memory 1M --print-limits >"$scratch/out" 2>"$scratch/log" &&
	grep -q '^clients  *64$' "$scratch/out"
verdict 'limits are printed' $?
echo "listen = $tcp
memory = 3M" >"$scratch/conf"
EXTMEMD_LEASE=7s "$extmemd" --config "$scratch/conf" --memory 5M --check-config \
	>"$scratch/out" 2>"$scratch/log" &&
	grep -q '^memory .*5M .*--memory' "$scratch/out" &&
	grep -q '^lease .*7s .*EXTMEMD_LEASE' "$scratch/out" &&
	grep -q '^listen .*conf:1' "$scratch/out"
verdict 'file, variable and flag in this order' $?

# --- start and end --------------------------------------------------------

start --listen $tcp --memory 2M
case $address in
ofi+tcp://127.0.0.1:0 | '') verdict 'port 0 becomes a port' 1 ;;
ofi+tcp://127.0.0.1:*) verdict 'port 0 becomes a port' 0 ;;
*) verdict 'port 0 becomes a port' 1 ;;
esac
said "^extmemd: ready at $address, 2.0 MiB, provider tcp"
verdict 'ready, in words' $?
"$extmemd" --listen "$address" --memory 1M 2>"$scratch/second"
test $? -eq 1 && grep -q 'in use' "$scratch/second"
verdict 'an address in use' $?

child=$(interface_of "$daemon")
# It is executed anew, with standard streams, its socket and its banks; what
# else it has open it opened by itself, none of it as the control process has.
inherited=$(for fd in "/proc/${child% }/fd"/*; do
	[ "${fd##*/}" -le 2 ] || readlink "$fd"
done | grep -Ev '^(/dev/|pipe:|anon_inode:|socket:|/memfd:extmem-bank)')
[ -z "$inherited" ] &&
	[ "$(find "/proc/${child% }/fd" -lname '*extmem-bank*' | wc -l)" -eq 1 ] &&
	tr '\0' ' ' <"/proc/${child% }/cmdline" | grep -q '^extmemd-interface '
verdict 'the interface is executed, and handed its banks alone' $?
for fd in "/proc/$daemon/fd"/*; do
	[ "$(readlink "$fd")" = 'anon_inode:[signalfd]' ] && signalfd=yes
done
[ "${signalfd-}" = yes ] &&
	! find "/proc/${child% }/fd" -lname '*signalfd*' | grep -q .
verdict 'the interface has none of the descriptors of the control' $?
kill -HUP "$daemon"
await said 'reloaded'
verdict 'SIGHUP reloads' $?
# Ctrl-C goes to both processes; the interface leaves it to the control.
kill -INT $child && kill -TERM $child && kill -0 $child
verdict 'the interface ignores signals meant for the control' $?
finish 'SIGTERM ends with 0'
await test ! -e /proc/"${child% }"
verdict 'the interface ends with the control' $?

echo "listen = $tcp
memory = 2M
clients_max = 8
lease = 5s" >"$scratch/conf"
start --config "$scratch/conf"
sed -i 's/5s/3s/; s/8/9/' "$scratch/conf"
kill -HUP "$daemon"
await said 'reloaded: lease 3000 ms' && said 'reload: clients_max cannot change while the daemon runs'
verdict 'a new lease is taken up, a new limit is not' $?
echo 'colour = blue' >>"$scratch/conf"
kill -HUP "$daemon"
await said 'nothing is changed' && said colour
verdict 'a bad file changes nothing' $?
finish 'and the daemon is as before'

# The data path on a port and at an address of its own: clients are told. A port
# that was free a moment ago will do.
start --listen $tcp --memory 2M
port=${address##*:}
finish 'a daemon that shows a free port ends'
start --listen ofi+tcp://0.0.0.0:0 --insecure-plaintext --memory 80M \
	--data-port "$port" --advertise 127.0.0.2
"$XM_BUILDDIR/extmem-bench" rma --appliance "ofi+tcp://127.0.0.1:${address##*:}" \
	--no-raw --bytes 4096 --depth 1 --time 2s >"$scratch/out" 2>"$scratch/err" &
bench=$!
# As the kernel lists connections: 127.0.0.2, and the port, in hexadecimal.
await grep -q " 0200007F:$(printf %04X "$port") 01 " /proc/net/tcp
verdict 'data goes to the port and the address that were given' $?
wait $bench
verdict 'and comes back' $?
finish 'which ends like any other'

# 300 MiB are five banks of 64 MiB, the last of 44; a client gets all of it.
start --listen $tcp --memory 300M
child=$(interface_of "$daemon")
[ "$(find "/proc/${child% }/fd" -lname '*extmem-bank*' | wc -l)" -eq 5 ]
verdict 'a larger pool is in several banks' $?
"$XM_BUILDDIR/extmem-bench" fault --appliance "$address" --pattern seq-write \
	--pages 20000 --local 25 >"$scratch/out" 2>"$scratch/err"
verdict 'memory of several banks has what was stored there' $?
finish 'which end with the daemon'

if command -v python3 >/dev/null; then
	rm -f "$scratch/manager.out"
	python3 - "$scratch" <<'END' &
import socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.bind(sys.argv[1] + "/manager")
s.settimeout(60)
with open(sys.argv[1] + "/manager.out", "w", buffering=1) as out:
    for i in range(2):
        print(s.recv(100).decode(), file=out)
END
	manager=$!
	await test -S "$scratch/manager"
	NOTIFY_SOCKET=$scratch/manager
	export NOTIFY_SOCKET
	start --listen $tcp --memory 2M
	unset NOTIFY_SOCKET
	await grep -q '^READY=1$' "$scratch/manager.out"
	verdict 'the service manager is told when it is ready' $?
	finish 'SIGTERM ends with 0 under a manager'
	wait $manager && grep -q '^STOPPING=1$' "$scratch/manager.out"
	verdict 'and when it stops' $?
fi

start --listen $tcp --memory 2M
child=$(interface_of "$daemon")
kill -KILL "$daemon"
wait "$daemon" 2>/dev/null
await test ! -e /proc/"${child% }"
verdict 'the interface ends when the control is killed' $?

start --listen $tcp --memory 2M
kill -KILL "$(interface_of "$daemon" | tr -d ' ')"
wait "$daemon"
test $? -eq 1 && said 'interface process was killed by signal 9'
verdict 'a dead interface ends the daemon with an error' $?
daemon=

# --- nonsense -------------------------------------------------------------

start --listen $tcp --memory 8M --handshake-timeout 300ms --lease 2s
timeout 120 "$thrower" "$address" 10000 1 >"$scratch/out" 2>&1
r=$?
cat "$scratch/out" >>"$scratch/log"
test $r -eq 0
verdict '10,000 times nonsense while a good client goes on' $?
if command -v python3 >/dev/null; then
	python3 - "$address" <<'END' >>"$scratch/log" 2>&1
import socket, sys
host, port = sys.argv[1].split("//")[1].split(":")
s = socket.create_connection((host, int(port)), 10)
s.settimeout(10)
s.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
try:
    got = b""
    while True:
        d = s.recv(100)
        if not d:
            break
        got += d
except ConnectionResetError:
    pass
assert got in (b"", b"XMC1"), got
END
	verdict 'HTTP is hung up on' $?
fi
finish 'SIGTERM ends with 0 after all that'

# libfabric is loaded when it is needed, and may not be there.
mkdir "$scratch/none"
: >"$scratch/none/libfabric.so.1"
if ! grep -q 'XM_FI_LIBRARY "/' "$XM_BUILDDIR/config.h"; then
	LD_LIBRARY_PATH=$scratch/none
	export LD_LIBRARY_PATH
	refuses 1 'libfabric cannot be loaded: .*libfabric.so.1' \
		--listen ofi+tcp://127.0.0.1:0 --memory 4M
	unset LD_LIBRARY_PATH
fi
summary
