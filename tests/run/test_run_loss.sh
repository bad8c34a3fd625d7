#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# The appliance is killed under a program: a message names it, the program is
# ended by SIGBUS within two seconds, nothing large and nobody is left behind,
# and a second run works at once. And the appliance in another network
# namespace than a user without privilege.
. "$XM_SRCDIR/tests/support/run.sh"

patience_ms=$((2000 * ${XM_SLOW:-1}))
load=
stop() {
	[ -z "$load" ] || kill "$load" 2>/dev/null
	[ -z "${run-}" ] || kill "$run" 2>/dev/null
	end
}
trap stop EXIT

# --- programs, each at work for as long as it is let ----------------------------------

# usage: start NAME: runs it with an appliance of its own; $run is the run,
# $program_pid the program.
start() {
	mkdir -p "$scratch/$1"
	run_it="$extmem run --local 4M --external 128M --"
	"start_$1" "$scratch/$1" >"$scratch/out" 2>"$scratch/err" &
	run=$!
	await pages "$run"
}
# usage: pages RUN: its program's pages come and go.
pages() {
	for program_pid in $(children_of "$1"); do
		top_row "$program_pid" | grep -q '"faults":[1-9][0-9][0-9]' && return
	done
	return 1
}
start_sort() {
	mkfifo "$1/fifo"
	awk 'BEGIN { for (;;) print rand() }' >"$1/fifo" 2>/dev/null &
	cd "$1" && exec $run_it sort -S 24M --parallel=1 -T "$1" -o /dev/null fifo
}
start_perl() {
	cd "$1" && exec $run_it perl -e '
		my %a = map { $_ => "value " x 20 . $_ } 1 .. 40000;
		for (;;) { $a{1 + int rand 40000} .= "x" }'
}
start_redis() {
	cd "$1" && exec $run_it redis-server --port 0 --save "" \
		--unixsocket "$1/socket" --dir "$1" --loglevel warning
}
load_redis() {
	await redis-cli -s "$scratch/redis/socket" PING
	exec redis-benchmark -s "$scratch/redis/socket" -q -l -d 1000 -r 40000 \
		-t set,get -c 4 >/dev/null 2>&1
}

# A core file would lie in the program's folder; with a handler for cores, or
# none at all, there is nothing to be seen.
cores=no
case $(cat /proc/sys/kernel/core_pattern) in
*/* | '|'* | '') echo "skipped: no core of gigabytes: cores go elsewhere here" ;;
*) ulimit -c unlimited 2>/dev/null && cores=yes ||
	echo "skipped: no core of gigabytes: ulimit -c cannot be raised" ;;
esac

# usage: milliseconds
milliseconds() {
	echo $(($(date +%s%N) / 1000000))
}

# usage: appliance_of RUN: its process.
appliance_of() {
	for pid in $(children_of "$1"); do
		[ "$(cat "/proc/$pid/comm")" = extmemd ] && echo "$pid"
	done
}

# usage: kill_under NAME: leaves what it took in $took, the status in $status.
kill_under() {
	status=1000
	took=0
	start "$1" || {
		echo "no page has come or gone in a minute" >>"$scratch/err"
		kill "$run"
		wait "$run"
		return 1
	}
	victims=$(children_of "$run")
	killed=$(appliance_of "$run")
	address=$(top_row "$program_pid" 10ms |
		sed -n 's/.*"appliance":"\([^"]*\)".*/\1/p')
	began=$(milliseconds)
	kill -KILL "$killed"
	status=0
	wait "$run" || status=$?
	run=
	took=$(($(milliseconds) - began))
}

