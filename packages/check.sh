#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# usage: packages/check.sh
# Builds Debian packages from a clone of what is committed here, looks at them with lintian, and,
# as root where mmdebstrap is, installs them in a clean Debian, runs debian/tests/program there as
# an unprivileged user, removes them, and looks for what is left. Then the RPM, where rpmbuild
# is. `make check-packages`; some minutes. The packages stay in check-packages/.
set -u
export LC_ALL=C
here=$(cd "$(dirname "$0")/.." && pwd)
into=$(pwd)/check-packages
rm -rf "$into"
mkdir -p "$into/rpm" || exit 1
passed=0
failed=0

# usage: check NAME COMMAND...: what it says is in $into/NAME.log, with words for blanks.
check() {
	name=$1
	log=$into/$(echo "$name" | tr ' /' '--').log
	shift
	if "$@" >"$log" 2>&1 </dev/null; then
		passed=$((passed + 1))
		echo "passed $name"
	else
		failed=$((failed + 1))
		echo "FAILED $name, see $log"
		tail -n 25 "$log" | sed 's/^/    /'
		return 1
	fi
}

finish() {
	echo "$passed passed, $failed failed"
	[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
	exit
}

for tool in git dpkg-buildpackage lintian dh_python3; do
	command -v $tool >/dev/null || {
		echo "$tool is not here (Debian: git dpkg-dev debhelper dh-python lintian)"
		exit 77
	}
done

build() {
	git clone -q "$here" "$into/extmem" && cd "$into/extmem" &&
		DEB_BUILD_OPTIONS="nocheck parallel=$(nproc)" \
			dpkg-buildpackage --no-sign --build=full
}
clean() {
	cd "$into/extmem" && dpkg-buildpackage --no-sign --target=clean -d &&
		[ -z "$(git status --porcelain --ignored | grep -v '^!! debian/')" ]
}
complains() {
	lintian --fail-on error,warning --info --allow-root "$into"/*.changes
}
check "packages are built from a clean clone" build || finish
check "lintian has nothing to say" complains
contents() {
	for deb in "$into"/*.deb; do
		echo "== $deb"
		dpkg -c "$deb"
	done
}
contents >"$into/contents"

# --- a clean Debian -----------------------------------------------------------------------

# usage: inside COMMAND...: in the clean root, without a network.
inside() {
	chroot "$into/root" env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root \
		DEBIAN_FRONTEND=noninteractive "$@"
}
files() {
	(cd "$into/root" && find . -xdev ! -path './proc/*' ! -path './dev/*' \
		! -path './tmp/*' ! -path './var/cache/*' ! -path './var/lib/apt/*' \
		! -path './var/lib/dpkg/*' ! -path './run/*' ! -path './var/log/*' | sort)
}
root() {
	# What the packages need and the test uses is there before, so that what is left behind is theirs.
	mmdebstrap --variant=minbase --include=libfabric1,libssl3,libinih1,libjansson4,libmicrohttpd12,libcurl4,fuse3,nbdkit,python3,python3-numpy,gcc,libc6-dev,pkg-config,systemd \
		bookworm "$into/root" && mkdir "$into/root/tmp/debs" &&
		cp "$into"/*.deb "$into/root/tmp/debs" && rm -f "$into"/root/tmp/debs/*dbgsym* &&
		cp "$here/debian/tests/program" "$into/root/tmp/program" &&
		mount -t proc proc "$into/root/proc" &&
		inside useradd stranger
}
install_all() {
	files >"$into/before"
	inside sh -c 'dpkg -i /tmp/debs/*.deb'
}
service() {
	inside systemd-analyze verify --man=no extmemd.service && inside id extmem &&
		[ "$(stat -c %a "$into/root/etc/extmem/keys")" = 700 ]
}
run_program() {
	inside setpriv --reuid=stranger --regid=stranger --clear-groups /tmp/program
}
remove() {
	inside sh -c 'dpkg --purge extmem extmemd extmem-directory extmem-gateway extmem-mount nbdkit-extmem python3-extmem \
		libextmem-dev libextmem-appliance0 libextmem0'
	files >"$into/after"
	diff "$into/before" "$into/after"
}
unmounted() {
	umount "$into/root/proc" 2>/dev/null
	rm -rf "$into/root"
}
if [ "$(id -u)" -eq 0 ] && command -v mmdebstrap >/dev/null; then
	if check "a clean Debian is made" root; then
		trap unmounted EXIT
		check "the packages are installed there" install_all
		check "the service is valid, with its user and its keys" service
		check "a program of an unprivileged user runs" run_program
		check "they are removed without a trace" remove
	fi
else
	echo "skipped a clean Debian: it takes root and mmdebstrap"
fi

# --- the RPM ------------------------------------------------------------------------------

version=$(sed -n 's/^AC_INIT(\[extmem\], \[\(.*\)\])/\1/p' "$here/configure.ac")
rpm_is_built() {
	cd "$into/extmem" && git clean -fdxq && ./autogen.sh && mkdir build && cd build &&
		../configure -q && make -s dist &&
		rpmbuild --define "_topdir $into/rpm" --nodeps \
			--define "python3_sitearch /usr/lib64/python3/site-packages" \
			--define "_libdir /usr/lib64" \
			-tb "extmem-$version.tar.xz"
}
if command -v rpmbuild >/dev/null; then
	check "the spec has this version" \
		grep -qx "Version: *$version" "$here/packages/extmem.spec"
	check "the RPM is built from the tarball" rpm_is_built
	find "$into/rpm" -name '*.rpm' -exec sh -c 'echo "== $1"; rpm -qlp "$1"' sh {} \; \
		>>"$into/contents" 2>/dev/null
else
	echo "skipped the RPM: rpmbuild is not here (Debian: rpm)"
fi
finish
