#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# What each process of an appliance can do and can see: the interface process is
# confined; keys of TLS are in the control process alone; pages of a sealed program are
# in clear nowhere, neither in a process of the appliance nor on the wire, and those of
# one that is not sealed are, so that the test can fail. Run by `make check`.
. "$XM_SRCDIR/tests/support/count.sh"
unset NOTIFY_SOCKET EXTMEM_AUTH EXTMEM_SEAL

extmem=$XM_BUILDDIR/extmem
extmemd=$XM_BUILDDIR/extmemd
witness=$XM_BUILDDIR/tests/shell/witness
case ${XM_FLAGS-} in
*-fsanitize*) skip "a sanitizer's runtime needs what is taken away" ;;
esac
mkfifo "$scratch/ready" "$scratch/relay" "$scratch/written" "$scratch/go"

# usage: begin OPTION...: a daemon; sets $daemon, $interface, $address.
begin() {
	"$extmemd" --listen ofi+tcp://127.0.0.1:0 --memory 128M --ready-fd 7 "$@" \
		7>"$scratch/ready" 2>"$scratch/log" &
	daemon=$!
	read -r address <"$scratch/ready"
	interface=$(cat "/proc/$daemon/task/$daemon/children")
	interface=${interface% }
}
finish() {
	kill -TERM "$daemon"
	wait "$daemon"
}
status_is() { grep -q "^$1:[	 ]*$2\$" "/proc/$interface/status"; }

# --- what it can do -----------------------------------------------------------------

begin
status_is NoNewPrivs 1 && status_is CapEff 0000000000000000 &&
	status_is CapPrm 0000000000000000
verdict 'the interface process has no capabilities, and gets none' $?
grep -q 'interface process is without capabilities, hidden from tracing' "$scratch/log"
verdict 'and the log says so' $?
"$extmem" status "$address" >"$scratch/out" &&
	grep -q '^interface  *one for all, .*no capabilities, hidden from tracing' \
		"$scratch/out" &&
	"$extmem" info --appliance "$address" >"$scratch/out" &&
	grep -q '^interface  *one for all, .*no capabilities' "$scratch/out"
verdict 'and so do extmem status and extmem info' $?
[ "$(stat -c %u "/proc/$interface/environ")" -eq 0 ]
verdict 'nobody else of its user may look into it' $?
if configured SECCOMP; then
	status_is Seccomp 2
	verdict 'it is bound to few system calls' $?
else
	echo "skipped system calls: this build has no libseccomp"
fi
finish
begin --no-confine
! status_is Seccomp 2 && grep -q 'interface process is not confined' "$scratch/log"
verdict 'unless it is asked not to be' $?
finish

# --- the keys of TLS ------------------------------------------------------------------

if [ -x "$XM_BUILDDIR/extmem-auth" ] && command -v openssl >/dev/null &&
	[ "$(id -u)" -eq 0 ]; then
	"$extmem" auth init "$scratch/keys" >"$scratch/out"
	begin --auth "$scratch/keys/appliance.pem"
	# An Ed25519 key is the last 32 bytes of its form.
	openssl pkey -in "$scratch/keys/appliance.pem" -outform DER 2>/dev/null |
		tail -c 32 >"$scratch/key"
	[ "$("$witness" memory "$daemon" "$scratch/key")" -gt 0 ]
	verdict 'the control process has its private key in memory' $?
	[ "$("$witness" memory "$interface" "$scratch/key")" -eq 0 ]
	verdict 'the interface process has not' $?
	finish
else
	echo "skipped keys in memory: that needs TLS, openssl(1) and root"
fi

# --- pages ------------------------------------------------------------------------------

head -c 32 /dev/urandom >"$scratch/marker"
port=$(awk 'BEGIN { srand(); print 20000 + int(rand() * 20000) }')

# usage: tell OPTION...: a program of 24 MiB of markers by way of a relay, with these
# options of extmem run. Sets $seen (in processes) and $wire (on the way), $moved.
tell() {
	"$witness" relay 127.0.0.2 127.0.0.1 "$port" "$scratch/marker" \
		>"$scratch/relay.out" 2>"$scratch/err" &
	relay=$!
	await grep -q ready "$scratch/relay.out"
	begin --data-port "$port" --advertise 127.0.0.2
	timeout 120 "$extmem" run --local 2M --appliance "$address" "$@" -- \
		"$witness" write 24 "$scratch/marker" <"$scratch/go" \
		>"$scratch/written" 2>"$scratch/err" &
	program=$!
	exec 5>"$scratch/go"
	read -r line <"$scratch/written"
	seen=0
	if [ "$(id -u)" -eq 0 ]; then
		for pid in "$daemon" "$interface"; do
			seen=$((seen + $("$witness" memory "$pid" "$scratch/marker")))
		done
	fi
	echo go >&5
	exec 5>&-
	wait "$program"
	verdict "the program finds all that it wrote ($*)" $?
	finish
	kill -TERM "$relay"
	wait "$relay"
	read -r moved wire <<END
$(tail -n 1 "$scratch/relay.out")
END
	port=$((port + 1))
}

tell --open-after 0
[ "$moved" -gt 16000000 ] && [ "$wire" -gt 100000 ]
verdict 'a relay sees the pages of a program pass by' $?
if [ "$(id -u)" -eq 0 ]; then
	[ "$seen" -gt 100000 ]
	verdict 'and they are in the memory of the appliance' $?
fi
if [ -e /usr/include/intel-ipsec-mb.h ] || [ -x "$XM_BUILDDIR/extmem-auth" ]; then
	tell --open-after 0 --seal
	[ "$moved" -gt 16000000 ] && [ "$wire" -eq 0 ]
	verdict 'of a sealed one it sees none' $?
	if [ "$(id -u)" -eq 0 ]; then
		[ "$seen" -eq 0 ]
		verdict 'nor has any process of the appliance one' $?
	fi
else
	echo "skipped sealed pages: this build has no cipher"
fi

summary
