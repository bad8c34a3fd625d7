#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# `extmem swap off`, where a program still uses the folder; in a mount namespace, with no
# swap. (What swap does is tests/faces/swap.sh's, which changes the machine.)
. "$XM_SRCDIR/tests/support/daemons.sh"

place=/run/extmem-swap
[ "$(id -u)" -eq 0 ] || skip "mounts are root's to make"
[ ! -e $place ] || skip "$place is there: swap may be on"
unshare -m true 2>/dev/null || skip "no mount namespace can be made here"

cat >"$scratch/off.sh" <<'END'
mkdir -p "$1"/files && mount -t tmpfs extmem "$1"/files || exit 77
exec 7<"$1"/files
"$2" swap off 2>"$3"/said 7<&-
echo $? >"$3"/busy
[ -d "$1"/files ] && echo yes >"$3"/there
exec 7<&-
"$2" swap off
echo $? >"$3"/free
END
unshare -m sh "$scratch/off.sh" $place "$XM_BUILDDIR/extmem" "$scratch"
[ -e "$scratch/busy" ] || { rm -rf $place; skip "nothing can be mounted here"; }
[ "$(cat "$scratch/busy")" -eq 1 ] && grep -q 'still uses it' "$scratch/said"
verdict "a folder that is in use is said, with status 1" $? "$scratch/said"
[ -e "$scratch/there" ]
verdict "and left" $? "$scratch/said"
[ "$(cat "$scratch/free")" -eq 0 ] && [ ! -e $place ]
verdict "once more takes it away when it is free" $? "$scratch/said"
summary
