#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# examples/hello.c builds by pkg-config, and does what it says with an
# appliance on this machine. (tests/house/install.sh does the same for README.md,
# against what was installed.)
. "$XM_SRCDIR/tests/support/count.sh"

compile() {
	$XM_CC $XM_FLAGS -std=c99 -Wall -Wextra -Werror \
		"$XM_SRCDIR/examples/hello.c" -o "$scratch/hello" \
		$(PKG_CONFIG_PATH="$XM_BUILDDIR" pkg-config \
			--define-variable=includedir="$XM_SRCDIR/core" \
			--define-variable=libdir="$XM_BUILDDIR/.libs" \
			--cflags --libs extmem)
}

start() {
	mkfifo "$scratch/ready"
	"$XM_BUILDDIR/extmemd" --listen ofi+tcp://127.0.0.1:0 --memory 32M \
		--ready-fd 3 3>"$scratch/ready" &
	daemon=$!
	# The end of file, should it not come up, ends this too.
	read -r address <"$scratch/ready"
}

hello() {
	LD_LIBRARY_PATH=$XM_BUILDDIR/.libs "$scratch/hello" "$@"
}

answers() {
	hello "$address" && hello "$address" | grep -qx 'hello from far away'
}

refuses() {
	! hello nonsense 2>"$scratch/words" && cat "$scratch/words" &&
		grep -q 'extmem_open: nonsense: ' "$scratch/words"
}

check "it builds by pkg-config" compile
check "an appliance that cannot be is an error in words" refuses
case $XM_FLAGS in
*thread*)
	echo "skipped running it: ThreadSanitizer has the addresses it maps" ;;
*)
	check "extmemd starts on a free port" start
	check "it writes, reads and ends, twice" answers
	;;
esac
summary
