#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# Builds everything for arm64, with Debian's packages for it, and runs the tests
# that need nothing but a processor under qemu's user mode; and sees that pages
# of 16 and 64 KiB, which kernels for arm64 may have, are refused in words.
#
#	tests/kernels/cross.sh TEST...
#
# `make check-arm64` sets XM_SRCDIR and XM_BUILDDIR. The build is in
# $XM_BUILDDIR/build-arm64, the packages in $XM_BUILDDIR/kernels/arm64: none is
# installed. Without qemu-aarch64-static it builds, and runs nothing.
set -u
export LC_ALL=C

here=$XM_SRCDIR/tests/kernels
root=$XM_BUILDDIR/kernels/arm64
build=$XM_BUILDDIR/build-arm64
apt=$root/apt
triplet=aarch64-linux-gnu
passed=0
failed=0
. "$here/apt.sh"

# The headers and libraries of libfabric and the others, and all they need.
packages() {
	wanted='libc6-dev libcunit1-dev libfabric-dev libinih-dev libjansson-dev
		libstdc++-12-dev libxxhash-dev'
	[ "$(cat "$root/complete" 2>/dev/null)" != "$wanted" ] || return 0
	own_lists bookworm arm64
	# shellcheck disable=SC2086 # several
	own_apt apt-get -y --download-only --no-install-recommends install \
		$wanted >"$apt/log" 2>&1 ||
		cannot "apt cannot fetch packages for arm64: $(grep '^E:' "$apt/log" | head -n 1)"
	for package in "$apt"/cache/archives/*.deb; do
		dpkg-deb -x "$package" "$root"
	done
	rm -rf "$apt"
	echo "$wanted" >"$root/complete"
}

configure() {
	mkdir -p "$build" && cd "$build" || exit 1
	[ ! -f Makefile ] || return 0
	export PKG_CONFIG_SYSROOT_DIR="$root"
	export PKG_CONFIG_LIBDIR="$root/usr/lib/$triplet/pkgconfig:$root/usr/share/pkgconfig"
	"$XM_SRCDIR/configure" -q --host=$triplet --enable-developer \
		--without-mpi CC="$triplet-gcc --sysroot=$root" \
		CXX="$triplet-g++ --sysroot=$root" >configure.log 2>&1
}

# usage: count NAME STATUS LOG
count() {
	if [ "$2" -eq 0 ]; then
		n=$(sed -n 's/^\([0-9]*\) passed, 0 failed$/\1/p' "$3" | tail -n 1)
		passed=$((passed + ${n:-1}))
		echo "passed $1${n:+: $n passed}"
	else
		failed=$((failed + 1))
		echo "FAILED $1"
		tail -n 20 "$3"
	fi
}

# usage: emulated OPTION... PROGRAM ARGUMENT...
emulated() {
	qemu-aarch64-static -L "$root" "$@"
}

# usage: refuses PAGES PROGRAM ARGUMENT...: where they have so many bytes.
refuses() {
	size=$1
	shift
	emulated -p "$size" "$@" >page.log 2>&1 && return 1
	grep -q "this kernel's pages are $size bytes" page.log
}

command -v $triplet-gcc >/dev/null && command -v $triplet-g++ >/dev/null || {
	echo "skipped: $triplet-gcc is not there (Debian: g++-aarch64-linux-gnu)"
	exit
}
mkdir -p "$root"
words=$(packages) || {
	echo "skipped: $words"
	exit
}
configure
count "it is configured for arm64" $? configure.log
make -j"$(nproc)" >make.log 2>&1 && make -j"$(nproc)" check TESTS= >>make.log 2>&1
count "it builds for arm64" $? make.log
if command -v qemu-aarch64-static >/dev/null; then
	for test; do
		emulated "./$test" >test.log 2>&1
		count "$(basename "$test")" $? test.log
	done
	for size in 16384 65536; do
		refuses $size ./extmemd --listen ofi+tcp://127.0.0.1:0 \
			--memory 1M
		count "extmemd refuses pages of $size bytes in words" $? page.log
		refuses $size ./extmem info --appliance ofi+tcp://127.0.0.1:9
		count "extmem_open refuses pages of $size bytes in words" $? page.log
	done
else
	echo "skipped running it: qemu-aarch64-static is not there (Debian: qemu-user-static)"
fi
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
