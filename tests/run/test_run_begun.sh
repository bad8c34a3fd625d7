#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# Programs begun in odd ways: without standard descriptors, where /dev/shm has no
# room, with the number of another process. What cannot be made here is skipped, in
# words.
. "$XM_SRCDIR/tests/support/run.sh"

program=$XM_BUILDDIR/tests/run/run_program
"$program" malloc 16 >"$scratch/plain"

# --- descriptors 0 to 2 --------------------------------------------------------------

# usage: without DIGITS COMMAND...: those descriptors are closed.
without() {
	closed=$1
	shift
	case $closed in *0*) exec 0<&- ;; esac
	case $closed in *1*) exec 1>&- ;; esac
	case $closed in *2*) exec 2>&- ;; esac
	exec "$@"
}

# What a program finds; it opens nothing while it looks.
look='found=
for fd in 0 1 2; do [ -e /proc/$$/fd/$fd ] && found=$found$fd; done
echo "$found" >"$0"'

# usage: finds DIGITS LEFT WHO...: under `extmem run`, as without.
finds() {
	closed=$1 left=$2
	shift 2
	rm -f "$scratch/shared/found"
	status=0
	(without "$closed" timeout $patience "$@" "$extmem" run --local 8M \
		--external 64M -- sh -c "$look" "$scratch/shared/found") \
		</dev/null >"$scratch/out" 2>"$scratch/err" || status=$?
	[ "$status" -eq 0 ] && [ ! -s "$scratch/out" ] &&
		[ "$(cat "$scratch/shared/found")" = "$left" ]
}

mkdir -m 777 "$scratch/shared"
for both in 012: 0:12 1:02 2:01 01:2 12:0; do
	finds "${both%:*}" "${both#*:}"
	verdict "begun without ${both%:*}: it has what it was given" $?
done
if [ -n "$unprivileged" ]; then
	finds 012 '' $unprivileged
	verdict "begun without any, as another user" $?
fi
for closed in 0 2 02; do
	status=0
	(without $closed timeout $patience "$extmem" run --local 4M \
		--external 64M -- "$program" malloc 16) \
		>"$scratch/out" 2>"$scratch/err" </dev/null || status=$?
	cmp -s "$scratch/plain" "$scratch/out"
	verdict "begun without $closed: its memory is right" $((status + $?))
done

# The library's words are not for a file that the program has in that place.
status=0
(without 2 timeout $patience "$extmem" run --local 4M --external 64M -- \
	"$XM_BUILDDIR/tests/run/run_raw" refused 2>&-) \
	>"$scratch/out" 2>"$scratch/err" </dev/null || status=$?
[ ! -s "$scratch/err" ]
verdict "without 2, nothing is said elsewhere" $((status + $?))

: >"$scratch/address"
(without 012 "$XM_BUILDDIR/extmemd" --listen ofi+tcp://127.0.0.1:0 \
	--memory 64M --ready-fd 9 9>"$scratch/address") &
daemon=$!
await test -s "$scratch/address"
verdict "extmemd, begun without any, comes up" $?
try "$extmem" run --local 4M --appliance "$(cat "$scratch/address")" -- \
	"$program" malloc 16
cmp -s "$scratch/plain" "$scratch/out"
verdict "and its memory is right" $((status + $?))
for words in "top --once" "status $(cat "$scratch/address")" doctor info; do
	status=0
	(without 12 timeout $patience "$extmem" $words) || status=$?
	[ "$status" -lt 124 ]
	verdict "extmem ${words%% *}, without a place for words, ends" $?
done

# --- no room in /dev/shm -------------------------------------------------------------

full='mount -t tmpfs -o size=4k,mode=1777 none /dev/shm &&
head -c 4096 /dev/zero >/dev/shm/full && exec "$@"'
namespace="unshare -m"
[ "$(id -u)" -eq 0 ] || namespace="unshare -Urm"

