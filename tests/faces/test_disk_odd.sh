#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# Disks at their edges: a size that is no multiple of anything, trims and zeros that end
# within a page, two writers of the same pages, and what lies behind the end.
. "$XM_SRCDIR/tests/faces/rig.sh"
need_disk
command -v qemu-io >/dev/null || skip "qemu-io is not here (Debian: qemu-utils)"

refused() {
	io "$@"
	grep -qE 'failed|error' "$scratch/out"
}
# usage: writer VALUE FIRST: every other run of 1000 bytes of the first 64,000
writer() {
	value=$1 at=$2
	set --
	while [ "$at" -lt 64000 ]; do
		set -- "$@" -c "write -P $value $at 1000"
		at=$((at + 2000))
	done
	timeout 120 qemu-io -f raw "$uri" "$@" >"$scratch/writer$value" 2>&1
}
# Both write to each page at the same time, and no byte of either is lost.
two_writers() {
	writer 1 0 8>&- &
	one=$!
	writer 2 1000 8>&- &
	two=$!
	wait "$one" && wait "$two" || return
	at=0
	set --
	while [ "$at" -lt 64000 ]; do
		set -- "$@" -c "read -P 1 $at 1000" -c "read -P 2 $((at + 1000)) 1000"
		at=$((at + 2000))
	done
	well "$@"
}
stop() {
	kill "$disk"
	ends "$disk"
}

# 5,000,001 is 1220 pages and 2881 bytes: the last page begins at 4997120.
appliance || skip "no appliance came up"
check "a disk whose size is odd" disk -s 5000001 -a "$address" --
check "is written to, up to its last byte" well -c 'write -P 7 0 5000001' \
	-c 'read -P 7 0 5000001'
check "a trim to its odd end reaches the end" well -c 'discard 4997120 2881' \
	-c 'read -P 0 4997120 2881' -c 'read -P 7 4993024 4096'
check "one that begins within a page leaves that page" well \
	-c 'discard 4096001 8192' -c 'read -P 7 4096000 4096' \
	-c 'read -P 0 4100096 4096' -c 'read -P 7 4104192 4096'
check "one within a page leaves all of it" well -c 'discard 8193 100' \
	-c 'read -P 7 8192 4096'
check "zeros end where they were to" well -c 'write -z 12289 8191' \
	-c 'read -P 7 12288 1' -c 'read -P 0 12289 8191' -c 'read -P 7 20480 4096'
check "also at the odd end" well -c 'write -P 9 4990000 10001' \
	-c 'write -z 4998000 2001' -c 'read -P 9 4990000 8000' \
	-c 'read -P 0 4998000 2001'
check "behind the end nothing is read" refused -c 'read 5000704 1'
check "nor written" refused -c 'write -P 1 5000001 1'
check "and the last byte stays" well -c 'read -P 0 5000000 1'
head -c 5000002 /dev/zero >"$scratch/large"
check "a file that is larger is not copied to it" eval \
	'! nbdcopy "$scratch/large" "$uri" 2>"$scratch/err"'
check "two writers of the same pages lose nothing" two_writers
check "it ends with status 0" stop

check "a disk of one byte" disk -s 1 -a "$address" --
check "has it" well -c 'write -P 5 0 1' -c 'read -P 5 0 1'
check "and can be trimmed" well -c 'discard 0 1' -c 'read -P 0 0 1'
check "and ends" stop

if configured OPENSSL; then
	check "a sealed disk" disk -s 1M -a "$address" --seal --
	check "two writers of its pages lose nothing" two_writers
	check "and it ends" stop
fi
summary
