#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# Credentials as their users meet them: three commands, strangers at a living extmemd
# while a good client goes on, renewal and revocation under it. Run by `make check`.
# XM_BEGINNINGS=1000000 throws so many malformed handshakes at it; 3000 else.
. "$XM_SRCDIR/tests/support/count.sh"
unset NOTIFY_SOCKET EXTMEM_AUTH

extmem=$XM_BUILDDIR/extmem
extmemd=$XM_BUILDDIR/extmemd
[ -x "$XM_BUILDDIR/extmem-auth" ] ||
	skip "this build has no TLS (Debian: libssl-dev)"
keys=$scratch/keys

# usage: says WORDS COMMAND...: it fails, with these words on stderr.
says() {
	words=$1
	shift
	! timeout 60 "$@" >"$scratch/out" 2>"$scratch/err" &&
		grep -qF -e "$words" "$scratch/err"
}

# --- three commands -------------------------------------------------------------

"$extmem" auth init "$keys" >"$scratch/out"
verdict 'an authority is made' $?
[ "$(stat -c %a "$keys" "$keys"/*.key "$keys"/client.pem "$keys"/appliance.pem |
	tr '\n' ' ')" = '700 600 600 600 ' ]
verdict 'and nobody else can read its keys' $?
says 'an authority is there already' "$extmem" auth init "$keys"
verdict 'it is made once' $?
says 'no name for a certificate' "$extmem" auth add "$keys" ../x
verdict 'a name is no path' $?
says 'is there already' "$extmem" auth add "$keys" client
verdict 'a name is given once' $?
says 'usage:' "$extmem" auth add "$keys"
verdict 'what is missing is said' $?
"$extmem" auth add --days 30 "$keys" other >"$scratch/out" &&
	"$extmem" auth show "$keys" | grep -q '^other .*client .*good$'
verdict 'another client is added, and shown' $?
echo 'x other client 1 good' >>"$keys/issued"
says 'line 4' "$extmem" auth show "$keys"
verdict 'a list with a bad line is refused, with its line' $?
sed -i '$d' "$keys/issued"

# What one command holds another waits for: none of the lines is lost.
for i in 1 2 3 4 5 6 7 8; do
	"$extmem" auth add "$keys" "at-once-$i" >>"$scratch/out" &
	adders="${adders-} $!"
done
for pid in $adders; do wait "$pid"; done
[ "$("$extmem" auth show "$keys" | grep -c '^at-once-.*good$')" -eq 8 ]
verdict 'eight that are added at once are all in the list' $?
mkdir "$keys/at-once-1.pem.new"
! "$extmem" auth renew "$keys" at-once-1 2>"$scratch/err" &&
	"$extmem" auth check "$keys/at-once-1.pem" >"$scratch/out"
verdict 'a renewal that fails leaves the file that is good' $?
[ "$("$extmem" auth show "$keys" | grep -c '^at-once-1 ')" -eq 1 ]
verdict 'and the list as it was' $?
rmdir "$keys/at-once-1.pem.new"
mv "$keys/at-once-1.pem" "$scratch/moved.pem"
says 'is there already' "$extmem" auth add "$keys" at-once-1
verdict 'a name whose file is elsewhere is not given twice' $?
"$extmem" auth add --days 7000 "$keys" long >"$scratch/out"
"$extmem" auth add --days 20 "$keys" short >"$scratch/out"
"$extmem" auth check "$keys/short.pem" | grep -q 'renew it soon$' &&
	! "$extmem" auth check "$keys/long.pem" | grep -q 'soon'
verdict 'what ends soon is said to' $?
mkdir "$scratch/half" && : >"$scratch/half/issued"
says 'an authority is there already' "$extmem" auth init "$scratch/half"
verdict 'a list that is there is not begun again' $?

mkfifo "$scratch/ready"
# With a socket to everybody, so that credentials are needed.
"$extmemd" --auth "$keys/appliance.pem" --listen ofi+tcp://0.0.0.0:0 \
	--memory 64M --lease 2s --ready-fd 7 7>"$scratch/ready" 2>"$scratch/log" &
