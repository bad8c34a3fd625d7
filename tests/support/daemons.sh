# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=sh
# What the tests of `extmem drain` and `extmem shrink` share: appliances that begin and
# end, and a command that is asked to empty one. Sourced.
. "$XM_SRCDIR/tests/support/count.sh"
unset NOTIFY_SOCKET

extmem=$XM_BUILDDIR/extmem
extmemd=$XM_BUILDDIR/extmemd
tcp='ofi+tcp://127.0.0.1:0'
daemons=
# shellcheck disable=SC2086 # several
trap 'kill -9 $daemons 2>/dev/null; rm -rf "$scratch"' EXIT

# usage: start OPTION...: a daemon; its address is in $address.
start() {
	: >"$scratch/ready"
	"$extmemd" --ready-fd 7 --listen $tcp "$@" 7>"$scratch/ready" \
		2>>"$scratch/log" &
	daemon=$!
	daemons="$daemons $daemon"
	await begins_or_ends
	address=$(cat "$scratch/ready")
}
begins_or_ends() {
	[ -s "$scratch/ready" ] || ! kill -0 "$daemon"
}

# usage: says COMMAND STATUS WORDS OPTION...: extmem COMMAND ends so, and says that.
says() {
	command=$1 status=$2 words=$3
	shift 3
	timeout 120 "$extmem" "$command" "$@" >"$scratch/out" 2>&1
	got=$?
	if test $got -eq "$status" && grep -q -- "$words" "$scratch/out"; then
		verdict "extmem $command $*" 0
	else
		cat "$scratch/out" >>"$scratch/log"
		echo "status $got, wanted $status and: $words" >>"$scratch/log"
		verdict "extmem $command $*" 1
	fi
}

leased() {
	"$extmem" status "$1" | sed -n 's/^pool.*: \([0-9]*\)\.[0-9]* MiB leased.*/\1/p'
}

# usage: fills MIB: a client of $address that has filled so much; what it says of errors is in
# err. It lives until `verifies`.
fills() {
	rm -f "$scratch/go"
	mkfifo "$scratch/go"
	exec 9<>"$scratch/go" # (which waits for nobody)
	: >"$scratch/filled"
	timeout 120 "$XM_BUILDDIR/tests/shell/filler" "$address" "$1" <"$scratch/go" \
		>"$scratch/filled" 2>"$scratch/err" 8>&- 9>&- &
	client=$!
	await is_filled
	[ -s "$scratch/filled" ]
}
is_filled() {
	[ -s "$scratch/filled" ] || ! kill -0 "$client" 2>/dev/null
}
# usage: verifies STATUS: it reads all of it again, and ends so.
verifies() {
	echo go >&9
	exec 9>&-
	wait "$client"
	[ $? -eq "$1" ]
}
