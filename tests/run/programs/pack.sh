# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=sh
# Programs that pack.
all="$all xz zstd git"

# Its tables are planned for 674 MiB, whatever it reads.
xz_needs=xz
xz_options='--external 1G'
xz_input() { text 5000 >"$in/xz"; }
xz_() { $under xz -9 -T1 -c "$in/xz" >xz.xz && xz -t xz.xz; }

zstd_needs=zstd
zstd_options='--external 1G'
zstd_input() { text 10000 >"$in/zstd"; }
zstd_() {
	$under zstd -q --ultra -20 --long=26 --single-thread -c "$in/zstd" \
		>zstd.zst && zstd -q -t --long=26 zstd.zst
}

# A repository with a history: what was packed must be what was there. The
# statistics are of the last run, which packs by itself; gc has it done by others.
git_needs=git
git_options=--children=same
git_input() {
	git init -q -b main "$in/git" &&
		awk 'BEGIN {
		for (c = 1; c <= 50; c++) {
			print "commit refs/heads/main"
			print "committer A <a@example.com> " 1700000000 + c " +0000"
			m = "change " c "\n"
			print "data " length(m); printf "%s", m
			for (f = 0; f < 4; f++) {
				t = ""
				for (l = 0; l < 1500; l++)
					t = t "line " l " of file " f " " \
						(l * c * (f + 3)) % 65537 "\n"
				print "M 100644 inline folder" (c + f) % 9 \
					"/file" (c * 7 + f) % 40
				print "data " length(t); printf "%s", t
			}
		}
	}' | git -C "$in/git" fast-import --quiet && chmod -R a+rX "$in/git"
}
git_() {
	git config --global --get safe.directory >/dev/null 2>&1
	cp -R "$in/git" repository && chmod -R a+rwX repository &&
		HOME=$PWD $under git -C repository -c safe.directory='*' \
			-c pack.threads=1 -c gc.auto=0 gc -q &&
		HOME=$PWD $under git -C repository -c safe.directory='*' \
			pack-objects -q --threads=1 --window=60 --all \
			--no-reuse-delta --no-reuse-object "$PWD/packed" \
			</dev/null >name &&
		git -C repository -c safe.directory='*' fsck --full \
			>fsck 2>&1 &&
		git -C repository -c safe.directory='*' rev-list --objects \
			--all | sort >objects &&
		git -C repository -c safe.directory='*' archive main |
		cksum >files
	status=$?
	rm -rf repository
	return $status
}
