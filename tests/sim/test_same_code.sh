#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# Nothing is re-implemented in the simulator. Its library is made of the very
# object files, byte by byte, that libextmem and extmemd are made of, all but
# the skin and the transports, and of the device of transports/model; its own
# objects define no function of theirs, but those of the skin, whose place they
# take.
. "$XM_SRCDIR/tests/support/count.sh"

library() {
	echo "$XM_BUILDDIR/.libs/libxm_$1.a"
}

# A line for each member of libraries: its name and the sum of its bytes.
members() { # LIBRARY...
	for l in "$@"; do
		ar t "$(library "$l")" | while read -r member; do
			echo "$member $(ar p "$(library "$l")" "$member" |
				cksum)"
		done
	done | sort
}

# The functions and variables that object files define for others.
names() { # FILE...
	nm -g --defined-only "$@" 2>/dev/null | awk 'NF == 3 { print $3 }' |
		sort -u
}

for l in ground first client service device skin transports whole world; do
	if [ ! -f "$(library "$l")" ]; then
		echo "no library $(library "$l"): run make first" >&2
		exit 1
	fi
done
members ground first client service device >"$scratch/both"
members ground first client >"$scratch/client"
members world >"$scratch/world"
members whole >"$scratch/whole"

check "there is something to compare" test "$(wc -l <"$scratch/both")" -gt 20
check "no two members have one name" \
	test -z "$(cut -d' ' -f1 "$scratch/both" | uniq -d)"
grep -v '^libxm_world_la-' "$scratch/world" | cmp -s - "$scratch/both"
check "the simulator has the object files of both, and no other" test $? -eq 0
members skin transports | sort - "$scratch/client" | cmp -s - "$scratch/whole"
check "libextmem has the same, and the skin" test $? -eq 0

(
	cd "$scratch" && ar x "$(library world)" &&
		names libxm_world_la-*.o >simulated
)
names "$(library ground)" "$(library first)" "$(library client)" \
	"$(library service)" "$(library device)" >"$scratch/produced"
names "$(library skin)" >"$scratch/skin"
check "the simulator defines none of their functions anew" \
	test -z "$(comm -12 "$scratch/simulated" "$scratch/produced")"
check "it takes the place of the skin" \
	test -n "$(comm -12 "$scratch/simulated" "$scratch/skin")"
check "the libraries define none of the skin's functions" \
	test -z "$(comm -12 "$scratch/produced" "$scratch/skin")"

summary
