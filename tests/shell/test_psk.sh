#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# Pre-shared keys as their users meet them: files, an appliance and its tenants, renewal and
# revocation under a client that moves bytes. Run by `make check`.
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

# --- files ------------------------------------------------------------------------

"$extmem" auth psk "$keys" one >"$scratch/out" &&
	"$extmem" auth psk "$keys" two >>"$scratch/out"
verdict 'two clients have keys' $?
[ "$(stat -c %a "$keys" "$keys"/appliance.psk "$keys"/one.psk | tr '\n' ' ')" = \
	'700 600 600 ' ]
verdict 'which nobody else can read' $?
"$extmem" auth show "$keys" >"$scratch/out" && grep -q '^two .*client' "$scratch/out" &&
	! grep -qf - "$scratch/out" <<END
$(sed -n 's/^one //p' "$keys/one.psk")
END
verdict 'they are listed, without their keys' $?
says 'it has a key already' "$extmem" auth psk "$keys" one
verdict 'a name has one key' $?
says 'no name for a client' "$extmem" auth psk "$keys" ../x
verdict 'a name is no path' $?
says 'no name for a client' "$extmem" auth psk "$keys" appliance
verdict 'and not that of the list' $?
says 'pre-shared keys are there' "$extmem" auth init "$keys"
verdict 'an authority has a folder of its own' $?
says 'extmem auth psk' "$extmem" auth add "$keys" three
verdict 'keys give no certificates' $?
"$extmem" auth init "$scratch/authority" >"$scratch/out"
says 'a folder of their own' "$extmem" auth psk "$scratch/authority" one
verdict 'nor an authority keys' $?
for i in 1 2 3 4 5 6 7 8; do
	"$extmem" auth psk "$keys" "at-once-$i" >>"$scratch/out" &
	adders="${adders-} $!"
done
for pid in $adders; do wait "$pid"; done
[ "$("$extmem" auth show "$keys" | grep -c '^at-once-')" -eq 8 ]
verdict 'eight that are added at once are all in the list' $?

# --- an appliance --------------------------------------------------------------------

cat >"$scratch/tenants" <<END
[small]
identity = one
bytes = 100M
[operators]
identity = boss
admin = yes
END
mkfifo "$scratch/ready"
if configured INIH; then set -- --tenants "$scratch/tenants"; else set --; fi
"$extmemd" --auth "$keys/appliance.psk" --listen ofi+tcp://0.0.0.0:0 "$@" \
	--memory 128M --lease 2s --ready-fd 7 7>"$scratch/ready" 2>"$scratch/log" &
daemon=$!
read -r address <"$scratch/ready"
address=ofi+tcp://127.0.0.1:${address##*:}
EXTMEM_AUTH=$keys/one.psk "$extmem" status "$address" >"$scratch/out" &&
	grep -q '^pool ' "$scratch/out"
verdict 'a client with a key is let in' $?
if configured INIH; then
	grep -q "^pool *100.0 MiB" "$scratch/out"
	verdict 'and is the tenant of that name' $?
	says 'no tenant' env EXTMEM_AUTH="$keys/two.psk" "$extmem" status "$address"
	verdict 'another name is none' $?
else
	echo "skipped tenants: this build reads no tenants files (Debian: libinih-dev)"
fi
EXTMEM_AUTH=$keys/one.psk "$extmem" doctor |
	grep -q 'credentials *ok .*client one, by a pre-shared key'
verdict 'doctor looks at the file' $?
cp "$keys/two.psk" "$scratch/open.psk"
chmod 644 "$scratch/open.psk"
EXTMEM_AUTH=$scratch/open.psk "$extmem" doctor |
	grep -q 'credentials *MISSING .*chmod 600'
verdict 'and sees a wrong mode' $?
says 'chmod 600' env EXTMEM_AUTH="$scratch/open.psk" "$extmem" status "$address"
verdict 'such a file is not used' $?
says 'wants credentials' "$extmem" status "$address"
verdict 'who has none is told so' $?
says 'needs one, too' env EXTMEM_AUTH="$scratch/authority/client.pem" \
	"$extmem" status "$address"
verdict 'and who has a certificate' $?
sed '2s/ ..../ 0000/' "$keys/one.psk" >"$scratch/posing.psk"
chmod 600 "$scratch/posing.psk"
says 'another pre-shared key for one' env EXTMEM_AUTH="$scratch/posing.psk" \
	"$extmem" status "$address"
verdict 'and who has another key' $?
sed '2s/^one/nobody/' "$keys/one.psk" >"$scratch/posing.psk"
says 'no pre-shared key for nobody' env EXTMEM_AUTH="$scratch/posing.psk" \
	"$extmem" status "$address"
verdict 'and whose name is not known' $?
says 'for the other side' "$extmemd" --auth "$keys/one.psk" \
	--listen ofi+tcp://0.0.0.0:0 --memory 1M
verdict "an appliance does not begin with a client's file" $?

# --- renewed, revoked ------------------------------------------------------------------

EXTMEM_AUTH=$keys/one.psk "$XM_BUILDDIR/extmem-bench" rma --appliance "$address" \
	--no-raw --bytes 4096 --depth 1 --time 60s \
	>"$scratch/bench.out" 2>"$scratch/bench.err" &
bench=$!
await grep -q 'is here, known as one' "$scratch/log"
verdict 'a client is known by the name of its key' $?
cp "$keys/one.psk" "$scratch/old.psk"
"$extmem" auth renew "$keys" one >"$scratch/out"
kill -HUP "$daemon"
await grep -q 'reloaded' "$scratch/log"
EXTMEM_AUTH=$keys/one.psk "$extmem" status "$address" | grep -q '^pool '
verdict 'its new key is known after SIGHUP' $?
says 'another pre-shared key for one' env EXTMEM_AUTH="$scratch/old.psk" \
	"$extmem" status "$address"
verdict 'the old one no longer' $?
kill -0 $bench && ! grep -q 'no longer accepted' "$scratch/log"
verdict 'and who is connected stays' $?
"$extmem" auth revoke "$keys" one >"$scratch/out" && [ ! -e "$keys/one.psk" ]
verdict 'it is revoked' $?
kill -HUP "$daemon"
await grep -q 'no longer accepted: its memory' "$scratch/log"
verdict 'and loses its stream and its lease' $?
kill $bench 2>/dev/null
wait $bench 2>/dev/null
says 'no key has this name' "$extmem" auth revoke "$keys" one
verdict 'what is not there is not revoked' $?
kill -TERM "$daemon"
wait "$daemon"
verdict 'the daemon ends like any other' $?
daemon=
summary
