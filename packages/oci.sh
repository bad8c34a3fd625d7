#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# make oci-image: an image by the OCI's format, version 1.0, of this build: extmemd and
# `extmem`, with the libraries of this machine that they need, and nothing else. One layer;
# the same build gives the same bytes. No engine is needed to make it.
#
# usage: oci.sh BUILDDIR FOLDER: FOLDER becomes an image layout, for
#	podman load <(tar -C FOLDER -c .), skopeo copy oci:FOLDER ..., umoci unpack
set -eu
build=$(cd "$1" && pwd)
mkdir "$2"
image=$(cd "$2" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
root=$work/root

make -s -C "$build" install-exec DESTDIR="$work/all" >/dev/null
bin=$(dirname "$(find "$work/all" -name extmemd -type f)")
mkdir -p "$root/usr/bin" "$root/etc/extmem" "$root/proc" "$root/run" "$root/tmp" "$root/dev"
chmod 1777 "$root/tmp"
echo 'extmem:x:65532:65532:extmem:/:/usr/sbin/nologin' >"$root/etc/passwd"
echo 'extmem:x:65532:' >"$root/etc/group"
cp "$bin/extmemd" "$bin/extmem" "$root/usr/bin"
[ ! -x "$bin/extmem-directory" ] || cp "$bin/extmem-directory" "$root/usr/bin"

# Libraries at the paths that the loader takes them from; ours, which no system has, in /usr/lib.
cp -P "$(dirname "$bin")"/lib/libextmem.so.* "$root/usr/lib" 2>/dev/null || {
	mkdir -p "$root/usr/lib"
	find "$work/all" -name 'libextmem.so.*' -exec cp -P {} "$root/usr/lib" \;
}
PATH=$PATH:/sbin:/usr/sbin
# Those that programs open by themselves, where this machine has them.
opened=$(ldconfig -p | sed -n 's,.*\(libfabric\.so\.1\|libssl\.so\.3\|libcrypto\.so\.3\) .* => ,,p')
for file in "$root"/usr/bin/* $opened; do
	echo "$file"
	LD_LIBRARY_PATH="$root/usr/lib" ldd "$file"
done | grep -oE '/[^ ]+' | grep -v "^$root" | sort -u | while read -r library; do
	mkdir -p "$root${library%/*}"
	cp -L "$library" "$root$library"
done
# Providers of libfabric that are files of their own.
for folder in /usr/lib/*/libfabric /usr/lib64/libfabric; do
	[ ! -d "$folder" ] || cp -a --parents "$folder" "$root"
done

tar -C "$root" --sort=name --mtime=@0 --owner=0 --group=0 --numeric-owner -cf "$work/layer" .
mkdir -p "$image/blobs/sha256"
# usage: blob FILE: moves it into the layout; $digest, $size
blob() {
	digest=$(sha256sum "$1" | cut -d ' ' -f 1)
	size=$(wc -c <"$1")
	mv "$1" "$image/blobs/sha256/$digest"
}
layer_diff=$(sha256sum "$work/layer" | cut -d ' ' -f 1)
gzip -n "$work/layer"
blob "$work/layer.gz"
layer=$digest layer_size=$size
case $(uname -m) in
x86_64) machine=amd64 ;;
aarch64) machine=arm64 ;;
*) machine=$(uname -m) ;;
esac
version=$("$bin/extmemd" --version | sed 's/.* //')
cat >"$work/config" <<END
{
  "created": "1970-01-01T00:00:00Z", "architecture": "$machine", "os": "linux",
  "config": {
    "User": "65532:65532",
    "ExposedPorts": {"7470/tcp": {}, "7471/tcp": {}},
    "Env": ["PATH=/usr/bin", "LD_LIBRARY_PATH=/usr/lib",
      "EXTMEMD_LISTEN=ofi+tcp://0.0.0.0:7470", "EXTMEMD_DATA_PORT=7471"],
    "Entrypoint": ["/usr/bin/extmemd"], "WorkingDir": "/", "StopSignal": "SIGTERM",
    "Healthcheck": {"Test": ["CMD", "/usr/bin/extmem", "status", "ofi+tcp://127.0.0.1:7470"],
      "Interval": 30000000000, "Timeout": 10000000000},
    "Labels": {"org.opencontainers.image.title": "extmemd",
      "org.opencontainers.image.version": "$version",
      "org.opencontainers.image.licenses": "BSD-3-Clause"}
  },
  "rootfs": {"type": "layers", "diff_ids": ["sha256:$layer_diff"]},
  "history": [{"created": "1970-01-01T00:00:00Z", "created_by": "make oci-image"}]
}
END
blob "$work/config"
cat >"$work/manifest" <<END
{
  "schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
  "config": {"mediaType": "application/vnd.oci.image.config.v1+json",
    "digest": "sha256:$digest", "size": $size},
  "layers": [{"mediaType": "application/vnd.oci.image.layer.v1.tar+gzip",
    "digest": "sha256:$layer", "size": $layer_size}]
}
END
blob "$work/manifest"
cat >"$image/index.json" <<END
{
  "schemaVersion": 2,
  "manifests": [{"mediaType": "application/vnd.oci.image.manifest.v1+json",
    "digest": "sha256:$digest", "size": $size,
    "platform": {"architecture": "$machine", "os": "linux"},
    "annotations": {"org.opencontainers.image.ref.name": "$version"}}]
}
END
echo '{"imageLayoutVersion": "1.0.0"}' >"$image/oci-layout"
