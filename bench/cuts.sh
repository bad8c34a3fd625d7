#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# What the user of a mirror sees when a network is cut: `extmem-bench failover`, a
# client and two appliances, each in a network namespace of its own.
#
#	bench/cuts.sh [-b BUILD] [-r ROUNDS] [-- OPTION...]
#
#	-b  where extmem-bench and extmemd were built (.)
#	-r  rounds of each cut (20)
#	Options after -- go to extmem-bench: --json, --pages ...
#
# The cuts: the client's end of the link down; the appliance's end down; packets to
# the appliance dropped, and from it. Needs root, ip(8) and, for the last two, nft(8);
# what is missing is said, and left out. The namespaces are taken away at the end.
. "$(dirname "$0")/common.sh"

build=.
rounds=20
while getopts b:r: option; do
	case $option in
	b) build=$OPTARG ;;
	r) rounds=$OPTARG ;;
	*) usage ;;
	esac
done
shift $((OPTIND - 1))

[ "$(id -u)" -eq 0 ] || fail "needs root: it makes network namespaces"
command -v ip >/dev/null || fail "ip is not there (Debian: iproute2)"
[ -x "$build/extmem-bench" ] || fail "$build/extmem-bench is not there: -b BUILD"

name=xm-cuts-$$
scratch=$(mktemp -d) || exit 1
appliances=

end() {
	for pid in $appliances; do
		kill "$pid" 2>/dev/null
	done
	for at in client 0 1; do
		ip netns del "$name-$at" 2>/dev/null
	done
	rm -rf "$scratch"
}
trap end EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

# usage: host NUMBER: a namespace with a link to the client's, and an appliance in it
host() {
	ip netns add "$name-$1" &&
		ip -n "$name-client" link add "to$1" type veth \
			peer name client netns "$name-$1" &&
		ip -n "$name-client" addr add "10.0.$1.1/24" dev "to$1" &&
		ip -n "$name-$1" addr add "10.0.$1.2/24" dev client &&
		ip -n "$name-client" link set "to$1" up &&
		ip -n "$name-$1" link set client up &&
		ip -n "$name-$1" link set lo up || fail "no namespace can be made"
	# shellcheck disable=SC2086
	ip netns exec "$name-$1" "$build/extmemd" --memory 512M $plaintext \
		--listen "ofi+tcp://10.0.$1.2:7470" >"$scratch/$1" 2>&1 &
	appliances="$appliances $!"
}

# Between namespaces nobody listens in.
plaintext=
"$build/extmemd" --help | grep -q -- insecure-plaintext &&
	plaintext=--insecure-plaintext

ip netns add "$name-client" || fail "no namespace can be made"
ip -n "$name-client" link set lo up
host 0
host 1
for at in 0 1; do
	tries=0
	until grep -q ready "$scratch/$at"; do
		tries=$((tries + 1))
		[ $tries -lt 300 ] || fail "no appliance: $(cat "$scratch/$at")"
		sleep 0.1
	done
done

# usage: cut LABEL STRIKE HEAL [OPTION]...
cut() {
	label=$1 strike=$2 heal=$3
	shift 3
	echo "# $label"
	# shellcheck disable=SC2086
	ip netns exec "$name-client" "$build/extmem-bench" failover \
		--appliance ofi+tcp://10.0.0.2:7470 \
		--appliance ofi+tcp://10.0.1.2:7470 \
		${plaintext:+--setting insecure_plaintext=yes} \
		--rounds "$rounds" --label "$label" \
		--strike "$strike" --heal "$heal" "$@" || exit 1
}

# usage: drops NAMESPACE INTERFACE: the commands that drop what comes in there
drops() {
	drop="ip netns exec $1 nft \"add table inet cut;
		add chain inet cut in { type filter hook input priority 0; };
		add rule inet cut in iifname $2 drop\""
	pass="ip netns exec $1 nft delete table inet cut"
}

cut "the client's end of the link down" \
	"ip -n $name-client link set to\$VICTIM down" \
	"ip -n $name-client link set to\$VICTIM up" "$@"
cut "the appliance's end of the link down" \
	"ip -n $name-\$VICTIM link set client down" \
	"ip -n $name-\$VICTIM link set client up" "$@"
if command -v nft >/dev/null; then
	drops "$name-\$VICTIM" client
	cut "packets to the appliance dropped" "$drop" "$pass" "$@"
	drops "$name-client" "to\$VICTIM"
	cut "packets from the appliance dropped" "$drop" "$pass" "$@"
else
	say "skipped: one way alone, as nft is not there (Debian: nftables)"
fi
