#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# Folders that cannot be: each is refused in words that say what to do.
. "$XM_SRCDIR/tests/faces/rig.sh"

# usage: refused STATUS WORDS COMMAND...
refused() {
	wanted=$1 words=$2
	shift 2
	timeout 120 "$@" >"$scratch/out" 2>&1 8>&-
	got=$?
	[ $got -eq "$wanted" ] && grep -qF -e "$words" "$scratch/out"
	verdict "refused: $words" $? "$scratch/out"
}

refused 2 'which folder?' "$extmem" unmount
refused 1 'No such file' "$extmem" unmount "$scratch/none"
refused 1 'has made nothing of' "$extmem" unmount "$scratch"
refused 2 'how much?' "$extmem" swap on
refused 2 'how much?' "$extmem" swap on some
refused 2 'swap on SIZE' "$extmem" swap
if [ "$(id -u)" -eq 0 ]; then
	[ -e /run/extmem-swap ] || refused 1 'it is not on' "$extmem" swap off
else
	refused 1 "root's" "$extmem" swap on 1M -a ofi+tcp://127.0.0.1:1
	refused 1 "root's" "$extmem" swap off
fi
configured FUSE || {
	refused 1 'libfuse3-dev' "$extmem" mount "$scratch"
	summary
	exit
}
somewhere='ofi+tcp://127.0.0.1:1'
refused 2 'how much memory?' "$extmem" mount -a $somewhere "$scratch"
refused 2 'which folder?' "$extmem" mount -s 1M -a $somewhere
refused 2 'one folder' "$extmem" mount -s 1M -a $somewhere a b
refused 2 'No such file' "$extmem" mount -s 1M -a $somewhere "$scratch/none"
refused 2 'is no folder' "$extmem" mount -s 1M -a $somewhere "$XM_BUILDDIR/config.h"
refused 2 'no such option "lokal"' "$extmem" mount -s 1M -a $somewhere \
	-o lokal=1M "$scratch"
refused 2 'no appliance is named' "$extmem" mount -s 1M "$scratch"
refused 2 'strategy' "$extmem" mount -s 1M -a $somewhere --strategy mirrored "$scratch"
refused 1 'nobody listens at' "$extmem" mount -s 1M -a $somewhere "$scratch"
many=
for i in $(seq 17); do
	many="$many -a ofi+tcp://127.0.0.1:$i"
done
# shellcheck disable=SC2086
refused 2 '16' "$extmem" mount -s 1M $many "$scratch"
# shellcheck disable=SC2086
refused 2 'at most' "$extmem" mount -s 1M $many $many $many $many "$scratch"
appliance || skip "no appliance came up"
refused 1 'the whole pool is' "$extmem" mount -s 64G -a "$address" "$scratch"
summary
