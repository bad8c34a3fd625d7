# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=sh
# Languages with a machine of their own.
all="$all perl node"

perl_needs=perl
perl_input() {
	cat >"$in/perl" <<'END'
my (%value, @list);
$value{"key $_"} = "value " . ($_ * 7919 % 200003) for 1 .. 24000;
push @list, { name => $_, length => length $value{$_} }
	for sort keys %value;
my $sum = 0;
for my $item (sort { $a->{length} <=> $b->{length} or
		     $b->{name} cmp $a->{name} } @list) {
	$sum = ($sum * 31 + $item->{length} + ord substr $item->{name}, -1)
		% 1000000007;
}
print "$sum\n";
my $text = join ',', map { $value{$_} } sort keys %value;
$text =~ s/value (\d)/<$1>/g;
print length($text), " ", unpack("%32C*", $text), "\n";
END
}
perl_() { $under perl "$in/perl" >sums; }

node_needs=node
node_input() {
	cat >"$in/node" <<'END'
const crypto = require('crypto'), fs = require('fs');
let x = 12345;
const random = () => x = (Math.imul(x, 1103515245) + 12345) >>> 0;
const numbers = new Float64Array(3000000);
for (let i = 0; i < numbers.length; i++) numbers[i] = random();
numbers.sort();
const bytes = Buffer.from(numbers.buffer);
console.log(crypto.createHash('sha256').update(bytes).digest('hex'));
const buffers = [];
for (let i = 0; i < 200; i++) {
	const b = Buffer.alloc(150000);
	for (let k = 0; k < b.length; k += 7) b[k] = random() & 255;
	buffers.push(b);
}
const all = Buffer.concat(buffers);
fs.writeFileSync('buffers', all);
const back = fs.readFileSync('buffers');
console.log(all.equals(back), back.length,
	crypto.createHash('sha1').update(back).digest('hex'));
const map = new Map();
for (let i = 0; i < 100000; i++) map.set('key' + i, { value: random() });
let sum = 0;
for (const [key, { value }] of map) sum = (sum + value + key.length) % 1000003;
console.log(sum);
require('zlib').deflate(all, (error, packed) => {
	console.log(error, crypto.createHash('sha1').update(packed).digest('hex'));
});
END
}
node_() { $under node "$in/node" >sums; }