for name in sort perl redis; do
	command=$name
	[ $name = redis ] && command=redis-server
	command -v $command >/dev/null || {
		echo "skipped: $command is not there"
		continue
	}
	# The machine may have been busy with others: three tries.
	for try in 1 2 3; do
		[ $name = redis ] && { load_redis & load=$!; }
		kill_under $name
		[ -z "$load" ] || { kill "$load" 2>/dev/null; wait "$load" 2>/dev/null; }
		load=
		[ "$status" -eq 135 ] && [ "$took" -le "$patience_ms" ] && break
		rm -rf "${scratch:?}/$name"
	done
	says 'memory of the program was lost, and it got SIGBUS' 135 &&
		[ -n "$address" ] && grep -qF "$address" "$scratch/err"
	verdict "$name: SIGBUS, and a message that names the appliance" $?
	[ "$took" -le "$patience_ms" ]
	verdict "$name: within two seconds" $?
	# Who is ended may need a moment, on a busy machine, to be gone.
	gone() {
		for pid in $victims; do
			[ ! -d "/proc/$pid" ] || return 1
		done
	}
	await gone
	verdict "$name: nobody is left" $?
	if [ $cores = yes ]; then
		large=$(find "$scratch/$name" -name 'core*' -size +262144k)
		[ -z "$large" ]
		verdict "$name: no large core" $?
	fi
	rm -rf "${scratch:?}/$name"
	try "$extmem" run --local 4M --external 64M -- \
		"$XM_BUILDDIR/tests/run/run_program" malloc 16
	verdict "$name: a second run works at once" "$status"
done
rm -f "$scratch/out" "$scratch/err"

# --- two network namespaces ---------------------------------------------------------------

# An unprivileged user is root in a user namespace of his own.
[ "$(id -u)" -eq 0 ] && namespace='unshare -n' || namespace='unshare -Urn'
cat >"$scratch/apart" <<'END'
set -u
ip link set lo up
unshare -n sleep 100 &
other=$!
there="nsenter -t $other -n"
waited=0
until [ "$(readlink /proc/$other/ns/net)" != "$(readlink /proc/self/ns/net)" ] ||
	[ $waited -ge 100 ]; do
	sleep 0.1
	waited=$((waited + 1))
done
ip link add xm0 type veth peer name xm1 netns $other || exit 77
ip address add 10.77.0.1/24 dev xm0
ip link set xm0 up
$there ip link set lo up
$there ip address add 10.77.0.2/24 dev xm1
$there ip link set xm1 up
"$XM_BUILDDIR/extmemd" --listen ofi+tcp://10.77.0.1:0 --memory 64M \
	--insecure-plaintext --ready-fd 9 9>"$scratch/far" 2>"$scratch/log" &
daemon=$!
waited=0
until [ -s "$scratch/far" ] || [ $waited -ge 200 ]; do
	sleep 0.1
	waited=$((waited + 1))
done
export EXTMEM_INSECURE_PLAINTEXT=yes
$there $unprivileged "$XM_BUILDDIR/extmem" run --local 4M \
	--appliance "$(cat "$scratch/far")" --stats - -- \
	sort -S 24M --parallel=1 "$scratch/text" >"$scratch/out"
status=$?
kill $daemon $other
exit $status
END
if ! $namespace true 2>/dev/null; then
	echo "skipped: two network namespaces: they cannot be made here"
elif ! command -v ip >/dev/null || ! command -v nsenter >/dev/null; then
	echo "skipped: two network namespaces: ip or nsenter is not there (Debian: iproute2, util-linux)"
else
	seq 1 200000 | awk '{ print ($1 * 7919) % 200003, $1 }' >"$scratch/text"
	sort "$scratch/text" >"$scratch/plain"
	export scratch unprivileged
	status=0
	timeout $patience $namespace sh "$scratch/apart" 2>"$scratch/err" || status=$?
	if [ $status -eq 77 ]; then
		echo "skipped: two network namespaces: no veth here: $(cat "$scratch/err")"
	else
		cp "$scratch/err" "$scratch/stats"
		cmp "$scratch/plain" "$scratch/out" >>"$scratch/err" &&
			grep -q '10.77.0.1' "$scratch/far" &&
			[ "$(number bytes_read)" -gt 0 ]
		ok=$?
		: >"$scratch/out"
		verdict "sort, without privilege, in one network namespace, its memory in another" \
			$((status + ok))
	fi
fi
summary
