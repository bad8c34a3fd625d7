#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# A sealed region in the durable store: nothing of it can be read there, all of it opens again
# after kill -9 of everything, and an older store that was put back is refused.
. "$XM_SRCDIR/tests/support/daemons.sh"

client=$XM_BUILDDIR/tests/shell/durable
store=$scratch/store
key=$scratch/key
head -c 32 /dev/urandom >"$key"
chmod 600 "$key"

begin() {
	start --memory 16M --store "$store" && [ -n "$address" ]
}
is_unlocked() {
	flock -n "$store/lock" true
}
# Every process of the daemon, at once.
kill_daemon() {
	# shellcheck disable=SC2046 # several
	kill -9 $(pgrep -P "$daemon") "$daemon" 2>/dev/null
	wait "$daemon" 2>/dev/null
	await is_unlocked
}
# usage: durable ARGUMENT...: the client, which has the key
durable() {
	EXTMEM_SEAL=asked EXTMEM_SEAL_KEY=file:$key XM_SEALED=1 "$client" "$address" \
		"$@" 2>>"$scratch/log"
}
has_marker() {
	cat "$1"/image "$1"/journal | grep -q 'what nobody else may see'
}
has_no_marker() {
	! has_marker "$1"
}
fails_with() { # WORDS ARGUMENT...
	words=$1
	shift
	: >"$scratch/log"
	! durable "$@" >/dev/null && grep -q "$words" "$scratch/log"
}

begin
plain=$("$client" "$address" make)
"$client" "$address" "$plain" mark >/dev/null
check "what is not sealed is found in the store" has_marker "$store"
kill_daemon
rm -r "$store"

begin
token=$(durable make)
[ -n "$token" ] || cat "$scratch/log"
check "a sealed region is kept durable" [ -n "$token" ]
root=$(durable "$token" mark)
root=${root# }
check "its root is known" [ -n "$root" ]
check "what is sealed is not found" has_no_marker "$store"
kill_daemon
begin
check "it opens after kill -9" durable "$token" check 0 "$root"

# Rounds until everything is killed, again and again.
has_rounds() {
	[ "$(wc -l <"$scratch/rounds")" -ge "$1" ]
}
write_and_kill() {
	: >"$scratch/rounds"
	durable "$token" write $((round + 1)) >"$scratch/rounds" &
	writer=$!
	await has_rounds $((1 + $1 % 5))
	kill_daemon
	# shellcheck disable=SC2046 # or none
	kill -9 $(pgrep -P $writer) $writer 2>/dev/null
	wait $writer 2>/dev/null
	last=$(tail -n 1 "$scratch/rounds")
	round=${last%% *}
	root=${last#* }
}
round=0
for kill in $(seq "${XM_KILLS:-6}"); do
	write_and_kill "$kill"
	begin
	durable "$token" check "$round" "$root" && continue
	cat "$scratch/log"
	verdict "what was acknowledged opens after kill $kill of everything" 1
done
verdict "all that was acknowledged opens after each kill of everything" 0

# The client alone: its pages in memory are newer than their seals.
begun=$round
: >"$scratch/rounds"
durable "$token" write $((round + 1)) >"$scratch/rounds" &
writer=$!
await has_rounds 3
# shellcheck disable=SC2046 # or none
kill -9 $(pgrep -P $writer) $writer 2>/dev/null
wait $writer 2>/dev/null
last=$(tail -n 1 "$scratch/rounds")
round=${last%% *}
root=${last#* }
is_orphaned() {
	durable "$token" mark >/dev/null
}
await is_orphaned
check "what a client had made durable opens after its own end" durable "$token" check "$round" \
	"$root"
check "and it had" [ "$round" -gt "$begun" ]

# An older copy of the store.
kill_daemon
cp -r "$store" "$scratch/older"
begin
newer=$(durable "$token" mark)
newer=${newer# }
kill_daemon
cp -r "$store" "$scratch/newer"
rm -r "$store"
cp -r "$scratch/older" "$store"
begin
check "an older store is refused by who has a newer root" \
	fails_with 'an older state was put back' "$token" check "$round" "$newer"
check "and not by who has an older one" durable "$token" check "$round" "$root"
check "another region's root is refused" fails_with "another region's" "$token" check \
	"$round" "extmem1-root-00000000000000000000000000000000-0000000000000001"
check "what is no root is refused" fails_with 'that is no root' "$token" check "$round" x
"$client" "$address" "$token" check 0 2>&1 | grep -q 'it is sealed: open this client with'
verdict "who has no key is told so" $?
right=$key
key=$scratch/wrong
head -c 32 /dev/urandom >"$key"
chmod 600 "$key"
check "another key is refused" fails_with 'its seals do not open' "$token" check 0
key=$right

# A client that lives remembers by itself.
mkfifo "$scratch/go"
durable "$token" live $((round + 1)) <"$scratch/go" >"$scratch/rounds" &
living=$!
exec 9>"$scratch/go"
await has_rounds 1
kill_daemon
rm -r "$store"
cp -r "$scratch/older" "$store"
port=${address##*:}
tcp=ofi+tcp://127.0.0.1:$port
: >"$scratch/log"
begin
echo go >&9
exec 9>&-
! wait $living && grep -q 'an older state was put back' "$scratch/log"
verdict "a client that has had the region finds out by itself" $?

# Bits that change are found out by the store itself.
kill_daemon
rm -r "$store"
cp -r "$scratch/newer" "$store"
begin
kill_daemon
printf x | dd of="$store/image" bs=1 seek=100 conv=notrunc 2>/dev/null
begin
damaged_is_lost() {
	durable "$token" check 0 >"$scratch/out" 2>&1 || grep -q 'lacks bytes there' "$scratch/log"
}
check "a bit that has changed is a page that is lost" damaged_is_lost

# Of the seals themselves, too: the last page of a tree, which begins with its name, and the
# one before it, which has the seals of two others, each with those of 170 pages.
root_at=$(grep -abo XMSTREE1 "$scratch/newer/image" | cut -d : -f 1)
damage_seals() { # BYTES in front of the last page
	kill_daemon
	rm -r "$store"
	cp -r "$scratch/newer" "$store"
	begin
	kill_daemon
	printf x | dd of="$store/image" bs=1 seek=$((root_at - $1 + 100)) conv=notrunc 2>/dev/null
	begin
}
for back in 0 4096; do
	damage_seals $back
	check "a bit of its seals, $back bytes in front of the last page of them, is refused" \
		fails_with 'of its seals is damaged' "$token" check "$round"
done
loses() { # FIRST-LAST
	XM_LOST=$1 durable "$token" check "$round" || ! cat "$scratch/log"
}
damage_seals 8192
check "a bit of the seals of some pages loses these, and no other" loses 170-320
damage_seals 12288
check "of others, too" loses 0-169
check "the rest goes on being made durable" durable "$token" mark
kill_daemon
begin
check "after which the same are lost, and do not read as zero" loses 0-169
summary
