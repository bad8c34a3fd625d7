#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# The first process of a guest once its root folder is there: devices and
# folders that programs expect, a network, then /results/job, a shell script
# that may call item(). When that has ended, the guest is switched off.
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
export HOME=/root LC_ALL=C

# Another user, for whom userfaultfd is the kernel's smallest offer.
user="setpriv --reuid=65534 --regid=65534 --clear-groups"

if [ $$ -ne 1 ] || ! grep -q xm_guest= /proc/cmdline; then
	echo "guest.sh: this is no guest of tests/kernels/check.sh" >&2
	exit 1
fi

# usage: item NAME SECONDS COMMAND...
# Runs a test with a limit of time. What it says is in /results/NAME; a line of
# /results/table has the name, the status and the seconds, with tabs between.
item() {
	name=$1
	limit=$2
	shift 2
	began=$(date +%s)
	status=0
	timeout -k 10 "$limit" "$@" >"/results/$name" 2>&1 </dev/null || status=$?
	printf '%s\t%s\t%s\n' "$name" "$status" $(($(date +%s) - began)) \
		>>/results/table
	# Nothing that a test left behind disturbs the next one.
	[ "$status" -lt 124 ] || kill -KILL -1 2>/dev/null
}

# usage: network ADDRESS: of this guest, to its neighbour, over a bad line.
network() {
	ip address add "$1/24" dev eth0 && ip link set eth0 up &&
		tc qdisc add dev eth0 root netem $line
}

mkdir -p /dev/pts /dev/shm
mount -t devpts devpts /dev/pts
mount -t tmpfs -o mode=1777 shm /dev/shm
mount -t tmpfs -o mode=1777 tmp /tmp
mount -t tmpfs -o mode=0755 run /run
ln -sf /proc/self/fd /dev/fd
ip link set lo up
hostname guest
echo "GUEST $(uname -r) is up"
. /results/job >/results/log 2>&1
dmesg >/results/dmesg 2>&1
: >/results/done
sync
echo b >/proc/sysrq-trigger
