#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# `extmem strategy`, and `extmem run --strategy`, at three appliances.
. "$XM_SRCDIR/tests/support/count.sh"

extmem=$XM_BUILDDIR/extmem
daemons=
end() {
	for one in $daemons; do kill "$one" 2>/dev/null; done
	rm -rf "$scratch"
}

for name in a b c; do
	"$XM_BUILDDIR/extmemd" --listen ofi+tcp://127.0.0.1:0 --memory 64M \
		--name $name --zone "zone$name" --ready-fd 7 \
		7>"$scratch/ready.$name" 2>>"$scratch/log" &
	daemons="$daemons $!"
	await test -s "$scratch/ready.$name"
	address=$(cat "$scratch/ready.$name")
	eval "$name=\$address"
done
cat >"$scratch/settings" <<END
appliance = $a, $b, $c
strategy.safe = mirror 2, spread zone else mirror 2
strategy.wide = stripe 3 x 64K
END
export EXTMEM_CONFIG="$scratch/settings"

# usage: says STATUS WORDS ARGUMENT...: of extmem strategy.
says() {
	want=$1
	words=$2
	shift 2
	"$extmem" strategy "$@" >"$scratch/out" 2>"$scratch/err"
	got=$?
	cat "$scratch/out" "$scratch/err" >"$scratch/both"
	if [ $got -ne "$want" ] || ! grep -qF -- "$words" "$scratch/both"; then
		echo "status $got, wanted $want and: $words" >>"$scratch/err"
		got=-1
	fi
	test "$got" -eq "$want"
	verdict "extmem strategy $*" $?
}

says 0 'safe             mirror 2, spread zone else mirror 2' list
says 0 '"wide": "stripe 3 x 64K"' list --json
says 0 'mirror 1, stripe 3 x 64K' show wide
says 0 'mirror 1, stripe 2 x 256K, rank free' show 'rank free, stripe 2'
says 1 'wants a number from 1 to 4, not "9" at character 8' show 'mirror 9'
says 1 'no strategy has this name (there are: safe, wide)' show quick
says 0 '32.0 MiB of 64.0 MiB free' check safe --size 32M
says 0 ': not needed, 64.0 MiB free' check safe --size 32M
says 0 '"copies": 2' check --size 32M --json safe
says 1 '"mirror 3" could be met' check 'mirror 4' --size 1M
says 1 '; "mirror 1, zone zonea" could be met' check 'mirror 2, zone zonea' -s 1M
says 1 'is in zone zoneb' check 'mirror 2, zone zonea' -s 1M
says 1 'is less than one row' check wide --size 64K
says 1 'room for 192.0 MiB of 256.5 MiB' check wide --size 256.5M
says 2 'give one of' check
says 2 'give one of' list of them
says 2 'give one of'
says 2 'no such option' list --bogus

# --- programs ------------------------------------------------------------------

seq 200000 >"$scratch/numbers"
sort -r "$scratch/numbers" | sha256sum >"$scratch/sum"
run_sorts() {
	"$extmem" run --local 2M --threshold 64K --strategy "$1" \
		-a "$a" -a "$b" -a "$c" --stats "$scratch/stats" -- \
		sort -r "$scratch/numbers" >"$scratch/out" 2>"$scratch/err" &&
		sha256sum <"$scratch/out" | cmp - "$scratch/sum"
}
check "sort sorts in stripes" run_sorts wide
check "statistics have its shape" grep -q '"stripes": 3' "$scratch/stats"
check "sort sorts in a mirror" run_sorts safe
check "statistics have its copies" grep -q '"copies": 2' "$scratch/stats"
status_says() {
	"$extmem" status "$a" >"$scratch/out" && grep -q "(a, zone zonea)" "$scratch/out"
}
check "status shows the zone" status_says
check "sort sorts in stripes with copies" run_sorts 'mirror 2, stripe 3 x 2M'
run_refused() {
	! "$extmem" run -a "$a" -a "$b" -a "$c" --open-after 0 \
		--strategy 'mirror 4' -- true 2>"$scratch/err" &&
		grep -q '"mirror 3" could be met' "$scratch/err"
}
check "run refuses what cannot be met" run_refused
# A program at two appliances holds its memory until the warning has come, and a while longer.
spare_missing() {
	mkfifo "$scratch/fifo"
	"$extmem" run -a "$a" -a "$b" --local 4M --open-after 0 \
		--strategy 'mirror 2' -- tail -c 8M "$scratch/fifo" \
		>"$scratch/out" 2>"$scratch/err" &
	running=$!
	exec 5>"$scratch/fifo"
	head -c 12M /dev/zero >&5
	await grep -q 'there is no spare: .* give the program another appliance' \
		"$scratch/err"
	sleep 6
	exec 5>&-
	wait $running && [ "$(wc -c <"$scratch/out")" -eq 8388608 ] &&
		[ "$(grep -c 'there is no spare' "$scratch/err")" -eq 1 ]
}
check "run says once that there is no spare" spare_missing
summary
