#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# extmemd --isolate tenant: an interface process for each tenant, which sees no other's
# bytes, and whose end is no other's business. Run by `make check`.
. "$XM_SRCDIR/tests/support/count.sh"
unset NOTIFY_SOCKET EXTMEM_AUTH EXTMEM_SEAL

extmem=$XM_BUILDDIR/extmem
extmemd=$XM_BUILDDIR/extmemd
witness=$XM_BUILDDIR/tests/shell/witness
configured INIH || skip "this build reads no tenants files (Debian: libinih-dev)"
[ -x "$XM_BUILDDIR/extmem-auth" ] ||
	skip "this build has no TLS (Debian: libssl-dev)"
keys=$scratch/keys
file=$scratch/tenants
cat >"$file" <<END
[one]
identity = one
bytes = 64M
[two]
identity = two
bytes = 64M
[boss]
identity = boss
bytes = 0
admin = yes
END

# --- what makes no sense ------------------------------------------------------------

# usage: refuses WORDS OPTION...: a daemon that ends with these words.
refuses() {
	words=$1
	shift
	! timeout 60 "$extmemd" --listen ofi+tcp://127.0.0.1:0 --memory 128M \
		--isolate tenant "$@" >"$scratch/out" 2>"$scratch/err" &&
		grep -qF -e "$words" "$scratch/err"
}
refuses 'needs --tenants FILE'
verdict 'without tenants there is nothing to isolate' $?
refuses 'do not go together' --tenants "$file" --give-back 1G
verdict 'memory that is divided is not given back' $?
! timeout 60 "$extmemd" --listen ofi+shm://isolated --memory 128M --isolate tenant \
	--tenants "$file" >"$scratch/out" 2>"$scratch/err" &&
	grep -q 'ofi+shm do not go together' "$scratch/err"
verdict 'nor does it go with a provider that looks into other processes' $?
refuses '--memory is 64 MiB' --tenants "$file" --memory 64M
verdict 'more than there is cannot be divided' $?
refuses 'not 2 ports' --tenants "$file" --data-port 65535
verdict 'nor are there more ports than there are' $?
printf '[all]\nidentity = all\n' >"$scratch/wrong"
refuses 'how much for all' --tenants "$scratch/wrong"
verdict 'nor can what has no number' $?

# --- a daemon ---------------------------------------------------------------------------

"$extmem" auth init "$keys" >"$scratch/out"
for name in one two boss; do
	"$extmem" auth add "$keys" "$name" >"$scratch/out"
done
mkfifo "$scratch/ready"
"$extmemd" --auth "$keys/appliance.pem" --listen ofi+tcp://127.0.0.1:0 \
	--memory 128M --isolate tenant --tenants "$file" --ready-fd 7 \
	7>"$scratch/ready" 2>"$scratch/log" &
daemon=$!
read -r address <"$scratch/ready"

# usage: interfaces: sets $one and $two, by the order in which they began.
interfaces() {
	# shellcheck disable=SC2046
	set -- $(cat "/proc/$daemon/task/$daemon/children")
	count=$#
	one=${1-} two=${2-}
}
interfaces
[ "$count" -eq 2 ] && grep -q 'interface process of tenant two is without' "$scratch/log"
verdict 'each tenant has a process of its own, and the log says how it is confined' $?

EXTMEM_AUTH=$keys/boss.pem "$extmem" status "$address" >"$scratch/out" &&
	grep -q '^interface  *one for each tenant' "$scratch/out"
verdict 'extmem status says so' $?

# usage: program NAME: writes 16 MiB of this tenant's marker, and waits to read them.
program() {
	head -c 32 /dev/urandom >"$scratch/marker.$1"
	mkfifo "$scratch/go.$1" "$scratch/said.$1"
	EXTMEM_AUTH=$keys/$1.pem timeout 120 "$extmem" run --local 2M --open-after 0 \
		--appliance "$address" -- "$witness" write 16 "$scratch/marker.$1" \
		<"$scratch/go.$1" >"$scratch/said.$1" 2>"$scratch/err.$1" &
	echo $! >"$scratch/pid.$1"
}
program one
exec 5>"$scratch/go.one"
read -r line <"$scratch/said.one"
program two
exec 6>"$scratch/go.two"
read -r line <"$scratch/said.two"

# --- what each one sees -------------------------------------------------------------------

# usage: sees PID NAME: how many of this tenant's markers it has.
sees() { "$witness" memory "$1" "$scratch/marker.$2"; }
if [ "$(id -u)" -eq 0 ]; then
	[ "$(sees "$one" one)" -gt 100000 ] && [ "$(sees "$two" two)" -gt 100000 ]
	verdict 'an interface has the bytes of its tenant' $?
	[ "$(sees "$one" two)" -eq 0 ] && [ "$(sees "$two" one)" -eq 0 ]
	verdict 'and not one of the other' $?
else
	echo "skipped who sees what: that needs root"
fi

# --- the end of one -------------------------------------------------------------------------

kill -9 "$one"
await grep -q 'interface of tenant one has ended: the memory of 1 clients is lost' \
	"$scratch/log"
verdict 'the end of one is said, and whose memory is lost' $?
echo go >&6
exec 6>&-
wait "$(cat "$scratch/pid.two")"
verdict "the other tenant's program goes on, and finds all that it wrote" $?
echo go >&5
exec 5>&-
! wait "$(cat "$scratch/pid.one")" && grep -qi 'lost' "$scratch/err.one"
verdict "its own reads no wrong byte, and ends with words" $?
kill -0 "$daemon"
verdict 'the daemon goes on' $?
await grep -q 'interface process of tenant one is back' "$scratch/log"
verdict 'another process takes its place' $?
rma() {
	EXTMEM_AUTH=$keys/$1.pem timeout 60 "$XM_BUILDDIR/extmem-bench" rma \
		--appliance "$address" --no-raw --bytes 4096 --depth 1 --time 100ms \
		>"$scratch/out" 2>"$scratch/err"
}
rma one && rma two
verdict 'at which the tenant has its memory again' $?

# --- one that hangs ---------------------------------------------------------------------------

interfaces
# The newest is the last.
kill -STOP "$two"
rma two
verdict 'one that hangs keeps no other tenant waiting' $?
kill -CONT "$two"
rma one
verdict 'and goes on when it is let' $?

! EXTMEM_AUTH=$keys/boss.pem "$extmem" shrink "$address" 64M >"$scratch/out" \
	2>"$scratch/err" && grep -q 'divided' "$scratch/err"
verdict 'a divided pool keeps its size' $?
kill -TERM "$daemon"
wait "$daemon"
verdict 'the daemon ends like any other' $?

summary
