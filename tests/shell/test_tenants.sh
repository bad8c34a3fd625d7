#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# Tenants as those who run an appliance, and those who share it, meet them: the file,
# quotas, lists, SIGHUP. Run by `make check`.
. "$XM_SRCDIR/tests/support/count.sh"
unset NOTIFY_SOCKET EXTMEM_AUTH

extmem=$XM_BUILDDIR/extmem
extmemd=$XM_BUILDDIR/extmemd
configured INIH || skip "this build reads no tenants files (Debian: libinih-dev)"
[ -x "$XM_BUILDDIR/extmem-auth" ] ||
	skip "this build has no TLS (Debian: libssl-dev)"
keys=$scratch/keys
file=$scratch/tenants

# --- the file ---------------------------------------------------------------------

cat >"$file" <<END
# who shares this machine
[small]
identity = small-*
bytes = 128K
[large]
identity = large, larger
[operators]
identity = boss
admin = yes
END
"$extmemd" --listen ofi+tcp://127.0.0.1:0 --memory 64M --tenants "$file" \
	--check-config >"$scratch/out" && grep -q '^small  *128K' "$scratch/out" &&
	grep -q 'boss (admin)' "$scratch/out"
verdict 'a check shows who may have what' $?
# usage: wrong LINE WORDS: this line at the end is refused with these words.
wrong() {
	{ cat "$file" && printf '%s\n' "$1"; } >"$scratch/wrong"
	! "$extmemd" --listen ofi+tcp://127.0.0.1:0 --memory 64M \
		--tenants "$scratch/wrong" --check-config >"$scratch/out" \
		2>"$scratch/err" && grep -qF -e "$2" "$scratch/err"
}
wrong 'bytes = much' 'wrong:10: bytes = much: write a size'
verdict 'a quota that is none is named by its line' $?
wrong 'identity = large' 'wrong:10: identity large is tenant large'
verdict 'so is an identity of two tenants' $?
wrong 'byte = 1G' 'wrong:10: byte is nothing that a tenant has'
verdict 'and a word that is not known' $?
chmod o+w "$scratch/wrong"
! "$extmemd" --listen ofi+tcp://127.0.0.1:0 --memory 64M --tenants "$scratch/wrong" \
	2>"$scratch/err" && grep -q 'chmod o-w' "$scratch/err"
verdict 'a file that everybody may write does not begin a daemon' $?

# --- quotas, lists -------------------------------------------------------------------

"$extmem" auth init "$keys" >"$scratch/out"
for name in small-1 large boss nobody; do
	"$extmem" auth add "$keys" "$name" >"$scratch/out"
done
mkfifo "$scratch/ready"
"$extmemd" --auth "$keys/appliance.pem" --listen ofi+tcp://127.0.0.1:0 \
	--memory 256M --tenants "$file" --ready-fd 7 7>"$scratch/ready" \
	2>"$scratch/log" &
daemon=$!
read -r address <"$scratch/ready"

# usage: as NAME COMMAND...
as() {
	name=$1
	shift
	EXTMEM_AUTH=$keys/$name.pem timeout 60 "$@" >"$scratch/out" 2>"$scratch/err"
}
rma() {
	as "$1" "$XM_BUILDDIR/extmem-bench" rma --appliance "$address" --no-raw \
		--bytes 4096 --depth 1 --time "$2"
}
EXTMEM_AUTH=$keys/large.pem "$XM_BUILDDIR/extmem-bench" rma --appliance "$address" \
	--no-raw --bytes 4096 --depth 1 --time 60s >"$scratch/bench.out" 2>&1 &
bench=$!
holds() { as boss "$extmem" status "$address" && grep -q '^clients *1 of' "$scratch/out"; }
await holds
grep -q '^regions.*64' "$scratch/out" || grep -q '64.0 MiB leased' "$scratch/out"
verdict 'an admin sees what others have' $?
! rma small-1 100ms && grep -q 'tenant small has .* may have 128.0 KiB' "$scratch/err"
verdict 'beyond its quota a tenant is told what it has and may have' $?
as small-1 "$extmem" status "$address" && grep -q '^regions *none' "$scratch/out" &&
	grep -q '^pool *0.1 MiB: 0.0 MiB leased, 0.1 MiB free' "$scratch/out"
