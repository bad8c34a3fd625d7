#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# extmemd --borrow: an appliance that is a client of another one, in a container too; what is
# refused, loops among it; and what the end of a lender does.
. "$XM_SRCDIR/tests/support/daemons.sh"

fields() { # FIELD: of `extmem status --json`
	"$extmem" status --json "$address" | sed -n "s/^ *\"$1\": \"\{0,1\}\([^\",]*\).*/\1/p"
}
refused() { # WORDS OPTION...
	words=$1
	shift
	! timeout 90 "$extmemd" --listen $tcp --memory 16M "$@" >"$scratch/out" 2>&1 &&
		cat "$scratch/out" && grep -q -- "$words" "$scratch/out"
}
is_over() {
	! kill -0 "$1" 2>/dev/null
}
# Its log has these words: the daemons of this test write to one.
logs() {
	grep -q -- "$1" "$scratch/log"
}

for option in "--store $scratch/store" "--pool-file $scratch/pool" '--give-back 1G' \
	--huge-pages; do
	# shellcheck disable=SC2086 # an option and its value
	check "it does not go with $option" refused "--borrow and ${option%% *} do not" \
		--borrow ofi+tcp://127.0.0.1:1 $option
done
check "nor does an appliance borrow from itself" refused 'that is this appliance itself' \
	--listen ofi+tcp://127.0.0.1:7479 --borrow ofi+tcp://127.0.0.1:7479

start --memory 96M --name lender --lease 2s
lender=$address lender_pid=$daemon
start --memory 48M --name borrower --borrow "$lender" --lease 2s
if [ -z "$address" ] && grep -q '/dev/fuse' "$scratch/log"; then
	skip "borrowing: $(grep -o 'borrowed memory is mapped.*' "$scratch/log")"
fi
check "an appliance lends what it borrows" test -n "$address"
borrower=$address borrower_pid=$daemon
check "extmem status says so" eval '"$extmem" status "$borrower" | grep "48.0 MiB borrowed from others"'
if configured JANSSON; then
	says_whose() {
		[ "$(fields borrowed)" = $((48 << 20)) ] || return
		whose=$("$extmem" status --json "$borrower" | tr -d ' \n' |
			sed -n 's/.*"lenders":\["\([^"]*\)"\].*/\1/p')
		address=$lender
		[ "$(fields identity)" = "$whose" ] && [ "$(fields borrowed)" = 0 ]
	}
	check "and in JSON, and whose it is" says_whose
	address=$borrower
fi
check "the lender has a client of that name" eval '"$extmem" status "$lender" | grep "borrowed .*borrower"'
check "a program fills memory there" fills 32
check "and finds all of it again" verifies 0
is_zero_again() {
	[ "$(leased "$borrower")" = 0 ]
}
check "what it gives back is free" await is_zero_again
check "it keeps its size" eval '! "$extmem" shrink "$borrower" 16M 2>"$scratch/err" && grep borrowed "$scratch/err"'

# What was lent, without and with a copy.
check "another program fills memory" fills 8
kill -9 "$lender_pid"
check "the lender is killed, and the borrower ends" await is_over "$borrower_pid"
check "in words" logs 'what was borrowed is lost'
check "and the program is told" eval '! verifies 0 && cat "$scratch/err" && grep -E "out of reach|lost" "$scratch/err"'

start --memory 64M --name one --lease 2s
one=$address one_pid=$daemon
start --memory 64M --name two --lease 2s
two=$address
start --memory 32M --name mirrored --borrow "$one" --borrow "$two" --borrow-strategy 'mirror 2' \
	--lease 2s
mirrored=$address mirrored_pid=$daemon
check "with a copy" fills 16
kill -9 "$one_pid"
check "the end of a lender loses nothing" verifies 0
check "and the borrower goes on" kill -0 "$mirrored_pid"
check "its lender may not come back as its borrower" refused 'in a loop' --listen "$one" \
	--borrow "$mirrored"

# The client in the appliance, in a container.
if command -v bwrap >/dev/null && [ -e /dev/fuse ]; then
	container="bwrap --unshare-all --share-net --die-with-parent --new-session
		--ro-bind / / --dev /dev --dev-bind /dev/fuse /dev/fuse --proc /proc
		--tmpfs /tmp --tmpfs /run --ro-bind $XM_BUILDDIR $XM_BUILDDIR"
	extmemd="$container $extmemd"
	starts_inside() {
		: >"$scratch/ready"
		# shellcheck disable=SC2086 # several words
		$extmemd --ready-fd 7 --listen $tcp --memory 24M --name inside \
			--borrow "$two" 7>"$scratch/ready" 2>>"$scratch/log" &
		daemon=$!
		daemons="$daemons $daemon"
		await begins_or_ends
		address=$(cat "$scratch/ready")
		[ -n "$address" ]
	}
	check "an appliance in a container borrows" starts_inside
	check "a program outside fills memory there" fills 16
	check "and finds it" verifies 0
	kill "$daemon"
	wait "$daemon"
	gives_back() {
		! "$extmem" status "$two" | grep inside
	}
	check "it ends, and gives back what it had" await gives_back
else
	echo "skipped: a container: bubblewrap or /dev/fuse is not there"
fi
summary
