#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# A folder whose appliance dies: with a mirror nobody notices, without one it is an error in
# words, and never zeros. And one whose own process dies.
. "$XM_SRCDIR/tests/faces/rig.sh"
need_files

appliance || skip "no appliance came up"
first=$address first_process=$appliance
appliance || skip "no appliance came up"
need_mount -s 16M --strategy 'mirror 2' -a "$first" -a "$address"
head -c 5000000 /dev/urandom >"$scratch/in"
# usage: drop FILE: the kernel forgets what it has of it.
drop() {
	dd if="$1" iflag=nocache count=0 2>/dev/null
}
check "a folder on two appliances is written to" eval \
	'cp "$scratch/in" "$folder/f" && sync "$folder/f" && drop "$folder/f"'
kill -9 "$first_process"
wait "$first_process" 2>/dev/null
check "when one has died it is read" cmp "$scratch/in" "$folder/f"
check "and written" eval 'cp "$scratch/in" "$folder/g" && sync "$folder/g" &&
	drop "$folder/g" && cmp "$scratch/in" "$folder/g"'
check "and unmounted" "$extmem" unmount "$folder"
ends "$files"
verdict "with status 0" $? "$scratch/files"

# Each has half of the bytes, in turns.
appliance || skip "no appliance came up"
other=$address other_process=$appliance
appliance || skip "no appliance came up"
check "a folder dealt out over two appliances" files -s 64M \
	--strategy 'stripe 2 x 256K' -a "$other" -a "$address" -o timeout=5s \
	-o loss_timeout=1s
head -c 600000 "$scratch/in" >"$scratch/part"
check "is written to" eval 'cp "$scratch/in" "$folder/f" && sync "$folder/f"'
kill -9 "$other_process"
wait "$other_process" 2>/dev/null
check "when one has died the other takes what is written" eval \
	'cp "$scratch/part" "$folder/g" && sync "$folder/g" && drop "$folder/g" &&
	cmp "$scratch/part" "$folder/g"'
kill "$files"
ends "$files"
verdict "and it ends with status 0" $? "$scratch/files"

check "a folder on one appliance" files -s 16M -a "$address"
check "is written to" eval \
	'cp "$scratch/in" "$folder/f" && sync "$folder/f" && drop "$folder/f"'
kill -9 "$appliance"
wait "$appliance" 2>/dev/null
wrong=
# Its interface process may serve for a moment more.
unreadable() {
	drop "$folder/f"
	if cat "$folder/f" >"$scratch/back" 2>"$scratch/err"; then
		cmp -s "$scratch/in" "$scratch/back" || wrong=yes
		return 1
	fi
	cmp -s -n "$(stat -c %s "$scratch/back")" "$scratch/in" "$scratch/back" ||
		wrong=yes
	grep -q 'Input/output error' "$scratch/err"
}
await unreadable
verdict "when it has died a read is an input/output error" $? "$scratch/err"
[ -z "$wrong" ]
verdict "and never other bytes" $?
unwritable() {
	dd if=/dev/zero of="$folder/f" conv=notrunc,fsync bs=4k count=1 \
		2>"$scratch/err"
	grep -q 'Input/output error' "$scratch/err"
}
check "so is what fsync says of a write" unwritable
grep -qE 'out of reach|is lost' "$scratch/files"
verdict "the log says why" $? "$scratch/files"
"$extmem" unmount "$folder"
ends "$files"
verdict "and it ends with status 0" $? "$scratch/files"

appliance || skip "no appliance came up"
check "a folder" files -s 16M -a "$address"
check "whose process dies" eval 'echo text >"$folder/f" && kill -9 "$files"'
wait "$files" 2>/dev/null
check "is an error" eval '! cat "$folder/f" 2>/dev/null'
check "and can be unmounted" "$extmem" unmount "$folder"
check "and made again" files -s 16M -a "$address"
check "empty" eval '[ -z "$(ls -A "$folder")" ]'
kill "$files"
ends "$files"
verdict "and ends with status 0" $? "$scratch/files"

# It hangs, both of its processes, so that a write times out that may arrive later.
appliance || skip "no appliance came up"
hangs="$appliance $(pgrep -P "$appliance")"
check "a folder whose appliance will hang" files -s 16M -a "$address" -o timeout=2s \
	-o loss_timeout=120s
check "is written to" eval 'cp "$scratch/part" "$folder/f" && sync "$folder/f"'
# shellcheck disable=SC2086 # several
kill -STOP $hangs
patience=$((120 * ${XM_SLOW:-1}))
ends_in_error() {
	timeout $patience "$@" 2>"$scratch/err"
	[ $? -eq 1 ] && grep -q 'Input/output error' "$scratch/err"
}
check "fsync says an error in bounded time" ends_in_error \
	dd if="$scratch/part" of="$folder/g" bs=64k conv=fsync
