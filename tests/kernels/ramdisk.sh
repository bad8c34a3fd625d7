#!/bin/busybox sh
# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=dash
# The first program of a guest, in its RAM disk: loads modules and makes the
# root folder. That is the host's, read through 9P; what the guest writes over
# it lies in the guest's memory, and what it writes below /results lies on the
# host. Then the program that the kernel's command line names ($xm_guest) goes on.
/bin/busybox --install -s /bin
mkdir -p /proc /sys /dev /below /above /root
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
for module in virtio_pci virtio_net sch_netem 9pnet_virtio 9p overlay; do
	modprobe "$module" || echo "GUEST has no module $module"
done
mount -t 9p -o ro,trans=virtio,version=9p2000.L,cache=loose,msize=262144 \
	root /below
mount -t tmpfs -o mode=0755 above /above
mkdir /above/upper /above/work
mount -t overlay -o lowerdir=/below,upperdir=/above/upper,workdir=/above/work \
	root /root
mkdir -p /root/results
mount -t 9p -o trans=virtio,version=9p2000.L,msize=65536 results /root/results
mount --move /dev /root/dev
mount --move /proc /root/proc
mount --move /sys /root/sys
exec switch_root /root "$xm_guest"
