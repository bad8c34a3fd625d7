#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# From a fresh Debian 12 to extmem at work.
#
#	./quickstart.sh         installs what is missing, builds in ./build, and
#	                        sorts a large text with most of sort's memory
#	                        on an appliance (examples/main-job.sh)
#	./quickstart.sh check   the same set-up, and what some tests need besides
#	                        (MPI, jemalloc), if it can be had; then every
#	                        test; the last line is "N passed, M failed"
#
# Asks nothing and needs nothing but a shell and apt. Where it may not install
# packages it prints the line that would, and ends 1.
set -eu
export LC_ALL=C

here=$(cd "$(dirname "$0")" && pwd)
build=$here/build
began=$(date +%s)

say() {
	echo "quickstart [$(($(date +%s) - began)) s]: $*"
}

fail() {
	echo "quickstart: $*" >&2
	exit 1
}

usage() {
	sed -n 's/^#	//p' "$0" | head -n 6
}

# --- packages -------------------------------------------------------------

packages='autoconf automake g++ gcc libc6-dev libcunit1-dev libfabric-dev
	libinih-dev libjansson-dev libseccomp-dev libssl-dev libtool libxxhash-dev make
	pkg-config'

# Some tests say that they are skipped without these.
test_packages='fuse3 libfuse3-dev
	iproute2 libjemalloc2 libnbd-bin libopenmpi-dev nbdkit
	nbdkit-plugin-dev openmpi-bin qemu-utils sqlite3
	curl etcd-server libcurl4-openssl-dev libmicrohttpd-dev prometheus python3
	gfortran python3-dev python3-numpy'

missing_packages() { # PACKAGE...
	for package; do
		status=$(dpkg-query -W -f '${db:Status-Status}' "$package" \
			2>/dev/null) || status=none
		[ "$status" = installed ] || echo "$package"
	done
}

# What is needed can also be there without Debian's packages.
have_tools() {
	for tool in autoreconf automake libtoolize make pkg-config cc c++; do
		command -v $tool >/dev/null || return 1
	done
	pkg-config --exists 'libfabric >= 1.17' cunit 'jansson >= 2.7' inih \
		'openssl >= 3.0'
}

install_packages() {
	if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null
	then
		have_tools && return
		fail "this is not Debian. Needed: autoconf automake libtool make" \
			"pkg-config, a C and a C++ compiler, and the headers of" \
			"libfabric >= 1.17, CUnit, jansson, inih, OpenSSL >= 3.0"
	fi
	# shellcheck disable=SC2086
	missing=$(missing_packages $packages | tr '\n' ' ')
	missing=${missing% }
	if [ -z "$missing" ]; then
		say "every package that is needed is there"
		return
	fi
	if have_tools; then
		say "all that is needed is there, though not from these packages: $missing"
		return
	fi
	may_install ||
		fail "these packages are missing, and installing them takes root." \
			"As root: apt-get install --no-install-recommends $missing"
	# shellcheck disable=SC2086
	apt_install $missing || fail "apt-get could not install: $missing"
}

# Sets $as_root.
may_install() {
	if [ "$(id -u)" -eq 0 ]; then
		as_root=env
	elif command -v sudo >/dev/null &&
		{ sudo -n true 2>/dev/null || [ -t 0 ]; }; then
		as_root='sudo env'
	else
		return 1
	fi
}

updated=no
apt_install() { # PACKAGE...
	say "installing with apt-get, without recommended ones: $*"
	apt="$as_root DEBIAN_FRONTEND=noninteractive apt-get -y -q"
	if [ $updated = no ]; then
		$apt update </dev/null ||
			say "apt-get update had trouble; trying with the lists that are there"
		updated=yes
	fi
	$apt install --no-install-recommends "$@" </dev/null
}

# What cannot be had is left out: the tests say what they skip.
install_test_packages() {
	command -v dpkg-query >/dev/null && command -v apt-get >/dev/null ||
		return 0
	# shellcheck disable=SC2086
	missing=$(missing_packages $test_packages | tr '\n' ' ')
	missing=${missing% }
	[ -n "$missing" ] || return 0
	# shellcheck disable=SC2086
	may_install && apt_install $missing ||
		say "going on without what some tests need: $missing"
}

# --- build ------------------------------------------------------------------

# Runs a command with its output in a log; a line every 15 s says that it
# lives; the end of the log is shown if it fails.
run() {
	what=$1
	log=$build/$2
	shift 2
	say "$what"
	"$@" >"$log" 2>&1 </dev/null &
	pid=$!
	waited=0
	while kill -0 $pid 2>/dev/null; do
		sleep 1
		waited=$((waited + 1))
		if [ $((waited % 15)) -eq 0 ]; then
			say "still at it: $(tail -n 1 "$log" | cut -c 1-60)"
		fi
	done
	if ! wait $pid; then
		tail -n 40 "$log" >&2
		fail "that failed; all it said is in $log"
	fi
}

build_it() {
	mkdir -p "$build"
	[ -f "$here/config.status" ] &&
		fail "the source tree is configured itself: make distclean there first"
	if [ ! -x "$here/configure" ] ||
		[ -n "$(find "$here/configure.ac" "$here/Makefile.am" \
			-newer "$here/configure")" ]; then
		run "making ./configure" autogen.log "$here/autogen.sh"
	fi
	cd "$build"
	# libtool is a shell script that runs for each object: in bash it takes twice as
	# long as in dash, which is Debian's /bin/sh.
	[ -f Makefile ] || run "configuring in ./build" configure.log \
		env CONFIG_SHELL=/bin/sh "$here/configure"
	run "building with $jobs jobs" make.log make -j"$jobs"
}

# --- main -------------------------------------------------------------------

case ${1-} in
'' | check) [ $# -le 1 ] || { usage >&2; exit 2; } ;;
-h | --help) usage; exit 0 ;;
*) usage >&2; exit 2 ;;
esac

jobs=$(nproc 2>/dev/null || echo 1)
say "extmem in $here"
install_packages
[ "${1-}" != check ] || install_test_packages
build_it

if [ "${1-}" = check ]; then
	status=0
	run "building the tests" tests.log make -j"$jobs" check TESTS=
	rm -f tests/*/*.trs tests/*/*.log
	# Most tests wait most of the time, for processes and deadlines: as many as
	# there are processors run at once.
	say "testing, $jobs tests at once"
	make -j"$jobs" check </dev/null || status=$?
	say "done"
	"$here/tests/support/summary.sh" "$build" || status=1
	exit "$status"
fi
say "the main job"
exec "$here/examples/main-job.sh" "$build"
