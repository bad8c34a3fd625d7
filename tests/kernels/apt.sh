# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=sh
# Debian's packages without installing any: read by kernel.sh and cross.sh, not
# run. Lists and packages lie in the folder $apt; no file of the system's is
# changed, and root is not needed. The mirror is that of this machine's apt.
#
#	cannot WORDS...           ends the script, 77, with these words
#	own_apt TOOL ARGUMENT...  apt-get or apt-cache on lists of their own
#	own_lists SUITE [ARCH]    makes them; cannot, where the mirror is not reached

cannot() {
	echo "$*"
	exit 77
}

own_apt() {
	tool=$1
	shift
	"$tool" -q -o Dir::Etc::sourcelist="$apt/sources.list" \
		-o Dir::Etc::sourceparts=- -o Dir::State="$apt" \
		-o Dir::State::status="$apt/status" -o Dir::Cache="$apt/cache" \
		-o Debug::NoLocking=1 -o APT::Sandbox::User= \
		-o APT::Architecture="$architecture" \
		-o APT::Architectures="$architecture" "$@"
}

own_lists() {
	keys=/usr/share/keyrings/debian-archive-keyring.gpg
	command -v apt-get >/dev/null && command -v dpkg-deb >/dev/null ||
		cannot "apt-get is not there: this is not Debian"
	[ -r $keys ] || cannot "$keys is not there (Debian: debian-archive-keyring)"
	architecture=${2:-$(dpkg --print-architecture)}
	mirror=$(apt-get indextargets --format '$(SITE)' 2>/dev/null |
		grep -v security | head -n 1)
	mkdir -p "$apt/lists/partial" "$apt/cache/archives/partial"
	: >"$apt/status"
	echo "deb [signed-by=$keys] ${mirror:-http://deb.debian.org/debian} $1 main" \
		>"$apt/sources.list"
	own_apt apt-get update >"$apt/log" 2>&1 && ! grep -q '^[EW]:' "$apt/log" ||
		cannot "apt cannot reach the packages of $1: $(grep '^[EW]:' "$apt/log" | head -n 1)"
}
