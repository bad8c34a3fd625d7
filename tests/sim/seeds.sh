#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# The simulator in `make check`: the seeds that once failed (tests/sim/seeds.txt),
# then fresh ones, each run twice with equal hashes. Fresh seeds begin where
# the clock stands; SEED=N says where instead, RUNS=N how many. With CI set they
# are always the same, so that a change is judged by itself.
. "$XM_SRCDIR/tests/support/count.sh"
need_simulator

while read -r seed lesson; do
	case $seed in '' | '#'*) continue ;; esac
	check "seed $seed, whose lesson was: $lesson" \
		"$sim" --quiet --twice --seed "$seed"
	# Most are older than seals, which a third of them would have by now, and tenants.
	check "seed $seed, unsealed, of one tenant" \
		"$sim" --quiet --unsealed --one-tenant --seed "$seed"
done <"$XM_SRCDIR/tests/sim/seeds.txt"

# usage: kept KIND WORDS SEED...: these failed once.
kept() {
	kind=$1
	words=$2
	shift 2
	for seed; do
		check "seed $seed, in which regions $words" \
			"$sim" --quiet --kind "$kind" --twice --seed "$seed"
	done
}

# A ledger that is exchanged where no member is was never given back: nobody asks for a path
# there. Found with one client under much weather.
check "seed 9103, a client alone under much weather" \
	"$sim" --quiet --twice --seed 9103 --clients 1 --unsealed --one-tenant \
	--weather 100ms

# A claim whose answer is lost, an offer that times out, no memory for what was claimed, a
# member that comes back, or is lost, during the hand-over, a lease that ends in it, and
# half a hand-over that fails by another reason when it is repeated. While a region is handed
# over the mender leaves it alone (871). What a claimer returns while its key is being made
# goes back when it is there (1508). Nor does the mender touch what is being adopted: if that
# fails, only what was claimed is given back (9100046).
kept hands 'change hands' 34 75 37 417 7192 7136 871 1400000091 1508 9100046
# What was opened and returned before its key was there is opened again (6372), a reader's
# writer shares anew (237), a share ends (104), a reader that was told once, in vain, keeps
# what it read in quarantine (9300104). Of copies that writer and readers are cut off from: a
# key that died before the connection that it is used on (806), a roll that names only a copy
# that was out (280), and what was read of one that was left out (349).
kept share 'are shared' 6372 237 104 9300104 806 280 349
# The copy of a copy that lacks bytes, a lease that ends during the call, an appliance that
# begins again, and three of four copies away for so long that nothing could be copied.
kept copies 'are copied' 600 996 1612 1821 2193 2624 2300000759
# The first page of a region is discarded while others wait for their hold; a write to the table
# of seals that failed counts as done; a page that is lost was changed before. A write of who
# was silent for too long comes to what is kept, whose key is about to die (1749, 2767).
kept durable 'are made durable' 1400000829 1221 1459 1835 2922 3044 3125 1749 2767 2300000366

# Each access goes by the model of an interface, which says the same of it as the fabric.
check "40 seeds, with the model of an interface" \
	"$sim" --quiet --interface model --twice --runs 40

if [ -n "${CI:-}" ]; then
	first=${SEED:-1000000}
else
	first=${SEED:-$(date +%s)}
fi
runs=${RUNS:-200}
echo "$runs fresh seeds from $first on, twice each:"
report=$("$sim" --quiet --twice --seed "$first" --runs "$runs")
echo "$report"
bad=$(echo "$report" | sed -n 's/^seeds .* \([0-9]*\) failed$/\1/p')
passed=$((passed + runs - ${bad:-$runs}))
failed=$((failed + ${bad:-$runs}))
if [ "${bad:-1}" -ne 0 ]; then
	echo "Read one aloud: extmem-sim --seed N --trace (docs/TRACE.md)"
fi

# usage: fresh KIND WORDS
fresh() {
	"$sim" --quiet --kind "$1" --twice --seed "$first" --runs $((runs / 10)) \
		>"$scratch/fresh"
	verdict "$((runs / 10)) seeds in which regions $2, twice each" $?
	grep 'failed seeds' "$scratch/fresh"
}
fresh hands 'change hands'
fresh share 'are shared'
fresh copies 'are copied'
fresh durable 'are made durable'

# The snapshot machine has a world of its own, in which a seed takes 50 us.
"$sim" --quiet --kind snapshot --twice --seed "$first" --runs $((10 * runs)) \
	>"$scratch/past"
verdict "$((10 * runs)) seeds of the snapshot machine, twice each" $?

# And so do rows with parity; a seed takes 1 ms.
"$sim" --quiet --kind parity --twice --seed "$first" --runs "$runs" >"$scratch/rows"
verdict "$runs seeds of rows with parity, twice each" $?

never() {
	sed -n 's/^  \([a-z_]*\) *0 never$/\1/p' | sort
}

# Over so many seeds every kind of fault comes up; the rarest may take more.
missing=$(echo "$report" | never)
if [ "$runs" -ge 200 ] && [ -n "$missing" ]; then
	more=$("$sim" --quiet --seed "$((first + runs))" --runs 1000 | never)
	for kind in $missing; do
		if echo "$more" | grep -qx "$kind"; then
			verdict "a $kind in $((runs + 1000)) seeds" 1
		fi
	done
fi

summary
