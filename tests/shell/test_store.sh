#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# extmemd --store: what was durable is there after kill -9 of everything, as long as there
# was an answer that said so; XM_KILLS=N kills so many times. And what is refused.
. "$XM_SRCDIR/tests/support/daemons.sh"

client=$XM_BUILDDIR/tests/shell/durable
store=$scratch/store
kills=${XM_KILLS:-8}

begin() {
	start --memory 16M --store "$store"
	[ -n "$address" ]
}

# Every process of it, at once.
kill_all() {
	# shellcheck disable=SC2046 # several
	kill -9 $(pgrep -P "$daemon") "$daemon" 2>/dev/null
	wait "$daemon" 2>/dev/null
	await is_unlocked
}
is_unlocked() {
	flock -n "$store/lock" true
}

has_rounds() {
	[ "$(wc -l <"$scratch/rounds")" -ge "$1" ]
}

# Kills while a client writes; $round is the last one that it was told is durable.
write_and_kill() {
	: >"$scratch/rounds"
	"$client" "$address" "$token" write $((round + 1)) >"$scratch/rounds" \
		2>>"$scratch/log" &
	writer=$!
	await has_rounds $((1 + $1 % 5))
	kill_all
	kill -9 $writer 2>/dev/null
	wait $writer 2>/dev/null
	last=$(tail -n 1 "$scratch/rounds")
	round=${last:-$round}
}

survives() {
	for kill in $(seq "$kills"); do
		write_and_kill "$kill"
		begin || return 1
		"$client" "$address" "$token" check "$round" || return 1
	done
}

refused() { # WORDS OPTION...
	words=$1
	shift
	! timeout 60 "$extmemd" --listen $tcp "$@" >"$scratch/out" 2>&1 &&
		cat "$scratch/out" && grep -q "$words" "$scratch/out"
}

round=0
check "a daemon begins with a new store" begin
token=$("$client" "$address" make) || verdict "a durable region" 1
create() {
	other=$("$extmem" region create --size 1M --durable --for-ever \
		--appliance "$address") && [ -n "$other" ]
}
is_back() {
	begin && "$extmem" region list --appliance "$address" >"$scratch/out" &&
		[ "$(grep -c '(waits: ' "$scratch/out")" -eq 2 ] &&
		"$extmem" region rm "$other" --appliance "$address"
}
is_gone() {
	begin && "$extmem" region list --appliance "$address" >"$scratch/out" &&
		[ "$(grep -c '(waits: ' "$scratch/out")" -eq 1 ]
}

is_confined() {
	grep 'the store process is without capabilities, hidden from tracing' \
		"$scratch/log"
}
check "its process is confined, and the log says how" is_confined
check "extmem region makes a durable one" create
kill_all
check "both are back after kill -9, and one is freed" is_back
kill_all
check "that is gone after kill -9" is_gone
# A drain leaves what is on the store there, and does not wait for whoever wants it.
drains() {
	kill -TERM "$daemon"
	wait "$daemon"
}
check "a drain does not wait for what is durable" drains
check "that is back after the drain" is_gone
check "a second daemon on it is refused" refused 'another process has it open' \
	--memory 16M --store "$store"
check "nothing that was durable is lost in $kills kills of everything" survives
kill_all
check "less memory than it was made for is refused" refused 'it was made for' \
	--memory 8M --store "$store"
says_store() { # STATUS WORDS check|show
	"$extmem" store "$3" "$store" >"$scratch/out" 2>&1
	[ $? -eq "$1" ] && grep -q "$2" "$scratch/out"
}
check "extmem store check finds it well" says_store 0 'all is well' check
check "extmem store show lists it" says_store 0 "$token" show
check "extmem store scrub reads all of it" says_store 0 'all is well' scrub
"$extmem" store scrub --json "$store" | grep -q '"damaged": \[\], .*"readable": true'
verdict "and says so in JSON" $?
"$extmem" store show --json "$store" | grep -q "\"token\": \"$token\""
verdict "as does extmem store show" $?

# usage: copy: of the store, in $copy
copy=$scratch/copy
copy() {
	rm -rf "$copy"
	cp -r "$store" "$copy"
}
is_refused() { # WHAT WORDS
	for memory in 16M 32M; do
		refused "$2" --memory $memory --store "$copy"
		verdict "$1 is refused ($memory)" $?
	done
}
for file in journal image sums table; do
	copy
	rm "$copy/$file"
	is_refused "a store without its $file" 'it was cut off, or copied in part'
	copy
	truncate -s -512 "$copy/$file"
	is_refused "a $file that is too short" 'it was cut off, or copied in part'
done
for file in sums table; do
	copy
	dd if=/dev/zero of="$copy/$file" bs=512 count=1 conv=notrunc 2>/dev/null
	is_refused "a $file that begins with zeros" 'damaged'
done
copy
printf x | dd of="$copy/image" bs=1 seek=100 conv=notrunc 2>/dev/null
store_was=$store store=$copy
round_is_there() {
	"$client" "$address" "$token" check "$round" >"$scratch/out" 2>&1
}
opens_without_it() {
	: >"$scratch/log"
	begin && grep -q 'page 0 of region kept .* is damaged: its bytes are not what' \
		"$scratch/log"
}
check "a page of which a bit has changed is lost, and said to be" opens_without_it
! round_is_there && grep -q 'lacks bytes there' "$scratch/out"
verdict "who reads it is told so" $?
check "all others are there" env XM_LOST=0 "$client" "$address" "$token" check "$round"
kill_all
store=$store_was
store=$copy says_store 1 'page 0 is damaged' check
verdict "and extmem store check names it" $?
store=$copy says_store 1 'DAMAGED' scrub
verdict "as does extmem store scrub" $?
start --memory 16M --store "$scratch/other"
kill_all
copy
cp "$scratch/other/table" "$copy/table"
is_refused "the table of another store" 'its table is damaged'
copy
printf x | dd of="$copy/sums" bs=1 seek=20 conv=notrunc 2>/dev/null
is_refused "what has damaged checksums" 'checksums are damaged'
store=$copy says_store 1 "checksums are damaged" check
verdict "and extmem store check says so" $?
check "a folder that cannot be made is refused" refused 'cannot be made' \
	--memory 16M --store "$scratch/no/folder"
# The store process is stopped, so that the daemon waits for it.
has_store_process() {
	first=$(pgrep -P "$outer") && reader=$(pgrep -o -P "$first")
}
is_ended() {
	! kill -0 "$outer" 2>/dev/null
}
if unshare -Urpf true 2>/dev/null; then
	unshare -Urpf --kill-child "$extmemd" --listen $tcp --memory 512M \
		--store "$scratch/first" 2>>"$scratch/log" &
	outer=$!
	daemons="$daemons $outer"
	until has_store_process; do :; done
	kill -STOP "$reader"
	kill -TERM "$first"
	await is_ended
	verdict "SIGTERM ends one that reads its store, as a container's first process" $?
else
	echo "skipped the first process of a container: unshare -p is not permitted"
fi
small=$scratch/small
mkdir "$small"
if [ "$(id -u)" -eq 0 ] && mount -t tmpfs -o size=24M extmem "$small" 2>/dev/null; then
	check "a disk that is too small is refused" refused 'are free where it lies' \
		--memory 16M --store "$small/store"
	mount -o remount,ro "$small"
	check "and so is one that is read-only" refused 'Read-only file system' \
		--memory 16M --store "$small/store"
	umount "$small"
else
	echo "skipped disks that are full or read-only: that needs root"
fi
summary
