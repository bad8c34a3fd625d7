#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# The service of systemd, its user and its configuration: valid, hardened, complete.
. "$XM_SRCDIR/tests/support/count.sh"

example=$XM_SRCDIR/packages/extmemd.conf
unit=$scratch/extmemd.service
# As it is installed, but with the program that was built here.
sed "s|^ExecStart=/[^ ]*/extmemd |ExecStart=$XM_BUILDDIR/extmemd |" \
	"$XM_BUILDDIR/packages/extmemd.service" >"$unit"

# Each option with its value, whether it is commented out or not.
sed -n 's/^#\{0,1\}\([a-z-]* = .*\)/\1/p' "$example" >"$scratch/all.conf"

# A valid configuration, when all that is commented out is turned on; but no credentials here,
# and a store, a pool in a file or what is borrowed, as only one of them can be.
valid() {
	for others in 'store|pool-file' 'store|borrow' 'pool-file|borrow'; do
		grep -vE "^(auth|tenants|$others)" "$scratch/all.conf" |
			grep -v "^borrow-auth" >"$scratch/some.conf"
		"$XM_BUILDDIR/extmemd" --config "$scratch/some.conf" --check-config ||
			return 1
	done
}

defaults_are_said() {
	"$XM_BUILDDIR/extmemd" --help | tr -s ' \n' ' ' | sed 's/ \(-., \)*--/\n/g' |
		sed -n 's/^\(\[no-\]\)*\([a-z-]*\)=.* Default: \([^ ]*\)\. .*/\2 = \3/p' |
		grep -v "^\(name\|data-port\|advertise\) =" | while read -r line; do
		grep -qxF "$line" "$scratch/all.conf" || echo "not \"$line\""
	done
}

check "every line of the example is an option with a valid value" valid
"$XM_BUILDDIR/extmemd" --help | sed -n 's/^  \(-., \|    \)--\(\[no-\]\)*\([a-z-]*\).*/\3/p' |
	grep -vxE 'help|version|config|ready-fd|check-config|print-limits' |
	while read -r name; do
		grep -q "^$name = " "$scratch/all.conf" || echo "$name is not in the example"
	done >"$scratch/out"
complaints "every option of a service is in the example" "$scratch/out"
defaults_are_said >"$scratch/out"
complaints "what is commented out is the default" "$scratch/out"

# --- what systemd says --------------------------------------------------------------------

command -v systemd-analyze >/dev/null || {
	echo "skipped: systemd-analyze is not here (Debian: systemd)"
	summary
	exit
}
verified() {
	systemd-analyze verify --man=no "$unit" 2>&1 | grep "extmemd\.service" |
		grep -v "Transaction\|Condition" >"$scratch/out"
	[ ! -s "$scratch/out" ]
}
check "systemd-analyze verify has nothing to say of the unit" verified

# Exposure in tenths, of 100.
hardened() {
	systemd-analyze security --offline=true --no-pager "$unit" >"$scratch/out" 2>&1
	exposure=$(sed -n 's/.*exposure level for .*: \([0-9]*\)\.\([0-9]\).*/\1\2/p' \
		"$scratch/out")
	echo "exposure ${exposure:-?}"
	[ -n "$exposure" ] && [ "$exposure" -le 20 ]
}
if systemd-analyze security --help 2>/dev/null | grep -q offline; then
	check "its exposure is at most 2.0, by systemd-analyze security" hardened
else
	echo "skipped its exposure: this systemd-analyze has no --offline"
fi
if command -v systemd-sysusers >/dev/null; then
	check "its user is made" systemd-sysusers --dry-run \
		"$XM_SRCDIR/packages/extmem.sysusers"
fi
folders() {
	sed 's| /etc/| /|' "$XM_SRCDIR/packages/extmem.tmpfiles" >"$scratch/extmem.conf"
	mkdir "$scratch/root" && systemd-tmpfiles --create --root="$scratch/root" \
		"$scratch/extmem.conf" &&
		[ "$(stat -c %a "$scratch/root/extmem/keys")" = 700 ]
}
if command -v systemd-tmpfiles >/dev/null && [ "$(id -u)" -eq 0 ]; then
	check "its folders are made" folders
fi
summary
