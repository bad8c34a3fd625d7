#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# The image of `make oci-image`: its parts are what their digests say, it is the same when it
# is made again, and what it says is to be run runs in its own root and nothing else, by
# bubblewrap, as a user who is not root; programs outside use its memory.
XM_ALONE=yes
. "$XM_SRCDIR/tests/support/daemons.sh"

for program in jq bwrap; do
	command -v "$program" >/dev/null || skip "$program is not there (Debian: jq, bubblewrap)"
done
case ${XM_FLAGS-} in
*-fsanitize*) skip "an image has no sanitizers" ;;
esac
unset MAKEFLAGS MFLAGS MAKELEVEL
make_image() { "$XM_SRCDIR/packages/oci.sh" "$XM_BUILDDIR" "$1"; }
image=$scratch/image
check "an image is made" make_image "$image"
make_again() {
	make_image "$scratch/again" && diff -r "$image" "$scratch/again"
}
check "made again, it is the same" make_again
right() {
	cd "$image/blobs/sha256" || return
	for blob in *; do
		[ "$(sha256sum "$blob" | cut -d ' ' -f 1)" = "$blob" ] || return
	done
}
check "all its parts are what their names say" right
blob() { echo "$image/blobs/sha256/${1#sha256:}"; }
manifest=$(blob "$(jq -r '.manifests[0].digest' "$image/index.json")")
config=$(blob "$(jq -r .config.digest "$manifest")")
layer=$(blob "$(jq -r '.layers[0].digest' "$manifest")")
[ "$(jq -r .config.size "$manifest")" -eq "$(wc -c <"$config")" ] &&
	[ "$(jq -r '.layers[0].size' "$manifest")" -eq "$(wc -c <"$layer")" ]
verdict "and of the sizes that it says" $?
[ "$(gzip -dc "$layer" | sha256sum | cut -d ' ' -f 1)" = \
	"$(jq -r '.rootfs.diff_ids[0]' "$config" | cut -d : -f 2)" ]
verdict "its layer is what the configuration says" $?
tag=$(jq -r '.manifests[0].annotations["org.opencontainers.image.ref.name"]' "$image/index.json")
if command -v umoci >/dev/null; then
	check "umoci unpacks it" umoci unpack --rootless --image "$image:$tag" "$scratch/bundle"
else
	echo "skipped: umoci unpacks it: it is not there (Debian: umoci)"
fi

mkdir "$scratch/root"
tar -xzf "$layer" -C "$scratch/root"
user=$(jq -r '.config.User' "$config")
check "its user is not root" test "${user%:*}" -ne 0
container="bwrap --unshare-all --share-net --die-with-parent --new-session
	--uid ${user%:*} --gid ${user#*:} --ro-bind $scratch/root /
	--dev /dev --proc /proc --tmpfs /tmp --clearenv
	$(jq -r '.config.Env[]' "$config" | sed 's/=/ /; s/^/--setenv /')"
# shellcheck disable=SC2086 # several words
$container /usr/bin/extmemd --version >/dev/null 2>"$scratch/err" ||
	! grep -q 'bwrap:' "$scratch/err" || skip "bubblewrap makes no container here"
: >"$scratch/ready"
# shellcheck disable=SC2046,SC2086
$container $(jq -r '.config.Entrypoint[]' "$config") --ready-fd 7 --listen "$tcp" \
	--data-port 0 --memory 32M 7>"$scratch/ready" 2>>"$scratch/log" &
daemon=$!
daemons=$daemon
await begins_or_ends
address=$(cat "$scratch/ready")
check "its program begins, in its root alone" test -n "$address"
# shellcheck disable=SC2046,SC2086
healthy() {
	$container $(jq -r '.config.Healthcheck.Test[1:3][]' "$config") "$address"
}
check "its own look at its health finds it well" healthy
program=$XM_BUILDDIR/tests/run/run_program
if [ -x "$program" ] && [ -e "$XM_BUILDDIR/.libs/libextmem-run.so" ]; then
	"$program" malloc 16 >"$scratch/plain"
	outside() {
		timeout 300 "$extmem" run --appliance "$address" --local 4M --external 24M -- \
			"$program" malloc 16 >"$scratch/out" 2>"$scratch/err" &&
			cmp "$scratch/plain" "$scratch/out"
	}
	check "a program outside has its memory there" outside
fi
summary
