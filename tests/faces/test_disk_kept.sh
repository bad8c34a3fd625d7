#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# A disk under a name or a token: one process writes it, the next one reads it, whether the
# first has ended or was killed; while one has it, another is refused in words.
. "$XM_SRCDIR/tests/faces/rig.sh"
need_disk

# usage: refused WORDS OPTION...: another `extmem disk`
refused() {
	words=$1
	shift
	rm -f "$scratch/other"
	timeout 120 "$extmem" disk -a "$address" --socket "$scratch/other" "$@" \
		>"$scratch/out" 2>&1 8>&-
	[ $? -ne 0 ] && grep -qF -e "$words" "$scratch/out"
	verdict "refused: $words" $? "$scratch/out"
}
same() {
	nbdcopy "$uri" "$scratch/back" && cmp -n 5000001 "$scratch/in" "$scratch/back"
}
# Its region is there: nbdkit has its socket before.
served() {
	disk -a "$address" "$@" -- && nbdinfo --size "$uri" >"$scratch/size"
}
# What a process left that was killed is not free until its lease is over.
again() {
	served "$@" || ! grep -qF 'in use' "$scratch/disk"
}
found() {
	await again "$@" && kill -0 "$disk"
}
stop() {
	kill "$disk"
	ends "$disk"
}

appliance || skip "no appliance came up"
other=$address
appliance || skip "no appliance came up"
head -c 5000001 /dev/urandom >"$scratch/in"
truncate -s 8060928 "$scratch/in"
name=$scratch/name

refused 'with a size it is made' --region "$scratch/nothing"
check "a disk with a name is made" served -s 8000000 --region "$name"
[ "$(stat -c %a "$name")" = 600 ]
verdict "its token is for its user alone" $?
check "it is written to" nbdcopy "$scratch/in" "$uri"
refused 'the region is in use' --region "$name"
check "a signal ends it with status 0" stop
check "the next process finds the disk" served --region "$name"
[ "$(cat "$scratch/size")" = 8060928 ]
verdict "whose size was rounded up to 64 KiB" $?
check "and its bytes" same
nbdinfo --json "$uri" >"$scratch/out" 2>&1
grep -q '"can_trim": false' "$scratch/out"
verdict "it has no trim, which would end with its process" $?
if command -v qemu-io >/dev/null; then
	check "zeros are written" qemu-io -f raw "$uri" -c 'write -z 1M 1M' -c flush
	dd if=/dev/zero of="$scratch/in" bs=1M seek=1 count=1 conv=notrunc 2>/dev/null
fi
kill -9 "$disk"
wait "$disk" 2>/dev/null
check "after one that was killed it is found, too" found --region "$name"
check "with all of its bytes" same
check "and ends" stop
refused 'leave the size out' --region "$name" --size 9M
refused 'one of them' --region "$name" --token extmem1-0
refused 'which a crash can leave unequal' --region "$scratch/two" --size 8M \
	--strategy 'mirror 2' -a "$other"
[ ! -e "$scratch/two" ]
verdict "what was refused has left no file" $?

token=$("$extmem" region create --size 8M --appliance "$address")
check "a region that waits is a disk" served --token "$token"
check "is written to" nbdcopy "$scratch/in" "$uri"
refused 'the region is in use' --token "$token"
check "ends" stop
check "and waits under the same token" served --token "$token"
check "with its bytes" same
check "and ends again" stop
refused 'typing error' --token extmem1-0
check "who has the token frees it" "$extmem" region rm "$token" --appliance "$address"
refused 'no memory waits' --token "$token"

# A name is a file in a folder of the user's.
export XDG_STATE_HOME="$scratch/state"
check "a name without a slash" served -s 1M --region here
[ -s "$scratch/state/extmem/here" ]
verdict "is in a folder of this user's" $?
check "and its disk ends" stop
check "its memory is freed" "$extmem" region rm "$(cat "$scratch/state/extmem/here")" \
	--appliance "$address"
refused 'remove that file' --region here

# A durable one is there after kill -9 of its appliance: what was flushed.
refused 'is for a disk that is kept' --size 1M --durable
refused 'no durable store' --size 1M --region "$scratch/none" --durable
kept=$scratch/kept
lend() {
	appliance --store "$scratch/store"
}
# shellcheck disable=SC2046 # several
kill_appliance() {
	kill -9 $(pgrep -P "$appliance") "$appliance"
	wait "$appliance" 2>/dev/null
	await flock -n "$scratch/store/lock" true
}
if command -v qemu-io >/dev/null; then
	check "an appliance with a store" lend
	check "a durable disk is made" served -s 8M --region "$kept" --durable
	head -c 8388608 /dev/urandom >"$scratch/in"
	nbdcopy --flush "$scratch/in" "$uri"
	verdict "it is written to and flushed" $? "$scratch/disk"
	qemu-io -f raw "$uri" -c 'write -f -P 7 64k 64k' >/dev/null
	verdict "and written to with FUA" $? "$scratch/disk"
	head -c 65536 /dev/zero | tr '\0' '\007' |
		dd of="$scratch/in" bs=64k seek=1 conv=notrunc 2>/dev/null
	kill_appliance
	kill -9 "$disk"
	wait "$disk" 2>/dev/null
	check "the appliance begins again" lend
	check "the disk is found" found --region "$kept" --durable
	check "with all that was flushed" same
	check "and ends" stop
fi
summary
