#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# Gets a kernel of Debian's and makes what a guest boots from.
#
#	tests/kernels/kernel.sh SUITE FOLDER
#
# SUITE is bookworm or bookworm-backports. FOLDER/SUITE then has vmlinuz,
# initrd and version; what is there already is not fetched again. Ends 77, with
# a sentence, where the packages cannot be had.
set -eu
export LC_ALL=C

suite=$1
folder=$(mkdir -p "$2" && cd "$2" && pwd)
here=$(cd "$(dirname "$0")" && pwd)
target=$folder/$suite
. "$here/apt.sh"

# usage: package NAME FOLDER: unpacks it there.
package() {
	own_apt apt-get download "$1" >"$apt/log" 2>&1 ||
		cannot "apt cannot fetch $1: $(grep '^E:' "$apt/log" | head -n 1)"
	dpkg-deb -x "$1"_*.deb "$2"
	rm -f "$1"_*.deb
}

# The modules that a guest needs, unpacked, with those that they need.
modules() {
	from=$(echo "$unpacked"/lib/modules/* "$unpacked"/usr/lib/modules/* |
		tr ' ' '\n' | grep -v '\*' | head -n 1)
	version=$(basename "$from")
	into=$ramdisk/lib/modules/$version
	mkdir -p "$into"
	for name in virtio virtio_ring virtio_pci virtio_pci_modern_dev \
		virtio_pci_legacy_dev virtio_net net_failover failover \
		fscache netfs 9pnet 9pnet_virtio 9p overlay sch_netem; do
		find "$from" -name "$name.ko*"
	done | while read -r file; do
		plain=$into/$(basename "$file" .xz)
		case $file in
		*.xz) xz -dc "$file" >"$plain" ;;
		*) cp "$file" "$plain" ;;
		esac
	done
	"$busybox" depmod -b "$ramdisk" "$version"
}

if [ -s "$target/version" ]; then
	exit 0
fi
for tool in cpio gzip xz; do
	command -v "$tool" >/dev/null ||
		cannot "$tool is not there (Debian: cpio gzip xz-utils)"
done
apt=$target/apt
unpacked=$target/unpacked
ramdisk=$target/ramdisk
busybox=$unpacked/bin/busybox
rm -rf "$target"
mkdir -p "$unpacked" "$ramdisk/bin"
cd "$target"
own_lists "$suite"
name=$(own_apt apt-cache show --no-all-versions linux-image-amd64 |
	sed -n 's/^Depends: \([^ ,]*\).*/\1/p' | head -n 1)
package "$name" "$unpacked"
command -v busybox >/dev/null && busybox=$(command -v busybox)
[ -x "$busybox" ] || { own_lists bookworm; package busybox-static "$unpacked"; }
modules
cp "$busybox" "$ramdisk/bin/busybox"
cp "$here/ramdisk.sh" "$ramdisk/init"
chmod 755 "$ramdisk/init"
(cd "$ramdisk" && find . | cpio -o -H newc 2>/dev/null | gzip -1) >initrd
cp "$unpacked"/boot/vmlinuz-* vmlinuz
rm -rf "$apt" "$unpacked" "$ramdisk"
echo "$version" >version
