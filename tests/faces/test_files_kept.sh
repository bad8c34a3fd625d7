#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# Files that are regions of their own, under a name or a token: the next folder finds them,
# whether the first has ended or was killed; rename and rm are the region's.
. "$XM_SRCDIR/tests/faces/rig.sh"
need_files

# usage: refused WORDS OPTION...: another folder
mkdir "$scratch/other"
refused() {
	words=$1
	shift
	timeout 120 "$extmem" mount -f -a "$address" "$@" "$scratch/other" \
		>"$scratch/out" 2>&1 8>&-
	[ $? -ne 0 ] && grep -qF -e "$words" "$scratch/out"
	verdict "refused: $words" $? "$scratch/out"
}
again() {
	files -a "$address" "$@" || ! grep -qF 'in use' "$scratch/files"
}
# What a process left that was killed is not free until its lease is over.
found() {
	await again "$@" && kill -0 "$files"
}
stop() {
	kill "$files"
	ends "$files"
}
# usage: in_words WORDS COMMAND...: it fails so
in_words() {
	words=$1
	shift
	! "$@" >"$scratch/out" 2>&1 && grep -qF -e "$words" "$scratch/out"
}
leased() {
	"$extmem" status "$address" | grep -qF " $1 MiB leased"
}

appliance --store "$scratch/store" || skip "no appliance came up"
export XDG_STATE_HOME="$scratch/state"
state=$scratch/state/extmem
head -c 5000001 /dev/urandom >"$scratch/in"

need_mount -a "$address" -r data=8000000 -s 4M
[ "$(stat -c '%s %a' "$folder/data")" = '8060928 600' ] && [ -s "$state/data" ]
verdict "a region is made, and is a file" $?
written() {
	dd if="$scratch/in" of="$folder/$1" bs=1M conv=notrunc,fsync 2>"$scratch/out"
}
same() {
	cmp -n 5000001 "$scratch/in" "$folder/$1"
}
check "it is written to" written data
check "beside ordinary files" eval 'echo text >"$folder/f" && ln "$folder/f" "$folder/g"'
check "its size stays" in_words 'not permitted' truncate -s 1M "$folder/data"
check "what is behind its end is refused" in_words 'File too large' \
	dd if=/dev/zero of="$folder/data" bs=64k seek=123 count=1 conv=notrunc,fsync
check "it has one name" in_words 'not permitted' ln "$folder/data" "$folder/other"
mkdir "$folder/d"
check "in its folder" in_words 'not permitted' mv "$folder/data" "$folder/d"
check "over no other file" in_words 'File exists' mv "$folder/data" "$folder/f"
check "nothing is moved over it" in_words 'not permitted' mv "$folder/f" "$folder/data"
refused 'the region is in use' -r data
check "a new name" mv "$folder/data" "$folder/fresh"
[ ! -e "$state/data" ] && [ -s "$state/fresh" ]
verdict "is that of the region" $?
check "a signal ends the folder" stop

check "the next one" files -a "$address" --region fresh
check "has the file with its bytes" same fresh
[ "$(ls "$folder")" = fresh ]
verdict "and no other file" $?
check "a new file has no room there" in_words 'No space' dd if=/dev/zero \
	of="$folder/f" count=1 conv=fsync
rm "$folder/f"
check "a part of it becomes zeros" eval 'fallocate -p -o 1M -l 1M "$folder/fresh" &&
	fallocate -z -o 100 -l 100 "$folder/fresh"'
dd if=/dev/zero of="$scratch/in" bs=1M seek=1 count=1 conv=notrunc 2>/dev/null
dd if=/dev/zero of="$scratch/in" bs=100 seek=1 count=1 conv=notrunc 2>/dev/null
check "which are read" same fresh
sync "$folder/fresh"
kill -9 "$files"
wait "$files" 2>/dev/null
"$extmem" unmount "$folder"
check "after one that was killed it is found, too" found --region fresh
check "with all of its bytes" same fresh
exec 5<"$folder/fresh"
check "rm takes the name away" rm "$folder/fresh"
[ ! -e "$state/fresh" ] && leased 7.7
verdict "and the region goes" $?
cmp -n 5000001 - "$scratch/in" <&5
verdict "when nobody has it open" $?
exec 5<&-
check "then its memory is free" await leased 0.0
check "and the folder ends" stop
refused 'with a size it is made' -r fresh

token=$("$extmem" region create --size 1M --name far --appliance "$address")
check "a region that waits" files -a "$address" --token "$token"
check "has its own name" eval 'echo here | dd of="$folder/far" conv=notrunc 2>/dev/null'
check "which stays" in_words 'not permitted' mv "$folder/far" "$folder/near"
check "and ends" stop
check "and waits under the same token" files -a "$address" --token "$token"
check "with its bytes" grep -aq here "$folder/far"
check "until it is removed" eval 'rm "$folder/far" && await leased 0.0'
check "and the folder ends again" stop
refused 'no memory waits' --token "$token"

refused 'how much memory?'
refused 'for files that are kept' -s 1M --durable
refused 'two files would be named' -r a=1M -r "$scratch/a=1M"
[ -s "$state/a" ] && rm "$state/a" "$scratch/a"

# A durable one is there after kill -9 of its appliance: what fsync(2) had reached.
# shellcheck disable=SC2046 # several
kill_appliance() {
	kill -9 $(pgrep -P "$appliance") "$appliance"
	wait "$appliance" 2>/dev/null
	await flock -n "$scratch/store/lock" true
}
check "a durable one" files -a "$address" -r kept=8M --durable
check "is written to" written kept
kill_appliance
kill -9 "$files"
wait "$files" 2>/dev/null
"$extmem" unmount "$folder"
check "its appliance begins again" appliance --store "$scratch/store"
check "it is found" found -r kept --durable
check "with all that fsync had reached" same kept
check "and its folder ends" stop
summary