# shellcheck disable=SC2086
kill -CONT $hangs
# usage: same_or_error FILE: every page of it is that of what was written, or an error
same_or_error() {
	drop "$1"
	dd if="$1" of="$scratch/back" bs=4k conv=noerror,sync iflag=fullblock \
		2>"$scratch/err"
	size=$(stat -c %s "$1")
	[ "$size" -eq 0 ] || grep -q 'Input/output error' "$scratch/err" ||
		cmp -n "$size" "$scratch/part" "$scratch/back"
}
check "then it is read as an error, or as what was written" same_or_error "$folder/g"
again() {
	cp "$scratch/part" "$folder/g" && sync "$folder/g" && drop "$folder/g" &&
		cmp "$scratch/part" "$folder/g"
}
check "and can be written again" await again
check "what was there before is there" eval \
	'drop "$folder/f" && cmp "$scratch/part" "$folder/f"'
kill -9 "$appliance"
wait "$appliance" 2>/dev/null
check "to one that has died 5 MB end in an error in bounded time" ends_in_error \
	dd if="$scratch/in" of="$folder/h" bs=1M conv=fsync
kill "$files"
ends "$files"
verdict "and it ends with status 0" $? "$scratch/files"

# A file that is a region of its own: what a write that failed was to replace does not come
# back.
appliance || skip "no appliance came up"
hangs="$appliance $(pgrep -P "$appliance")"
export XDG_STATE_HOME="$scratch/state"
# usage: of LETTER: 8 MiB of it
of() {
	head -c 8388608 /dev/zero | tr '\0' "$1"
}
into() {
	dd of="$folder/data" bs=1M iflag=fullblock conv=notrunc,fsync 2>"$scratch/err"
}
check "a region as a file" files -a "$address" -r data=32M -o timeout=1s \
	-o loss_timeout=120s
check "is written to" eval 'of A | into && drop "$folder/data"'
# shellcheck disable=SC2086 # several
kill -STOP $hangs
of B | into
grep -q 'Input/output error' "$scratch/err"
verdict "while its appliance hangs fsync says an error" $? "$scratch/err"
# shellcheck disable=SC2086
kill -CONT $hangs
only_new() {
	drop "$folder/data"
	dd if="$folder/data" of="$scratch/back" bs=256k count=32 conv=noerror,sync \
		2>"$scratch/err"
	[ -s "$scratch/back" ] && ! grep -q A "$scratch/back"
}
check "then it is read as an error, or as what was written" only_new
new_again() {
	of B | into && drop "$folder/data" && of B | cmp -n 8388608 - "$folder/data"
}
check "and can be written again" await new_again
echo behind >"$scratch/behind"
dd if="$scratch/behind" of="$folder/data" bs=32M seek=1 conv=notrunc,fsync 2>"$scratch/err"
drop "$folder/data"
! tail -c 7 "$folder/data" >"$scratch/back" 2>"$scratch/err"
verdict "what was written behind its end is not read as zeros" $? "$scratch/back"
kill "$files"
ends "$files"
verdict "and it ends with status 0" $? "$scratch/files"

appliance || skip "no appliance came up"
# What `extmem swap` stands on, without swap: a folder whose process hangs.
connections=/sys/fs/fuse/connections
mountpoint -q $connections || mount -t fusectl none $connections 2>/dev/null
if [ -w $connections ] && mountpoint -q $connections; then
	check "a folder with a watchdog" files -s 16M -a "$address" --swap --deadline 3
	# It is there when the process has locked its memory.
	check "which is there" await pgrep -P "$files" extmem-watchdog
	check "and is written to" eval 'echo text >"$folder/f" && sync "$folder/f"'
	kill -STOP "$files"
	check "is an error when its process hangs" eval \
		'! timeout 60 sh -c "for i in 1 2 3 4 5 6 7 8 9; do : >\"$folder/g\$i\"; done" 2>"$scratch/err"'
	grep -q 'no request was answered for 3 s' "$scratch/files"
	verdict "and the log says so" $? "$scratch/files"
	kill -CONT "$files"
	ends "$files"
	check "and it is unmounted" eval '! mountpoint -q "$folder"'
else
	echo "skipped the watchdog: fusectl is not here, or not for this user"
fi
# One that is killed at any moment of its beginning or its end does not wait for itself.
gone() {
	! kill -0 "$1" 2>/dev/null || grep -q '^State:.Z' "/proc/$1/status"
}
killed() {
	"$extmem" mount --foreground -s 1M -a "$address" "$folder" >"$scratch/out" 2>&1 8>&- &
	one=$!
	sleep "0.$1"
	[ "$2" = begins ] || kill "$one"
	sleep "0.0$3"
	kill -9 "$one" 2>/dev/null
	await gone "$one"
	wait "$one" 2>/dev/null
	umount -l "$folder" 2>/dev/null || fusermount3 -u -q -z "$folder" 2>/dev/null
	gone "$one"
}
for after in 02 04 06 08 10 12 14 16; do
	killed $after begins 0 && killed 4 ends $after || break
done
verdict "killed at any moment it ends" $? "$scratch/out"
summary
