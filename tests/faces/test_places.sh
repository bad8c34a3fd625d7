#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# The client library in a container and in a jail, with the appliance outside: slabs and
# objects are selected there without one message, and the memory is real.
. "$XM_SRCDIR/tests/faces/rig.sh"

program=$XM_BUILDDIR/tests/faces/select
selects() {
	timeout 120 "$@" "$address" >"$scratch/out" 2>"$scratch/err" &&
		grep -qx ok "$scratch/out"
}
# usage: place NAME COMMAND...: where `COMMAND true` can be made
place() {
	name=$1
	shift
	if ! command -v "$1" >/dev/null; then
		echo "skipped $name: $1 is not here"
	elif ! "$@" true >/dev/null 2>&1; then
		echo "skipped $name: it cannot be made here"
	else
		check "$name" selects "$@" "$program"
	fi
}

appliance || skip "no appliance came up"
check "as any program" selects "$program"
place "in bubblewrap, with no namespace of the host's but the network's" \
	bwrap --unshare-user --unshare-pid --unshare-ipc --unshare-uts --ro-bind / / \
	--dev /dev --proc /proc --tmpfs /tmp --ro-bind "$XM_BUILDDIR" "$XM_BUILDDIR"
place "in namespaces of its own" unshare -Urmpif --mount-proc

# A root folder with the program and its libraries alone: no /proc, no /sys, no /dev.
root=$scratch/root
# The library of the fabric is loaded when it is needed.
fabric=$(ldconfig -p 2>/dev/null | sed -n 's|.*libfabric\.so\.1 (libc6[^)]*) => ||p' | head -n 1)
make_root() {
	[ -n "$fabric" ] || return
	mkdir "$root" && cp "$program" "$root/select" || return
	mkdir -p "$root$(dirname "$fabric")" && cp -L "$fabric" "$root$fabric" || return
	ldd "$program" "$fabric" | sed -n 's|.* \(/[^ ]*\) (0x.*|\1|p; s|^[^/]*\(/lib64/[^ ]*\) (0x.*|\1|p' |
		sort -u | while read -r library; do
		mkdir -p "$root$(dirname "$library")" && cp -L "$library" "$root$library" ||
			exit 1
	done
}
# Without an address its status is 2.
begins() {
	# shellcheck disable=SC2086 # words
	$jail /select >/dev/null 2>&1
	[ $? -eq 2 ]
}
if [ "$(id -u)" -eq 0 ]; then
	jail="chroot $root"
else
	jail="unshare -Ur chroot $root"
fi
case ${XM_FLAGS-} in
*-fsanitize*) echo "skipped the jail: a sanitizer wants /proc" ;;
*)
	if ! make_root || ! begins; then
		echo "skipped the jail: no folder can be made a root here"
	else
		# shellcheck disable=SC2086 # words
		check "in a root folder of its own, without /proc" selects $jail /select
	fi
	;;
esac
summary