verdict 'and sees its own alone' $?
! as nobody "$extmem" status "$address" && grep -q 'belongs to no tenant' "$scratch/err"
verdict 'who is no tenant is told so' $?
! as small-1 "$extmem" drain "$address" && grep -q 'admin = yes' "$scratch/err"
verdict 'only an admin may have it drain' $?

# --- while it runs --------------------------------------------------------------------

again() { [ "$(grep -c 'reloaded' "$scratch/log")" -eq "$1" ]; }
sed -i 's/128K/64M/' "$file"
kill -HUP "$daemon"
await again 1
rma small-1 100ms
verdict 'a larger quota counts from the next SIGHUP on' $?
cp "$file" "$scratch/good"
echo nonsense >>"$file"
kill -HUP "$daemon"
await again 2
grep -q 'the tenants are still those that were read before' "$scratch/log" &&
	rma small-1 100ms
verdict 'a file that is wrong changes nothing' $?
sed 's/^identity = large.*/&\nbytes = 0/' "$scratch/good" >"$file"
kill -HUP "$daemon"
await again 3
kill -0 $bench && ! rma large 100ms && grep -q 'may have 0' "$scratch/err"
verdict 'a quota below what is used refuses more and takes nothing' $?
kill $bench
wait $bench 2>/dev/null
kill -TERM "$daemon"
wait "$daemon"
verdict 'the daemon ends like any other' $?

# --- a configuration that names no file any more -----------------------------------------

printf 'auth = %s\nlisten = ofi+tcp://127.0.0.1:0\nmemory = 64M\ntenants = %s\n' \
	"$keys/appliance.pem" "$file" >"$scratch/conf"
"$extmemd" --config "$scratch/conf" --ready-fd 7 7>"$scratch/ready" \
	2>"$scratch/log" &
daemon=$!
read -r address <"$scratch/ready"
sed -i '/^tenants/d' "$scratch/conf"
kill -HUP "$daemon"
await again 1
grep -q 'no file is named any more' "$scratch/log" &&
	! as nobody "$extmem" status "$address"
verdict 'does not open the appliance to everybody' $?
kill -TERM "$daemon"
wait "$daemon"

# --- users of this machine ----------------------------------------------------------------

# Nobody is a user like any other where all users are shown.
if [ "$(id -u)" -eq 0 ] && command -v setpriv >/dev/null &&
	grep -q '^ *0 .* 4294967295$' /proc/self/uid_map; then
	printf '[nobody]\nidentity = uid:65534\n' >"$file"
	"$extmemd" --listen "ofi+shm://tenants-$$" --memory 64M --tenants "$file" \
		--ready-fd 7 7>"$scratch/ready" 2>"$scratch/log" &
	daemon=$!
	read -r address <"$scratch/ready"
	as_user() {
		timeout 60 setpriv --reuid "$1" --clear-groups "$extmem" status \
			"$address" >"$scratch/out" 2>"$scratch/err"
	}
	as_user 65534
	verdict 'nobody is known by the number of that user' $?
	! as_user 65533 && grep -q 'belongs to no tenant' "$scratch/err"
	verdict 'and others are not nobody' $?
	kill -TERM "$daemon"
	wait "$daemon"
else
	echo "skipped nobody as a tenant: that needs root and setpriv"
fi

# --- more requests than may be in a second -------------------------------------------------

printf '[large]\nidentity = large\nrequests = 4\n' >"$file"
"$extmemd" --auth "$keys/appliance.pem" --listen ofi+tcp://127.0.0.1:0 \
	--memory 64M --tenants "$file" --ready-fd 7 7>"$scratch/ready" \
	2>"$scratch/log" &
daemon=$!
read -r address <"$scratch/ready"
many() {
	for _ in 1 2 3 4 5 6 7 8; do
		as large "$extmem" status "$address" || return
	done
}
many
verdict 'who asks more often than he may waits, and is served' $?
kill -TERM "$daemon"
wait "$daemon"

summary
