#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# Runs tests under the kernels that Debian ships, in guests of qemu: README.md.
#
#	tests/kernels/check.sh [SUITE]...
#
# SUITE: bookworm (Linux 6.1), bookworm-backports (6.12); both if none is named.
# `make check-kernels` sets XM_SRCDIR, XM_BUILDDIR, XM_PURE (tests that need
# nothing but a processor) and XM_TWICE (those that are made also as another
# user). Kernels and results are in $XM_BUILDDIR/kernels; the last line is
# "N passed, M failed".
set -u
export LC_ALL=C

here=$XM_SRCDIR/tests/kernels
work=$XM_BUILDDIR/kernels
suites=${*:-bookworm bookworm-backports}
# Emulated processors are 10 to 30 times slower.
slow=${XM_SLOW:-20}
line="delay 3ms 1ms loss 0.5%"
passed=0
failed=0
guests=
sockets=$(mktemp -d) || exit 1

end() {
	for guest in $guests; do
		kill -KILL "$guest" 2>/dev/null
	done
	rm -rf "$sockets"
}
trap end EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

# usage: boot SUITE NAME SCRIPT [OPTION OF QEMU]...
# A guest that reads SCRIPT, of this folder; its process is in $guest.
boot() {
	suite=$1
	results=$work/$suite/$2
	script=$3
	shift 3
	rm -rf "$results"
	mkdir -p "$results"
	cat >"$results/job" <<-END
		export XM_SRCDIR='$XM_SRCDIR' XM_BUILDDIR='$XM_BUILDDIR'
		export XM_GUEST=1 XM_SLOW=$slow XM_CC=cc XM_CXX=c++ XM_FLAGS=
		tests='$XM_PURE' tests_twice='$XM_TWICE' line='$line'
		cd '$XM_BUILDDIR'
		$script
	END
	nice qemu-system-x86_64 -accel tcg -cpu max,la57=off -smp 1 -m 2048 \
		-nodefaults -no-user-config -no-reboot -display none \
		-serial "file:$results/console" \
		-kernel "$work/$suite/vmlinuz" -initrd "$work/$suite/initrd" \
		-append "console=ttyS0 quiet panic=-1 xm_guest=$here/guest.sh" \
		-fsdev local,id=root,path=/,security_model=none,readonly=on,multidevs=remap \
		-device virtio-9p-pci,fsdev=root,mount_tag=root \
		-fsdev "local,id=results,path=$results,security_model=none" \
		-device virtio-9p-pci,fsdev=results,mount_tag=results \
		"$@" >"$results/qemu" 2>&1 </dev/null &
	guest=$!
	guests="$guests $guest"
}

# usage: await SECONDS COMMAND...: until it succeeds.
await() {
	limit=$(($(date +%s) + $1))
	shift
	until "$@"; do
		sleep 1
		[ "$(date +%s)" -lt "$limit" ] || return 1
	done
}

# usage: switch_off GUEST: as a plug is pulled: nothing in it hears of that.
switch_off() {
	kill -KILL "$1" 2>/dev/null
	wait "$1" 2>/dev/null
}
is_off() {
	! kill -0 "$1" 2>/dev/null
}

# usage: verdict KERNEL NAME STATUS SECONDS FILE: a line of the table.
verdict() {
	counts=$(grep -E '^[0-9]+ passed, [0-9]+ failed$' "$5" 2>/dev/null |
		tail -n 1)
	p=${counts%% passed*}
	f=${counts#* passed, }
	f=${f%% failed*}
	case $3 in
	0) what="${counts:-0 passed}" ;;
	77) what="skipped: $(tail -n 1 "$5")" p=0 f=0 ;;
	124 | 137) what="FAILED: out of time" f=1 ;;
	*) what="FAILED: status $3${counts:+, $counts}" ;;
	esac
	[ "$3" -eq 0 ] || [ "$3" -eq 77 ] || [ "${f:-0}" -gt 0 ] || f=1
	passed=$((passed + ${p:-0}))
	failed=$((failed + ${f:-0}))
	printf '%-22s %-30s %5s s  %s\n' "$1" "$2" "$4" "$what"
}

# usage: tell SUITE NAME: the lines of what ran in that guest, as far as it came.
tell() {
	kernel=$(cat "$work/$1/version")
	tab=$(printf '\t')
	if [ -f "$work/$1/$2/table" ]; then
		while IFS=$tab read -r item status seconds; do
			verdict "$kernel" "$item" "$status" "$seconds" \
				"$work/$1/$2/$item"
		done <"$work/$1/$2/table"
	fi
	[ -f "$work/$1/$2/done" ] ||
		verdict "$kernel" "the guest: $2" 1 0 "$work/$1/$2/console"
}

# Its clock goes by instructions, 4 ns each, and by this machine's while it has nothing to
# do: what else runs here does not make a test late in the guest. (Two guests share a
# line, and so the time of this machine.)
alone() {
	boot "$1" alone ". $here/alone.sh" -icount shift=2,sleep=on
	await 7200 is_off "$guest" || switch_off "$guest"
	tell "$1" alone
}

# usage: link HERE THERE NUMBER: qemu's options for one end of an Ethernet.
link() {
	echo "-netdev dgram,id=n,local.type=unix,local.path=$sockets/$1,remote.type=unix,remote.path=$sockets/$2" \
		"-device virtio-net-pci,netdev=n,mac=52:54:00:00:00:0$3"
}

# Appliance and client in a guest each, one of which loses its power.
two() {
	boot "$1" appliance ". $here/appliance.sh" $(link a b 1)
	appliance=$guest
	boot "$1" client "network 10.66.0.2; item 'two guests' 1500 $here/client.sh" \
		$(link b a 2)
	client=$guest
	results=$work/$1/client
	if await 900 test -f "$results/touching"; then
		began=$(date +%s%N)
		switch_off "$appliance"
		await 300 test -f "$results/noticed" &&
			took=$((($(date +%s%N -r "$results/noticed") - began) / 100000000))
	fi
	await 120 is_off "$client" || switch_off "$client"
	switch_off "$appliance"
	tell "$1" client
	if [ -n "${took-}" ]; then
		echo "$(cat "$work/$1/version"): the appliance's guest was switched off. $((took / 10)).$((took % 10)) s later the client's program ended; its user read:"
		grep -E '^extmem( run)?: ' "$results/two guests"
	fi
	took=
}

for tool in qemu-system-x86_64 ip tc setpriv; do
	command -v $tool >/dev/null || {
		echo "skipped: $tool is not there (Debian: qemu-system-x86 iproute2 util-linux)"
		exit
	}
done
for suite in $suites; do
	if ! words=$("$here/kernel.sh" "$suite" "$work"); then
		echo "skipped: $suite: $words"
		continue
	fi
	alone "$suite"
	two "$suite"
done
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
