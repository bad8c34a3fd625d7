# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=sh
# What the tests of faces begin with: read by them, not run. XM_BUILDDIR is set by
# `make check`.
#
#	appliance [OPTION...]	starts one; $address is where, $appliance its process
#	ends PROCESS		waits until it has ended; its status
. "$XM_SRCDIR/tests/support/count.sh"

extmem=$XM_BUILDDIR/extmem
others=
# shellcheck disable=SC2086 # several
stop_all() {
	[ -z "$others" ] || kill $others 2>/dev/null
	wait 2>/dev/null
	rm -rf "$scratch"
}
trap stop_all EXIT

# shellcheck disable=SC2120 # options are for those who need them
appliance() {
	: >"$scratch/address"
	"$XM_BUILDDIR/extmemd" --listen 'ofi+tcp://127.0.0.1:0' --memory 128M \
		--ready-fd 7 "$@" 7>"$scratch/address" 2>>"$scratch/log" 8>&- &
	appliance=$!
	others="$others $appliance"
	await begins_or_ends "$scratch/address" "$appliance"
	address=$(cat "$scratch/address")
	[ -n "$address" ]
}

# usage: begins_or_ends FILE PROCESS: the file is not empty, or the process has ended.
begins_or_ends() {
	[ -s "$1" ] || ! kill -0 "$2"
}

ends() {
	wait "$1"
}

# What a disk's tests need.
need_disk() {
	configured NBDKIT ||
		skip "the disk face is not built (Debian: nbdkit-plugin-dev)"
	case ${XM_FLAGS-} in
	*-fsanitize*)
		skip "a sanitizer's library must be the first in a process: nbdkit cannot load the plugin"
		;;
	esac
	for tool in nbdkit nbdinfo nbdcopy; do
		command -v $tool >/dev/null ||
			skip "$tool is not here (Debian: nbdkit libnbd-bin)"
	done
	plugin=$XM_BUILDDIR/.libs/nbdkit-extmem-plugin.so
	uri="nbd+unix:///?socket=$scratch/socket"
}

# usage: disk OPTION...: `extmem disk` at $uri; its process is $disk. Fails if it ends at
# once.
disk() {
	rm -f "$scratch/socket" "$scratch/pid"
	"$extmem" disk --socket "$scratch/socket" "$@" "--pidfile=$scratch/pid" \
		>"$scratch/disk" 2>&1 8>&- &
	disk=$!
	others="$others $disk"
	await begins_or_ends "$scratch/pid" "$disk"
	[ -s "$scratch/pid" ]
}

# What a folder's tests need. $folder is where.
need_files() {
	configured FUSE ||
		skip "the file face is not built (Debian: libfuse3-dev)"
	[ -r /dev/fuse ] && [ -w /dev/fuse ] ||
		skip "/dev/fuse is not here, or not for this user"
	command -v fusermount3 >/dev/null ||
		skip "fusermount3 is not here (Debian: fuse3)"
	folder=$scratch/folder
	mkdir "$folder"
	trap 'fusermount3 -u -q -z "$folder" 2>/dev/null; stop_all' EXIT
}

# usage: files OPTION...: `extmem mount` in the foreground at $folder; its process is
# $files, what it says is in $scratch/files. Fails if it ends at once.
files() {
	"$extmem" mount --foreground "$@" "$folder" >"$scratch/files" 2>&1 8>&- &
	files=$!
	others="$others $files"
	await mounted_or_ends
	mountpoint -q "$folder"
}
mounted_or_ends() {
	mountpoint -q "$folder" || ! kill -0 "$files"
}
# usage: need_mount OPTION...: skips where this user may not mount anything.
need_mount() {
	files "$@" && return
	! grep -q 'cannot be mounted' "$scratch/files" ||
		skip "nothing can be mounted here: $(tail -n 1 "$scratch/files")"
}

# qemu-io on the disk at $uri; well: and nothing went wrong.
io() {
	timeout 120 qemu-io -f raw "$uri" "$@" >"$scratch/out" 2>&1
}
well() {
	io "$@" && ! grep -qE 'failed|mismatch|error' "$scratch/out"
}