# usage: no_room NAME COMMAND...
no_room() {
	name=$1
	shift
	try $namespace sh -c "$full" sh "$@" "$program" malloc 16
	cmp -s "$scratch/plain" "$scratch/out" &&
		says '/dev/shm has no room' 0
	verdict "no room in /dev/shm: $name" $?
}
if ! $namespace sh -c "$full" sh true 2>/dev/null; then
	echo "skipped: no room in /dev/shm: that folder cannot be mounted here"
else
	no_room "it works, and says so" "$extmem" run --local 4M \
		--external 64M --
	no_room "with --children=same" "$extmem" run --local 4M \
		--external 64M --children same -- sh -c '"$@"; exit' sh
	[ -z "$unprivileged" ] || no_room "as another user" $unprivileged \
		"$extmem" run --local 4M --external 64M --
fi

# --- two processes with one number -----------------------------------------------------

# usage: together NAME WHO NAMESPACE: two of one number are both shown.
together() {
	name=$1 who=$2 space=$3
	if ! $who $space true 2>/dev/null; then
		echo "skipped: $name: such a namespace cannot be made here"
		return
	fi
	alike=alike$$
	rm -f "$scratch/shared/end"
	cp "$(command -v sh)" "$scratch/$alike"
	for i in 1 2; do
		timeout $patience $who $space "$extmem" run --local 8M \
			--external 64M -- "$scratch/$alike" -c \
			'until [ -e "$0" ]; do sleep 0.1; done' \
			"$scratch/shared/end" >"$scratch/err$i" 2>&1 \
			</dev/null &
		eval "pid$i=$!"
	done
	await both_shown
	shown=$?
	both_shown # the first look did not remove what is another's
	verdict "$name" $((shown + $?)) "$scratch/top" "$scratch/err1" \
		"$scratch/err2"
	touch "$scratch/shared/end"
	wait $pid1 $pid2
}
both_shown() {
	$who timeout $patience "$extmem" top --once --json -i 10ms >"$scratch/top" &&
		[ "$(grep -o "\"program\":\"$alike\"" "$scratch/top" |
			wc -l)" -eq 2 ]
}

# usage: appliances_together NAMESPACE: each endpoint of shm is a file in /dev/shm.
appliances_together() {
	if ! $1 true 2>/dev/null; then
		echo "skipped: two appliances of one number: no such namespace here"
		return
	fi
	for i in 1 2; do
		timeout $patience $1 "$XM_BUILDDIR/extmemd" --listen \
			"ofi+shm://alike$$-$i" --memory 128M --drain-timeout 0 \
			--ready-fd 9 9>"$scratch/ready$i" 2>"$scratch/err$i" \
			</dev/null &
		eval "pid$i=$!"
		await starts_or_ends_as "$scratch/ready$i" $!
	done
	if grep -q 'no provider' "$scratch/err1"; then
		echo "skipped: two appliances of one number: no ofi+shm here"
	else
		for i in 1 2 1; do
			try $1 "$extmem" run --appliance "ofi+shm://alike$$-$i" \
				--local 4M -- "$program" malloc 16
			cmp -s "$scratch/plain" "$scratch/out"
			verdict "ofi+shm: appliance $i of two of one number" \
				$((status + $?)) "$scratch/err1" "$scratch/err2" \
				"$scratch/err"
		done
	fi
	kill $pid1 $pid2 2>/dev/null
	wait $pid1 $pid2
}
starts_or_ends_as() {
	[ -s "$1" ] || ! kill -0 "$2"
}

# The number of a process, in namespaces of their own and one /dev/shm.
if ! configured JANSSON; then
	echo "skipped: one number twice: without jansson top does not say who is who"
else
	[ "$(id -u)" -ne 0 ] ||
		together "two of one number are shown" "" \
			"unshare -pf --mount-proc"
	together "two of one number are shown to another user" "$unprivileged" \
		"unshare -Urpf --mount-proc"
fi
[ "$(id -u)" -ne 0 ] || appliances_together "unshare -pf --mount-proc --kill-child"
summary
