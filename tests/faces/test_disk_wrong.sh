#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# Disks that cannot be: each is refused in words that say what to do.
. "$XM_SRCDIR/tests/faces/rig.sh"

# usage: refused STATUS WORDS COMMAND...
refused() {
	wanted=$1 words=$2
	shift 2
	rm -f "$scratch/socket"
	timeout 120 "$@" >"$scratch/out" 2>&1 8>&-
	got=$?
	[ $got -eq "$wanted" ] && grep -qF -e "$words" "$scratch/out"
	verdict "refused: $words" $? "$scratch/out"
}

refused 2 'how large?' "$extmem" disk -a ofi+tcp://127.0.0.1:1
refused 2 'size' "$extmem" disk --size much
need_disk
refused 1 'nbdkit is not here' env PATH=/nowhere "$extmem" disk --size 1M
refused 1 'a disk without bytes' nbdkit "$plugin" size=0
refused 1 'how large?' nbdkit "$plugin"
refused 1 'no such option "region_sise"' nbdkit "$plugin" 1M region_sise=1
refused 1 'no appliance is named' nbdkit "$plugin" 1M
refused 1 'nobody listens at' "$extmem" disk -s 1M \
	-a ofi+tcp://127.0.0.1:1 -U "$scratch/socket"
refused 1 'strategy' "$extmem" disk -s 1M -a ofi+tcp://127.0.0.1:1 \
	--strategy 'mirrored' -U "$scratch/socket"
appliance || skip "no appliance came up"
refused 1 'the whole pool is' "$extmem" disk -s 64G -a "$address" -U "$scratch/socket"
summary
