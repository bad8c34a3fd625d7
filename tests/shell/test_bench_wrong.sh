#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# extmem-bench ends with 1, and says why, when what it reads is not what was
# written: one word of one page is spoilt, by an option that is there for this.
# And when its appliance is killed under it.
. "$XM_SRCDIR/tests/support/count.sh"

bench=$XM_BUILDDIR/extmem-bench
limit="timeout $((300 * ${XM_SLOW:-1}))"

# usage: notices WORDS OPTION...: status 1, and these words on stderr
notices() {
	words=$1
	shift
	$limit "$bench" "$@" >"$scratch/out" 2>"$scratch/log"
	got=$?
	[ "$got" -eq 1 ] && grep -q "$words" "$scratch/log" || {
		echo "status $got, not 1 with: $words" >>"$scratch/log"
		return 1
	}
}

pages='fault --pages 5000 --transport loop'
for pattern in random-read random-rmw seq-read seq-backward stride zipf; do
	# shellcheck disable=SC2086
	check "$pattern notices a filler that has become zeros" \
		notices 'page [0-9]* is wrong: a word between' \
		$pages --pattern $pattern --spoil before
done
for pattern in random-read random-write random-rmw seq-read seq-write \
	seq-backward stride zipf; do
	# shellcheck disable=SC2086
	check "$pattern notices a bit that has changed" \
		notices 'page 1666 is wrong: a word between' \
		$pages --pattern $pattern --spoil after
done
# shellcheck disable=SC2086
{
	check "a write that is lost is noticed" \
		notices 'page 1666 is wrong: what was written last' \
		$pages --pattern seq-write --spoil write
	check "the first of all writes that is lost is noticed" \
		notices 'page 1666 is wrong: what was written last' \
		$pages --pattern random-write --repeat 9 --spoil write
	check "a rewrite that is lost is noticed" \
		notices 'page 1666 is wrong: .* rewrites are there' \
		$pages --pattern random-rmw --repeat 9 --spoil rewrite
	for parts in '' --shared; do
		check "of three threads, too $parts" \
			notices 'page 1666 is wrong: what was written last' \
			$pages --threads 3 $parts --pattern seq-write \
			--spoil write
		check "a bit with three threads, too $parts" \
			notices 'page 1666 is wrong: a word between' \
			$pages --threads 3 $parts --spoil after
	done
}
check "a client that was idle notices a bit that has changed" \
	notices 'page 10 is wrong' idle --seconds 1 --pages 20 --spoil
check "a mirror's user notices a store that is lost" \
	notices 'page 1023 is wrong' failover --how hang --rounds 1 --pages 1024 \
	--spoil

# Whose appliance is killed under it: one line, and 1.
"$XM_BUILDDIR/extmemd" --listen ofi+tcp://127.0.0.1:0 --memory 256M \
	--ready-fd 3 3>"$scratch/ready" 2>"$scratch/daemon" &
daemon=$!
await test -s "$scratch/ready"
address=$(grep -o 'ofi+tcp://[^ ]*' "$scratch/ready")
$limit "$bench" fault --appliance "$address" --pages 5000 --local 50 \
	--setting loss_timeout=1s --repeat 99 >"$scratch/out" 2>"$scratch/log" &
pid=$!
await grep -q '^random-read' "$scratch/out"
kill -KILL $daemon
wait $pid
got=$?
daemon=
verdict "a lost appliance: status 1" "$((got != 1))"
check "and one line" test "$(wc -l <"$scratch/log")" -eq 1
check "that says what was lost, and to what" grep -q \
	'extmem-bench fault: byte [0-9]* of the memory of fault is lost: .*127.0.0.1' \
	"$scratch/log"

summary