daemon=$!
read -r address <"$scratch/ready"
address=ofi+tcp://127.0.0.1:${address##*:}
awk '/^Max core file size/ { exit $5 != 0 || $6 != 0 }' "/proc/$daemon/limits"
verdict 'and it dumps no core, as its keys would be in it' $?
[ "$(stat -c %u "/proc/$daemon/environ")" -eq 0 ]
verdict 'nor shows its memory to others of its user' $?
# Copied to where the client is: this file is enough.
mkdir "$scratch/there"
cp "$keys/client.pem" "$keys/other.pem" "$scratch/there"
EXTMEM_AUTH=$scratch/there/client.pem "$extmem" status "$address" |
	grep -q '^pool '
verdict 'two commands later an appliance answers' $?
EXTMEM_AUTH=$scratch/there/client.pem "$extmem" doctor |
	grep -q 'credentials *ok .*client client, valid until'
verdict 'doctor looks at the file' $?
chmod 644 "$scratch/there/other.pem"
EXTMEM_AUTH=$scratch/there/other.pem "$extmem" doctor |
	grep -q 'credentials *MISSING .*chmod 600'
verdict 'and sees a wrong mode' $?
chmod 600 "$scratch/there/other.pem"

# --- strangers -----------------------------------------------------------------------

says 'wants credentials' "$extmem" status "$address"
verdict 'a client without credentials is told so' $?
"$extmem" auth init "$scratch/keys2" >"$scratch/out"
says 'is of another authority' env EXTMEM_AUTH="$scratch/keys2/client.pem" \
	"$extmem" status "$address"
verdict 'one of another authority, too' $?
says 'is not for this side' env EXTMEM_AUTH="$keys/appliance.pem" \
	"$extmem" status "$address"
verdict 'and one with the credentials of an appliance' $?

# Nonsense at the live port: descriptors and memory stay.
measure() {
	rss=$(awk '/^VmRSS/ { print $2 }' "/proc/$daemon/status")
	files=$(ls "/proc/$daemon/fd" | wc -l)
}
# A good client goes on meanwhile: thrower.c.
throw() {
	EXTMEM_AUTH=$scratch/there/client.pem \
		"$XM_BUILDDIR/tests/shell/thrower" "$address" "$1" "$2" \
		>"$scratch/out" 2>"$scratch/err"
}
throw 500 1
measure
before_rss=$rss before_files=$files
beginnings=${XM_BEGINNINGS:-3000}
throw "$beginnings" 2
verdict "$beginnings malformed beginnings, and a good client goes on" $?
# The last of them may still be at their handshake.
few() { measure; [ "$files" -le $((before_files + 2)) ]; }
await few
verdict 'and cost no descriptor' $?
[ "$rss" -le $((before_rss + 4096)) ]
verdict 'and no memory' $?
grep -q 'turned away 127.0.0.1' "$scratch/log"
verdict 'the log says who was turned away' $?

# --- renewed, revoked -----------------------------------------------------------------

# It moves bytes, and says how it went at the end.
EXTMEM_AUTH=$scratch/there/client.pem "$XM_BUILDDIR/extmem-bench" rma \
	--appliance "$address" --no-raw --bytes 4096 --depth 1 --time 2s \
	>"$scratch/bench.out" 2>"$scratch/bench.err" &
bench=$!
await grep -q 'is here, known as client$' "$scratch/log"
verdict 'a client is known by its certificate' $?
arrived() { [ "$(grep -c 'is here' "$scratch/log")" -ge "$1" ]; }
await arrived 3
"$extmem" auth renew "$keys" appliance >"$scratch/out"
kill -HUP "$daemon"
await grep -q 'reloaded' "$scratch/log"
EXTMEM_AUTH=$scratch/there/client.pem "$extmem" status "$address" |
	grep -q '^pool '
verdict 'an appliance whose certificate was renewed answers' $?
EXTMEM_AUTH=$scratch/there/other.pem "$extmem" status "$address" |
	grep -q '^pool '
