#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# Signals to `extmem run` itself: the program has them, its end is what they make
# of it, and one that cannot end because it hangs in a page fault is killed.
. "$XM_SRCDIR/tests/support/run.sh"

ulimit -c 0
frozen=
stop() {
	[ -z "$frozen" ] || kill -CONT $frozen 2>/dev/null
	[ -z "${run-}" ] || kill -KILL "$run" 2>/dev/null
	end
}
trap stop EXIT

gone() {
	! kill -0 "$run"
}

# usage: start [OPTION...]: a program at work; $run is the run. What a shell
# starts in the background is deaf to SIGINT, and what nohup(1) starts to SIGHUP, unless
# env says otherwise.
start() {
	: >"$scratch/out"
	EXTMEM_LOSS_TIMEOUT=600s env --default-signal=HUP,INT,QUIT "$extmem" run \
		--local 4M --appliance "$address" "$@" -- $program \
		>"$scratch/out" 2>"$scratch/err" &
	run=$!
	await grep -q "$begins" "$scratch/out"
}

# usage: ends: the run's status, in $status.
ends() {
	await gone || {
		echo "extmem run does not end" >>"$scratch/err"
		kill -KILL "$run"
	}
	status=0
	wait "$run" || status=$?
	run=
}

appliance 128M
program="$XM_BUILDDIR/tests/run/run_program touch-forever 32"
begins=touching
for signal in HUP:129 INT:130 QUIT:131 TERM:143 USR1:138; do
	start
	kill -"${signal%:*}" "$run"
	ends
	[ "$status" -eq "${signal#*:}" ]
	verdict "SIG${signal%:*}: the program has it, and the status is ${signal#*:}" $?
done

cat >"$scratch/heeds" <<'SCRIPT'
trap 'exit 5' TERM
echo begun
while :; do sleep 0.1; done
SCRIPT
program="sh $scratch/heeds"
begins=begun
start
kill "$run"
ends
[ "$status" -eq 5 ]
verdict "SIGTERM: a program that handles it ends by itself" $?

cat >"$scratch/deaf" <<'SCRIPT'
trap '' TERM
echo begun
while :; do sleep 0.1; done
SCRIPT
program="sh $scratch/deaf"
start --kill-after 300ms
kill "$run"
ends
says 'did not end by SIGTERM' 137
verdict "SIGTERM: a program that is deaf to it is killed after a while" $?

# The program is in the handler of a fault, where SIGTERM is blocked, each time it
# is looked at: it hangs.
hangs() {
	program_pid=$(cat "/proc/$run/task/$run/children")
	for look in 1 2 3 4 5; do
		grep -q '^SigBlk:.*[4567cdef]...$' \
			"/proc/${program_pid%% *}/status" || return 1
		sleep 0.0$look
	done
}

# It waits for a page for ten minutes.
program="$XM_BUILDDIR/tests/run/run_program touch-forever 32"
begins=touching
start --kill-after 300ms
frozen=$(cat "/proc/$daemon/task/$daemon/children")
kill -STOP $frozen
await hangs
kill "$run"
ends
says 'did not end by SIGTERM' 137
verdict "SIGTERM: a program that hangs in a page fault is killed after a while" $?
kill -CONT $frozen

# How long it takes until the first has been seen is not known.
ends_by_another() {
	kill "$run"
	gone
}
start --kill-after 0
kill -STOP $frozen
await hangs
await ends_by_another
ends
says 'did not end by SIGTERM' 137
verdict "SIGTERM: and by a second one at once" $?

# Before the program is started: `extmem run` takes the appliance beside it, which
# is a script here. $folder/begun: the program was started.
folder=$scratch/beside
mkdir "$folder"
cp "$extmem" "$folder/extmem"
ln -s "$XM_BUILDDIR/.libs" "$folder/.libs"

# usage: start_early: $run waits for an appliance that never becomes ready.
start_early() {
	rm -f "$folder/appliance"
	env --default-signal=INT,QUIT "$folder/extmem" run -- \
		touch "$folder/begun" >"$scratch/out" 2>"$scratch/err" &
	run=$!
	await test -s "$folder/appliance"
}

# usage: ended_early STATUS: so did the appliance, and the program did not begin.
ended_early() {
	says 'before the program was started' "$1" &&
		! kill -0 "$(cat "$folder/appliance")" 2>/dev/null &&
		[ ! -e "$folder/begun" ]
}

cat >"$folder/extmemd" <<'SCRIPT'
#!/bin/sh
echo $$ >"${0%/*}/appliance"
exec sleep 1000
SCRIPT
chmod 755 "$folder/extmemd"
for signal in INT:130 TERM:143; do
	start_early
	kill -"${signal%:*}" "$run"
	ends
	ended_early "${signal#*:}"
	verdict "SIG${signal%:*}: ends the start of an appliance that hangs" $?
done

# The arguments of --ready-fd are the sixth and the seventh.
cat >"$folder/extmemd" <<'SCRIPT'
#!/bin/sh
echo $$ >"${0%/*}/appliance"
kill -INT $PPID
eval "echo ofi+tcp://127.0.0.1:1 >&$6"
exec sleep 1000
SCRIPT
start_early
ends
ended_early 130
verdict "SIGINT: ends a run whose appliance becomes ready at the same time" $?
summary
