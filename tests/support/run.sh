# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=sh
# What the tests of `extmem run` begin with: read by them, not run. XM_BUILDDIR
# is set by `make check`.
. "$XM_SRCDIR/tests/support/count.sh"

extmem=$XM_BUILDDIR/extmem
# Programs of tests are small: all that they allocate is to be external.
EXTMEM_OPEN_AFTER=0
export EXTMEM_OPEN_AFTER
# Seconds after which a program hangs: on a busy machine some need a minute.
patience=$((300 * ${XM_SLOW:-1}))
# Another user reads there, too.
chmod 755 "$scratch"

case ${XM_FLAGS-} in
*-fsanitize*)
	skip "a sanitizer's library must be the first in a process: the shim cannot be preloaded"
	;;
esac

# usage: try COMMAND...: its status in $status, what it says in out and err.
try() {
	status=0
	timeout $patience "$@" >"$scratch/out" 2>"$scratch/err" </dev/null ||
		status=$?
}

# usage: says TEXT STATUS: the last try said it, on stderr, with that status.
says() {
	[ "$status" -eq "$2" ] && grep -qF -e "$1" "$scratch/err"
}

# usage: children_of PROCESS: their numbers, in one line.
children_of() {
	cat "/proc/$1/task/$1/children"
}

# usage: top_row PROCESS [INTERVAL]: what `extmem top` says of that program, which
# is not the only one here: other tests run at the same time. Fails if it is not
# there.
top_row() {
	"$extmem" top --once --json --interval "${2:-50ms}" >"$scratch/top" &&
		tr '{}' '\n\n' <"$scratch/top" | grep "^\"pid\":$1,"
}

# usage: number NAME [FILE]: of the statistics that a run wrote, $scratch/stats.
number() {
	sed -n "s/^  \"$1\": \([0-9.]*\).*/\1/p" "${2:-$scratch/stats}"
}

# usage: appliance SIZE [ADDRESS]: starts one; $daemon is its process, $address
# where. Fails if it ends at once.
appliance() {
	: >"$scratch/address"
	"$XM_BUILDDIR/extmemd" --listen "${2:-ofi+tcp://127.0.0.1:0}" \
		--memory "$1" --ready-fd 9 9>"$scratch/address" \
		2>"$scratch/log" &
	daemon=$!
	await starts_or_ends "$daemon"
	address=$(cat "$scratch/address")
	[ -n "$address" ]
}
starts_or_ends() {
	[ -s "$scratch/address" ] || ! kill -0 "$1"
}

# Another user, for whom userfaultfd is the kernel's smallest offer.
unprivileged=
if [ "$(id -u)" -eq 0 ]; then
	if setpriv --reuid=65534 --regid=65534 --clear-groups \
		test -x "$extmem" 2>/dev/null; then
		unprivileged="setpriv --reuid=65534 --regid=65534 --clear-groups"
	else
		echo "skipped: as another user: setpriv is not there, or that user cannot reach $XM_BUILDDIR"
	fi
else
	echo "skipped: as root: this is another user already"
fi
