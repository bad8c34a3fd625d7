# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=sh
# What the tests of `extmem run` begin with: read by them, not run. XM_BUILDDIR
# is set by `make check`.
set -u
export LC_ALL=C
unset EXTMEM_APPLIANCE EXTMEM_LOCAL EXTMEM_EXTERNAL

extmem=$XM_BUILDDIR/extmem
passed=0
failed=0
daemon=
scratch=$(mktemp -d)
chmod 755 "$scratch"
end() {
	[ -z "$daemon" ] || kill "$daemon" 2>/dev/null
	rm -rf "$scratch"
}
trap end EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

case ${XM_FLAGS-} in
*-fsanitize*)
	echo "a sanitizer's library must be the first in a process: the shim cannot be preloaded"
	exit 77
	;;
esac

# usage: verdict NAME STATUS: passes if STATUS is 0; shows what was said else.
verdict() {
	if [ "$2" -eq 0 ]; then
		passed=$((passed + 1))
		echo "passed $1"
	else
		failed=$((failed + 1))
		echo "FAILED $1"
		sed 's/^/    /' "$scratch/out" "$scratch/err" 2>/dev/null
	fi
}

# usage: try COMMAND...: its status in $status, what it says in out and err.
try() {
	status=0
	timeout 120 "$@" >"$scratch/out" 2>"$scratch/err" </dev/null ||
		status=$?
}

# usage: says TEXT STATUS: the last try said it, on stderr, with that status.
says() {
	[ "$status" -eq "$2" ] && grep -qF -e "$1" "$scratch/err"
}

# usage: number NAME: of the statistics that the last run wrote.
number() {
	sed -n "s/^  \"$1\": \([0-9]*\).*/\1/p" "$scratch/stats"
}

# usage: await COMMAND...: until it succeeds, twenty seconds at most.
await() {
	waited=0
	until "$@" >/dev/null 2>&1; do
		sleep 0.1
		waited=$((waited + 1))
		[ $waited -lt 200 ] || return 1
	done
}

# usage: appliance SIZE: starts one; $daemon is its process, $address where.
appliance() {
	: >"$scratch/address"
	"$XM_BUILDDIR/extmemd" --listen ofi+tcp://127.0.0.1:0 --memory "$1" \
		--ready-fd 9 9>"$scratch/address" 2>"$scratch/log" &
	daemon=$!
	await test -s "$scratch/address"
	address=$(cat "$scratch/address")
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

# usage: summary: the last line, and the status.
summary() {
	echo "$passed passed, $failed failed"
	[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
}
