#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# extmemd --pool-file: a pool on a disk, in a daemon that may have less memory than that
# where control groups can be made; what is refused; and what a disk's error does.
. "$XM_SRCDIR/tests/support/daemons.sh"

disk=$scratch/disk # a folder on a file system that has blocks
mkdir "$disk"
pool=$disk/pool
group=
small=

finish() {
	# shellcheck disable=SC2086 # several
	kill -9 $daemons 2>/dev/null
	wait
	[ -z "$small" ] || umount "$small"
	[ -z "$group" ] || rmdir "$group"
	rm -rf "$scratch"
}
trap finish EXIT

begin() {
	start --memory 64M --pool-file "$pool" --lease 1s
	[ -n "$address" ]
}

# Ends it as a service manager would.
stop() {
	kill -TERM "$daemon"
	wait "$daemon"
}

refused() { # WORDS OPTION...
	words=$1
	shift
	! timeout 60 "$extmemd" --listen $tcp "$@" >"$scratch/out" 2>&1 &&
		cat "$scratch/out" && grep -q -- "$words" "$scratch/out"
}

# The file without a name, as the daemon has it open.
bytes_of() {
	for fd in "/proc/$1/fd"/*; do
		case $(readlink "$fd") in
		"$pool".*'(deleted)') echo "$fd" ;;
		esac
	done
}
is_zero() {
	! tr -d '\0' <"$bytes" | head -c 1 | grep -q .
}

for option in "--store $scratch/store" '--give-back 1G' --huge-pages; do
	# shellcheck disable=SC2086 # an option and its value
	check "it does not go with $option" refused "--pool-file and ${option%% *} do not" \
		--memory 64M --pool-file "$pool" $option
done
printf '[a]\nidentity = *\nbytes = 16M\n' >"$scratch/tenants"
check "nor with --isolate tenant" refused '--pool-file and --isolate tenant do not' \
	--memory 64M --pool-file "$pool" --isolate tenant --tenants "$scratch/tenants"
says_shm() {
	! "$extmemd" --listen ofi+shm://xm-pool --memory 64M --pool-file "$pool" \
		--check-config >"$scratch/out" 2>&1 && grep 'ofi+shm do not' "$scratch/out"
}
check "nor with ofi+shm, which --check-config says" says_shm
echo precious >"$disk/precious"
check "a file that has something in it is refused" refused 'is not empty' \
	--memory 64M --pool-file "$disk/precious"
grep -q precious "$disk/precious"
verdict "and is as it was" $?
check "a folder that is not there is refused" refused 'No such file' \
	--memory 64M --pool-file "$disk/no/pool"
ln -s "$disk/precious" "$disk/link"
check "a link is refused" refused 'cannot be opened' --memory 64M --pool-file "$disk/link"
beyond_ulimit() {
	(ulimit -f 8192 && refused 'File too large' --memory 64M --pool-file "$pool")
}
check "a file beyond ulimit -f is refused" beyond_ulimit
rm -f "$pool"

if ! begin; then
	grep -q -e overlayfs -e 'no room in advance' "$scratch/log" &&
		skip "a pool file: $scratch does not lie on a disk's file system"
	verdict "a daemon begins" 1
	summary
	exit
fi
bytes=$(bytes_of "$daemon")
is_private() {
	[ "$(stat -Lc %a "$bytes")" = 600 ] && [ "$(stat -c %a "$pool")" = 600 ] &&
		[ ! -s "$pool" ]
}
check "its bytes have no name, and FILE is empty and of mode 600" is_private
is_allocated() {
	[ "$(($(stat -Lc '%b * %B' "$bytes")))" -ge $((64 << 20)) ]
}
check "all blocks are taken at the start" is_allocated
says_file() {
	"$extmem" status "$address" >"$scratch/out" &&
		grep '^pool *64.0 MiB in a file on its disk: ' "$scratch/out"
}
check "extmem status says that the pool is a file" says_file
check "a second daemon is refused" refused 'another process has it open' \
	--memory 64M --pool-file "$pool"
check "a client fills 48 MiB of 64" fills 48
is_zero
[ $? -ne 0 ]
verdict "they are in the file" $?
check "and finds them again" verifies 0
is_free() {
	[ "$(leased "$address")" = 0 ] && is_zero
}
await is_free
verdict "what is freed is zeroed" $?
is_allocated
verdict "and its blocks stay" $?
check "it shrinks" "$extmem" shrink "$address" 16M
is_smaller() {
	! is_allocated
}
await is_smaller
verdict "which gives room on the disk back" $?
check "it grows again" "$extmem" shrink "$address" 64M
await is_allocated
verdict "and takes it again" $?
check "it drains" stop
check "after kill -9" begin
check "with a client's bytes in it" fills 16
bytes=$(bytes_of "$daemon")
# shellcheck disable=SC2046 # several
kill -9 $(pgrep -P "$daemon") "$daemon" "$client"
exec 9>&-
wait "$daemon" "$client" 2>/dev/null
left() {
	[ "$(ls "$disk")" = "link
pool
precious" ] && [ ! -s "$pool" ]
}
check "nothing is left" left
check "and a daemon begins again" begin
bytes=$(bytes_of "$daemon")
check "which is zero" is_zero

# What the kernel sends where a page cannot be had.
check "a client fills it" fills 16
fails() {
	kill -BUS "$(pgrep -P "$daemon")" && wait "$daemon"
	[ $? -eq 1 ] && grep 'of the pool file: its disk has failed' "$scratch/log"
}
check "a page that cannot be had ends it, in words" fails
kill -9 "$client" 2>/dev/null
wait "$client" 2>/dev/null

small=$scratch/small
mkdir "$small"
if [ "$(id -u)" -eq 0 ] && mount -t tmpfs -o size=24M extmem "$small" 2>/dev/null; then
	check "a disk that is too small is refused" refused '24 MiB are free where it lies' \
		--memory 64M --pool-file "$small/pool"
	pool=$small/pool
	start --memory 16M --pool-file "$pool"
	grep -q 'lies on tmpfs' "$scratch/log"
	verdict "tmpfs is warned of" $?
	check "and works" fills 12
	check "to the end" verifies 0
	stop
	pool=$disk/pool
else
	small=
	echo "skipped a disk that is full: that needs root"
fi

# Less memory than the pool has: what does not fit is on the disk.
group=/sys/fs/cgroup/memory/extmem-pool-$$
if mkdir "$group" 2>/dev/null &&
	echo $((32 << 20)) 2>/dev/null >"$group/memory.limit_in_bytes"; then
	in_group() {
		(
			sh -c 'echo $PPID' >"$group/cgroup.procs"
			exec "$extmemd" --ready-fd 7 --listen $tcp --memory 192M \
				--pool-file "$pool" 7>"$scratch/ready" 2>>"$scratch/log"
		) &
		daemon=$!
		daemons="$daemons $daemon"
		: >"$scratch/ready"
		await begins_or_ends
		address=$(cat "$scratch/ready")
		[ -n "$address" ]
	}
	check "a daemon that may have 32 MiB lends 192" in_group
	check "a client fills 160 of them" fills 160
	check "and finds them again" verifies 0
	[ "$(cat "$group/memory.max_usage_in_bytes")" -le $((32 << 20)) ]
	verdict "it had no more than 32 MiB" $?
	check "it drains" stop
else
	group=
	echo "skipped a daemon with less memory than its pool: no control group of version 1 can be made"
fi
summary
