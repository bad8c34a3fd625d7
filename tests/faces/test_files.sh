#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# A folder whose files are in an appliance's memory: random operations against a shadow
# for a few seconds, or for FILES_SECONDS; then programs of others.
. "$XM_SRCDIR/tests/faces/rig.sh"
need_files

appliance || skip "no appliance came up"
need_mount -s 64M -a "$address"
mountpoint -q "$folder"
verdict "extmem mount makes a folder" $? "$scratch/files"

random() {
	"$XM_BUILDDIR/tests/faces/files" "$folder" "${FILES_SECONDS:-4}" \
		${FILES_SEED:+"$FILES_SEED"} >"$scratch/out" 2>&1
}
check "random operations of three processes find their bytes" random
free() {
	df -k --output=avail "$folder" | tail -n 1
}
check "and leave nothing" test "$(free)" -eq 65536

names() {
	cd "$folder" || return
	mkdir -p a/b && echo one >a/one && ln a/one a/two && ln -s one a/link &&
		[ "$(cat a/link)" = one ] && [ "$(stat -c %h a/one)" = 2 ] &&
		mv a/two a/b/two && [ "$(cat a/b/two)" = one ] && rm a/one &&
		[ "$(stat -c %h a/b/two)" = 1 ] && ! cat a/link 2>/dev/null &&
		! rmdir a 2>/dev/null && ! mv a a/b 2>/dev/null &&
		chmod 640 a/b/two && [ "$(stat -c %a a/b/two)" = 640 ] &&
		touch -d 2001-02-03 a/b/two && [ "$(stat -c %Y a/b/two)" = \
			"$(date -d 2001-02-03 +%s)" ] &&
		mkdir many && seq 2000 | (cd many && xargs touch) &&
		[ "$(find many -type f | wc -l)" = 2000 ] && rm -r many a &&
		[ -z "$(ls -A)" ]
}
check "names, links, modes and times" eval '(names)'
if command -v getfattr >/dev/null; then
	attributes() {
		head -c 5000 /dev/zero >"$folder/f" && sync "$folder/f" &&
			getfattr -d "$folder/f" >"$scratch/out" 2>&1 &&
			grep -q 'user.extmem.size="8192"' "$scratch/out" &&
			grep -q "user.extmem.appliance=\"$address\"" "$scratch/out" &&
			rm "$folder/f"
	}
	check "extended attributes say how a file is kept" attributes
fi
full() {
	! dd if=/dev/zero of="$folder/f" bs=1M count=80 conv=fsync \
		2>"$scratch/out" && grep -q 'No space left' "$scratch/out" &&
		rm "$folder/f" && [ "$(free)" -eq 65536 ]
}
check "a full folder says so, and is empty again" full
holes() {
	truncate -s 1T "$folder/f" && [ "$(free)" -eq 65536 ] &&
		[ "$(stat -c %s "$folder/f")" -eq 1099511627776 ] &&
		fallocate -l 8M "$folder/g" && [ "$(free)" -eq $((56 * 1024)) ] &&
		fallocate -p -o 1M -l 4M "$folder/g" &&
		[ "$(free)" -eq $((60 * 1024)) ] && rm "$folder/f" "$folder/g"
}
check "holes take no memory" holes
# As a compiler or a linker does: the file is opened, which empties it, and written in parts.
rewritten() {
	head -c 65536 /dev/urandom >"$folder/f" && sync "$folder/f" &&
		head -c 4096 "$folder/f" >"$scratch/end" || return
	{ head -c 8192 /dev/zero && cat "$scratch/end"; } >"$scratch/in"
	: >"$folder/f" && [ "$(free)" -eq 65536 ] && dd if="$scratch/end" \
		of="$folder/f" bs=4096 seek=2 conv=notrunc,fsync 2>"$scratch/out" &&
		dd if="$folder/f" iflag=nocache count=0 2>"$scratch/out" &&
		cmp "$scratch/in" "$folder/f" && [ "$(free)" -eq 65532 ] &&
		rm "$folder/f"
}
check "a file that is opened to be rewritten is empty, and its memory free" rewritten
rights() {
	: >"$folder/f" && chmod 4755 "$folder/f" && chown "$(id -u)" "$folder/f" &&
		[ "$(stat -c %a "$folder/f")" = 755 ] && rm "$folder/f"
}
check "a new owner takes setuid away" rights

if command -v sqlite3 >/dev/null; then
	cat >"$scratch/sql" <<-END
		PRAGMA journal_mode=WAL;
		CREATE TABLE t(a INTEGER PRIMARY KEY, b TEXT);
		WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c
			WHERE x < 5000) INSERT INTO t SELECT x, hex(x * x) FROM c;
		UPDATE t SET b = b || 'x' WHERE a % 3 = 0;
		PRAGMA journal_mode=DELETE;
		DELETE FROM t WHERE a % 2 = 0;
		VACUUM;
		PRAGMA integrity_check;
		SELECT count(*) FROM t;
	END
	sqlite() {
		sqlite3 "$folder/db" <"$scratch/sql" >"$scratch/out" 2>&1 &&
			[ "$(tail -n 2 "$scratch/out" | tr '\n' ' ')" = "ok 2500 " ]
	}
	check "SQLite, with both of its journals" sqlite
else
	echo "skipped SQLite: it is not here (Debian: sqlite3)"
fi
if command -v git >/dev/null; then
	repository() {
		git init -q "$folder/r" && cd "$folder/r" || return
		cp -R "$XM_SRCDIR/docs" . && git add . &&
			git -c user.name=t -c user.email=t@t commit -qm docs &&
			git gc -q && git fsck --strict && git clone -q . ../s &&
			diff -r docs ../s/docs && diff -r docs "$XM_SRCDIR/docs"
	}
	check "git commits, packs and clones" eval '(repository)'
else
	echo "skipped git: it is not here"
fi

# What programs had written is there in a mapping that nobody has looked at yet.
exec 5>"$folder/open"
"$extmem" unmount "$folder" >"$scratch/out" 2>&1
[ $? -eq 1 ] && grep -q 'in use' "$scratch/out"
verdict "a folder in use stays" $? "$scratch/out"
exec 5>&-
check "extmem unmount ends it" "$extmem" unmount "$folder"
ends "$files"
verdict "with status 0" $? "$scratch/files"
leased() {
	"$extmem" status "$address" | grep -q ' 0.0 MiB leased'
}
check "and its memory is free" await leased

check "a folder in the background" "$extmem" mount -s 16M -a "$address" "$folder"
check "holds files" eval 'echo text >"$folder/f" && [ "$(cat "$folder/f")" = text ]'
check "until it is unmounted" eval '"$extmem" unmount "$folder" && await leased'

check "once more" files -s 16M -a "$address" --seal
check "sealed" eval 'cp "$extmem" "$folder/f" && cmp "$extmem" "$folder/f"'
kill "$files"
ends "$files"
verdict "SIGTERM ends it with status 0" $? "$scratch/files"
check "and nothing is mounted" eval '! mountpoint -q "$folder"'
summary
