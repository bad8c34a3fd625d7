# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=sh
# Programs that read and write texts and files.
all="$all sort shuf diff gawk bc tar bash jq xmllint z3"

sort_needs=sort
sort_input() { text 150000 >"$in/sort"; }
sort_() { $under sort -S 32M --parallel=2 -o sorted "$in/sort"; }

shuf_needs=shuf
shuf_input() { text 200000 >"$in/shuf"; }
shuf_() { $under shuf --random-source="$in/shuf" "$in/shuf" >shuffled; }

diff_needs='diff awk'
diff_input() {
	text 200000 >"$in/diff.1"
	awk '{ $2 = $2 * 7 % 1000003; print }' "$in/diff.1" >"$in/diff.2"
}
diff_() {
	$under diff --speed-large-files "$in/diff.1" "$in/diff.2" >differences
	[ $? -eq 1 ]
}

gawk_needs=gawk
gawk_input() { text 24000 >"$in/gawk"; }
gawk_() {
	$under gawk '{ seen[$2 "-" NR] = $0; count[$NF]++; sum[$1] += $2 }
		END { n = asorti(seen, order)
			for (i = 1; i <= n; i += 97) print order[i], seen[order[i]]
			m = asorti(count, names)
			for (i = 1; i <= m; i++) print names[i], count[names[i]]
			k = asorti(sum, letters)
			for (i = 1; i <= k; i++) print letters[i], sum[letters[i]]
		}' "$in/gawk" >counts
}

bc_needs=bc
# A million digits, and sums and remainders of such numbers; a product of fewer.
bc_input() {
	{
		awk 'BEGIN {
			printf "x = 7"
			for (i = 1; i < 1000000; i++) {
				r = (r * 1103515245 + 12345) % 2147483648
				printf "%d%s", int(r / 65536) % 10,
					i % 60 ? "" : "\\\n"
			}
			print ""
		}'
		cat <<'END'
length(x)
for (i = 0; i < 30; i++) a[i] = x + i * i
for (i = 0; i < 30; i++) a[i] = a[i] + a[29 - i]
s = 0
for (i = 0; i < 30; i++) s = s + a[i]
for (i = 0; i < 30; i += 10) { length(a[i]); a[i] % 1000000007 }
s
7 ^ 30000 * 11 ^ 20000
quit
END
	} >"$in/bc"
}
bc_() { $under bc "$in/bc" </dev/null >digits; }

tar_needs=tar
tar_input() {
	mkdir "$in/tar" && text 150000 | split -l 300 - "$in/tar/part." &&
		text 300000 >"$in/tar/large"
}
tar_() {
	$under tar -b 40000 --sort=name --mtime=@0 --owner=0 --group=0 \
		-C "$in" -cf archive tar && tar -tf archive >list
}

bash_needs=bash
bash_input() {
	cat >"$in/bash" <<'END'
declare -A count
declare -a lines
mapfile -t lines < "$1"
for line in "${lines[@]}"; do
	set -- $line
	count[$1]=$(( ${count[$1]:-0} + $2 % 1000 ))
done
for k in "${!count[@]}"; do echo "$k ${count[$k]}"; done | sort
( echo "${#lines[@]} ${lines[100]}" )
x=$(for i in 1 500 20000; do echo "${lines[i]}"; done | wc -c)
echo "$x"
END
	text 60000 >"$in/bash.text"
}
bash_() { $under bash "$in/bash" "$in/bash.text" >counts; }

jq_needs=jq
jq_input() {
	awk 'BEGIN {
		print "["
		for (i = 0; i < 10000; i++)
			printf "%s{\"id\": %d, \"key\": %d, \"name\": \"row %d\", \"list\": [%d, %d]}\n",
				i ? "," : "", i, i * 7919 % 10007, i, i + 1, i * 3
		print "]"
	}' >"$in/jq"
}
jq_() {
	$under jq 'sort_by(.key, -.id) | group_by(.key % 97) |
		map({n: length, sum: (map(.id) | add), last: .[-1].name})' \
		"$in/jq" >groups
}

xmllint_needs=xmllint
xmllint_input() {
	awk 'BEGIN {
		print "<?xml version=\"1.0\"?><all>"
		for (i = 0; i < 24000; i++)
			printf "<item id=\"%d\" key=\"%d\"><name>row %d</name><v>%d</v></item>\n",
				i, i * 7919 % 10007, i, i * 3
		print "</all>"
	}' >"$in/xmllint"
}
xmllint_() {
	$under xmllint --format "$in/xmllint" >formatted &&
		$under xmllint --xpath 'count(//item[@key > 5000]/v[. mod 2 = 1])' \
			"$in/xmllint" >count
}

z3_needs=z3
z3_input() {
	awk 'BEGIN {
		print "(set-option :smt.random_seed 7)"
		for (i = 0; i < 40; i++)
			printf "(declare-const x%d (_ BitVec 16))\n", i
		for (i = 0; i < 37; i++)
			printf "(assert (= (bvmul (bvadd x%d #x%04x) x%d) (bvxor x%d #x%04x)))\n",
				i, i * 7919 % 65536, i + 1, i + 2, i * 31 % 65536
		print "(assert (bvugt x3 #x0100))\n(check-sat)\n(eval x7)"
	}' >"$in/z3"
}
z3_() { $under z3 "$in/z3" >model; }