verdict 'another client gets in' $?
"$extmem" auth revoke "$keys" other >"$scratch/out" && [ ! -e "$keys/other.pem" ]
verdict 'it is revoked' $?
rm "$keys/revoked.pem"
"$extmem" auth revoke "$keys" other >"$scratch/out" && [ -e "$keys/revoked.pem" ]
verdict 'and again, when its list was lost' $?
says 'no certificate has this name' "$extmem" auth revoke "$keys" nobody
verdict 'and who was never there is not' $?
kill -HUP "$daemon"
reloaded_twice() { [ "$(grep -c 'reloaded' "$scratch/log")" -eq 2 ]; }
await reloaded_twice
grep -q 'credentials: there is no revoked.pem' "$scratch/log" &&
	grep -q 'credentials: revoked.pem has 1 certificate$' "$scratch/log"
verdict 'how many are revoked is said' $?
says 'our certificate was revoked' env EXTMEM_AUTH="$scratch/there/other.pem" \
	"$extmem" status "$address"
verdict 'and no longer gets in' $?

wait $bench
verdict 'the good client was served to the end' $?
! grep -q 'expired\|is back' "$scratch/log"
verdict 'without a break' $?

# A revoked client that is connected loses its stream, and its lease.
"$extmem" auth add "$keys" third >"$scratch/out"
cp "$keys/third.pem" "$scratch/there"
EXTMEM_AUTH=$scratch/there/third.pem "$XM_BUILDDIR/extmem-bench" rma \
	--appliance "$address" --no-raw --bytes 4096 --depth 1 --time 60s \
	>"$scratch/bench.out" 2>"$scratch/bench.err" &
bench=$!
await arrived 4
"$extmem" auth revoke "$keys" third >"$scratch/out"
kill -HUP "$daemon"
await grep -q 'no longer accepted: its memory' "$scratch/log"
verdict 'a client that is revoked while it is there loses its lease' $?
kill $bench 2>/dev/null
wait $bench 2>/dev/null

kill -TERM "$daemon"
wait "$daemon"
verdict 'the daemon ends like any other' $?

# --- a program, over an encrypted stream ------------------------------------------------

case ${XM_FLAGS-} in
*-fsanitize*) ;;
*)
	"$extmemd" --auth "$keys/appliance.pem" --listen ofi+tcp://0.0.0.0:0 \
		--memory 256M --ready-fd 7 7>"$scratch/ready" 2>"$scratch/log" &
	daemon=$!
	read -r address <"$scratch/ready"
	address=ofi+tcp://127.0.0.1:${address##*:}
	awk 'BEGIN { srand(14); for (i = 0; i < 100000; i++) print rand() }' \
		>"$scratch/text"
	sort "$scratch/text" >"$scratch/sorted"
	# By a path that means nothing where the program goes.
	(cd "$scratch/there" && EXTMEM_AUTH=client.pem timeout 300 "$extmem" run \
		--local 2M --appliance "$address" -- sh -c 'cd / && exec "$@"' - \
		sort -S 16M --parallel=1 "$scratch/text" >"$scratch/out" 2>"$scratch/err")
	cmp -s "$scratch/out" "$scratch/sorted"
	verdict 'an unmodified program sorts there' $?
	# A program that uses the same OpenSSL, with all its memory external.
	if command -v openssl >/dev/null; then
		EXTMEM_AUTH=$scratch/there/client.pem timeout 300 "$extmem" run \
			--local 2M --open-after 0 --appliance "$address" -- \
			openssl dgst -sha256 "$scratch/text" >"$scratch/out" 2>"$scratch/err"
		[ "$(sed 's/.*= //' "$scratch/out")" = \
			"$(sha256sum <"$scratch/text" | cut -d ' ' -f 1)" ]
		verdict 'and one that uses OpenSSL itself' $?
	else
		echo "skipped a program that uses OpenSSL: openssl is not here"
	fi
	head -n 20000 "$scratch/text" | sort >"$scratch/sorted"
	EXTMEM_AUTH=$scratch/there/client.pem timeout 300 "$extmem" run --local 2M \
		--external 64M --open-after 0 -- sort "$scratch/sorted" \
		>"$scratch/out" 2>"$scratch/err"
	cmp -s "$scratch/out" "$scratch/sorted"
	verdict 'an appliance for the run alone needs no credentials' $?
	kill -TERM "$daemon"
	wait "$daemon"
	;;
esac
daemon=
summary
