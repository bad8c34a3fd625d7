#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# A disk whose appliance dies: with a mirror nobody notices, without one it is an error in
# words, and never zeros.
. "$XM_SRCDIR/tests/faces/rig.sh"
need_disk
command -v qemu-io >/dev/null || skip "qemu-io is not here (Debian: qemu-utils)"

appliance || skip "no appliance came up"
first=$address first_process=$appliance
appliance || skip "no appliance came up"
check "a disk on two appliances" disk -s 16M --strategy 'mirror 2' \
	-a "$first" -a "$address" --
check "is written to" well -c 'write -P 0x5a 1M 2M'
kill -9 "$first_process"
wait "$first_process" 2>/dev/null
check "when one has died it reads and writes" well -c 'read -P 0x5a 1M 2M' \
	-c 'write -P 7 0 1M' -c 'read -P 7 0 1M' -c 'read -P 0x5a 2M 1M' -c flush
kill "$disk"
ends "$disk"
verdict "and ends with status 0" $? "$scratch/disk"

check "a disk on one appliance" disk -s 16M -a "$address" --
check "is written to" well -c 'write -P 0x5a 1M 2M'
kill -9 "$appliance"
wait "$appliance" 2>/dev/null
# Its interface process may serve for a moment more.
unreadable() {
	io -c 'read -P 0x5a 1M 4k'
	! grep -q 'verification failed' "$scratch/out" || wrong=yes
	grep -q 'Input/output error' "$scratch/out"
}
wrong=
await unreadable
verdict "when it has died a read is an input/output error" $?
[ -z "$wrong" ]
verdict "and never other bytes" $?
check "so is a write" eval '! io -c "write 1M 4k"; grep -q "Input/output error" "$scratch/out"'
grep -qE 'out of reach|is lost' "$scratch/disk"
verdict "the log says why" $? "$scratch/disk"
check "what was never written to still reads as zero" well -c 'read -P 0 8M 4k'
kill "$disk"
ends "$disk"
verdict "and it ends with status 0" $? "$scratch/disk"
summary
