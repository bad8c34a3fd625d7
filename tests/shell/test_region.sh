#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# `extmem region`, and examples/hand-over.c: regions that wait for a program, and one that
# goes from one program to another.
. "$XM_SRCDIR/tests/support/count.sh"

extmem="$XM_BUILDDIR/extmem"
case $XM_FLAGS in
*thread*)
	echo "skipped: ThreadSanitizer has the addresses that are mapped"
	exit 77
	;;
esac

mkfifo "$scratch/ready"
"$XM_BUILDDIR/extmemd" --listen ofi+tcp://127.0.0.1:0 --memory 64M \
	--ready-fd 3 3>"$scratch/ready" &
daemon=$!
read -r address <"$scratch/ready"

region() {
	"$extmem" region "$@" --appliance "$address"
}

refused() { # WORDS ARGUMENT...
	words=$1
	shift
	! region "$@" >"$scratch/out" 2>&1 && cat "$scratch/out" &&
		grep -q "$words" "$scratch/out"
}

create() {
	token=$(region create --size 8M --name wide) && [ -n "$token" ]
}
waits() {
	region list | tee "$scratch/out" &&
		grep -q '^wide  *(waits: [0-9]*)  *8.0  ' "$scratch/out"
}
renew() {
	second=$(region hand-over "$token") && [ "$second" != "$token" ]
}
is_gone() {
	region list >"$scratch/out" && ! grep -q wide "$scratch/out"
}

check "a region that waits is made, and has a token" create
check "it is listed" waits
check "it gets another token" renew
check "the old one stands for nothing" refused 'no memory waits' rm "$token"
check "what is no token is said" refused 'typing error' rm extmem1-0
check "who is to free what is said" refused 'which region' rm
check "it is freed" region rm "$second"
check "and is gone" is_gone
forgotten() {
	region create --size 8M --name wide --for-ever >"$scratch/token" &&
		region list >"$scratch/out" &&
		extent=$(sed -n 's/^wide  *(waits: \([0-9]*\)).*/\1/p' "$scratch/out") &&
		[ -n "$extent" ] && region rm --extent "$extent"
}
kept() {
	region create --size 40M --name much --for-ever >"$scratch/out" 2>&1
	grep 'kept for longer than an hour (kept-percent)' "$scratch/out"
}
stays() {
	region create --size 8M --name wide >"$scratch/token" &&
		! "$extmem" drain --timeout 1s "$address" >"$scratch/out" 2>&1 &&
		cat "$scratch/out" &&
		grep 'wide waits for a client: 8.0 MiB' "$scratch/out" &&
		"$extmem" drain --off "$address"
}
check "a piece whose token is forgotten is freed by its number" forgotten
check "and is gone, too" is_gone
check "a number that nothing waits under is refused" refused 'only what waits for a token' rm --extent 1
check "a number and no appliance are asked for one" \
	eval '! "$extmem" region rm --extent 1'
check "not all of the memory is kept for ever" kept
shared() {
	token=$(region create --size 8M --name wide) && [ -n "$token" ] || return 1
	mkfifo "$scratch/tokens" || return 1
	"$extmem" region share "$token" --for 1m --appliance "$address" \
		>"$scratch/tokens" 2>"$scratch/words" &
	sharer=$!
	read -r readers <"$scratch/tokens" || { cat "$scratch/words"; return 1; }
	region show "$readers" | tee "$scratch/out" &&
		grep -qx 'wide, 8.0 MiB, may be read by this token' "$scratch/out"
}
ends() {
	kill "$sharer" && wait "$sharer" && sharer= && ! region show "$readers"
}
copied() {
	token=$(region create --size 8M --name wide) && [ -n "$token" ] &&
		second=$(region copy "$token" --name copy) && [ -n "$second" ] &&
		[ "$second" != "$token" ] &&
		region list | tee "$scratch/out" &&
		grep -q '^copy  *(waits: [0-9]*)  *8.0  ' "$scratch/out" &&
		grep -q '^wide  *(waits: [0-9]*)  *8.0  ' "$scratch/out"
}
check "a region is copied, and both wait" copied
check "a copy waits under its own token" region rm "$second"
check "and the region under the one it had" region rm "$token"
check "what is to be copied is said" refused 'which region' copy
check "a region is shared, and shown by the token for readers" shared
check "which frees nothing" refused 'no memory waits' rm "$readers"
check "its own token is the sharer's as long as that lives" \
	refused 'has an owner' hand-over "$token"
check "the share ends with its command" ends
check "and the region waits as before" region rm "$token"
check "what is not shared is said" refused 'no memory is shared' show "$token"
check "a drain says what waits" stays
check "and that is freed" eval 'region rm "$(cat "$scratch/token")"'
if "$extmem" region list --json --appliance "$address" >"$scratch/out" 2>&1 ||
	! grep -q 'no jansson' "$scratch/out"; then
	check "no regions are an empty list" grep -qx '\[\]' "$scratch/out"
fi

compile() {
	$XM_CC $XM_FLAGS -std=c99 -Wall -Wextra -Werror \
		"$XM_SRCDIR/examples/hand-over.c" -o "$scratch/hand-over" \
		$(PKG_CONFIG_PATH="$XM_BUILDDIR" pkg-config \
			--define-variable=includedir="$XM_SRCDIR/core" \
			--define-variable=libdir="$XM_BUILDDIR/.libs" \
			--cflags --libs extmem)
}
service() {
	LD_LIBRARY_PATH=$XM_BUILDDIR/.libs "$scratch/hand-over" "$address" "$@"
}
goes_on() {
	token=$(service) && [ "$(service "$token" 4711)" = $((4711 * 4711)) ]
}
check "the example builds by pkg-config" compile
check "a new version goes on with the table of the old one" goes_on
summary
