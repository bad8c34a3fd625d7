#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# A program whose environment lies in external memory, while its connection to
# the appliance breaks and is made again. A connection is made on a thread of
# the library's that holds a lane; a library that reads the environment there
# would wait for a page that only this thread can bring.
. "$XM_SRCDIR/tests/support/run.sh"

program=$XM_BUILDDIR/tests/run/run_environ
frozen=
stop() {
	[ -z "$frozen" ] || kill -CONT $frozen 2>/dev/null
	[ -z "${run-}" ] || kill -KILL "$run" 2>/dev/null
	end
}
trap stop EXIT

# usage: freeze SECONDS: the process that moves bytes is silent for so long.
freeze() {
	frozen=$(cat "/proc/$daemon/task/$daemon/children")
	kill -STOP $frozen
	sleep "$1"
	kill -CONT $frozen
	frozen=
}

gone() {
	! kill -0 "$run"
}

# usage: freeze_under SECONDS: runs the program and freezes its appliance;
# leaves its status in $status.
freeze_under() {
	rm -f "$scratch/end" "$scratch/stats"
	EXTMEM_LOSS_TIMEOUT=60s "$extmem" run --local 8M \
		--appliance "$address" --stats "$scratch/stats" -- \
		"$program" "$scratch/end" >"$scratch/out" 2>"$scratch/err" &
	run=$!
	await grep -q begun "$scratch/out" || return
	freeze "$1"
	touch "$scratch/end"
	await gone || {
		echo "it hangs" >>"$scratch/err"
		kill -KILL $(cat "/proc/$run/task/$run/children") "$run"
	}
	status=0
	wait "$run" || status=$?
	run=
}

# usage: connects_again SCHEME: a connection that was not broken shows nothing,
# and the appliance is silent for longer, the next time.
connects_again() {
	for seconds in 1.5 3 6; do
		freeze_under $seconds
		[ "$status" -eq 0 ] && grep -q '^ended, 0 wrong' "$scratch/out" ||
			return 1
		[ "$(number reconnects)" -eq 0 ] || return 0
	done
	echo "it was never connected again" >>"$scratch/err"
	return 1
}

appliance 128M
connects_again
verdict "ofi+tcp: connected again, with the environment in external memory" $?
kill "$daemon"
wait "$daemon"
# This provider asks libfabric for another one whenever it connects.
if appliance 128M ofi+rxm://127.0.0.1:0; then
	connects_again
	verdict "ofi+rxm: likewise" $?
else
	daemon=
	echo "skipped: ofi+rxm: that provider is not there"
fi
summary
