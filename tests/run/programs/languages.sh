# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=sh
# Languages with a machine of their own.
all="$all perl perl_threads node node_objects lua ruby php octave r"
all="$all erlang guile ocaml go_cgo go_dynamic"

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

perl_threads_needs=perl
perl_threads_has() { perl -Mthreads -e 1 2>/dev/null; }
perl_threads_input() {
	cat >"$in/perl_threads" <<'END'
use threads;
my %table = map { ("key $_" => [$_ * 7919 % 10007, "value $_"]) } 1 .. 12000;
sub part {
	my ($n) = @_;
	my $sum = 0;
	for (sort keys %table) {
		my ($number, $text) = @{$table{$_}};
		next if $number % 3 != $n;
		$sum = ($sum * 31 + $number + length $text) % 1000000007;
		$table{$_}[1] = "seen $n $number";
	}
	return $sum;
}
my @threads = map { my $n = $_; threads->create(\&part, $n) } 0 .. 2;
print $_->join, "\n" for @threads;
print $table{"key 77"}[1], "\n";
END
}
perl_threads_() { $under perl "$in/perl_threads" >sums; }

# The heap proper of V8, with objects on it.
node_objects_needs=node
node_objects_most=1024M
node_objects_input() {
	cat >"$in/node_objects" <<'END'
let x = 12345, all = [], sum = 0;
const random = () => x = (Math.imul(x, 1103515245) + 12345) >>> 0;
for (let i = 0; i < 700000; i++) {
	const list = new Array(72).fill(i);
	list[i % 72] = random() & 0xffff;
	all.push({ key: random(), name: 'object ' + i, list, next: null });
}
for (let i = 1; i < all.length; i++) all[i - 1].next = all[i];
for (let o = all[0]; o; o = o.next)
	sum = (sum * 31 + o.key + o.name.length + o.list[o.key % 72]) % 1000003;
console.log(sum);
all = all.filter(o => o.key % 16 === 0).map(o => ({ k: o.key, n: o.name }));
all.sort((a, b) => a.k - b.k);
for (const o of all) sum = (sum * 31 + o.k + o.n.length) % 1000003;
console.log(all.length, sum);
END
}
node_objects_() {
	$under node --max-old-space-size=700 "$in/node_objects" >sums
}

lua_needs=lua5.4
lua_input() {
	cat >"$in/lua" <<'END'
collectgarbage("generational")
local t, sum = {}, 0
for i = 1, 40000 do
	t[i] = { key = i * 7919 % 100003, name = "item " .. i .. ("."):rep(i % 200) }
end
for i, v in ipairs(t) do sum = (sum * 31 + v.key + #v.name) % 1000000007 end
print(sum)
local keys, names = {}, {}
for i, v in ipairs(t) do keys[i] = v.key * 100000 + i end
table.sort(keys)
for i, k in ipairs(keys) do
	if i % 4 == 0 then names[#names + 1] = t[k % 100000].name end
end
print(#table.concat(names, ","), names[77])
END
}
lua_() { $under lua5.4 "$in/lua" >sums; }

ruby_needs=ruby
ruby_input() {
	cat >"$in/ruby" <<'END'
Row = Struct.new(:id, :key, :name)
rows = (1..60_000).map { |i| Row.new(i, i * 7919 % 100_003, "row #{i}") }
rows.sort_by! { |r| [r.key, r.id] }
sum = rows.reduce(0) { |s, r| (s * 31 + r.id + r.name.size) % 1_000_000_007 }
puts sum
groups = rows.group_by { |r| r.key % 997 }
puts groups.size, groups[7].map(&:name).join(",").size
table = {}
rows.each { |r| table[r.name] = r.key.to_s * 3 }
GC.start
puts table.size, table["row 77"]
END
}
ruby_() { $under ruby --disable-gems "$in/ruby" >sums; }

php_needs=php
php_input() {
	cat >"$in/php" <<'END'
<?php
ini_set('memory_limit', '1G');
$rows = [];
for ($i = 0; $i < 12000; $i++)
	$rows[] = ['id' => $i, 'key' => $i * 7919 % 10007,
		'name' => "row $i" . str_repeat('.', $i % 500)];
$keys = array_column($rows, 'key');
asort($keys);
$sum = 0;
foreach ($keys as $i => $k)
	$sum = ($sum * 31 + $rows[$i]['id'] + strlen($rows[$i]['name'])) % 1000000007;
echo $sum, "\n";
$names = array_column($rows, 'key', 'name');
ksort($names);
echo md5(json_encode($names)), "\n";
echo md5(serialize($rows)), "\n";
END
}
php_() { $under php -n "$in/php" >sums; }

octave_needs=octave-cli
octave_input() {
	cat >"$in/octave" <<'END'
rand("twister", 7);
a = floor(rand(700) * 100); b = floor(rand(900) * 100);
printf("%d\n", sum((a * b)(:)));
x = floor(rand(1, 1500000) * 1e9); y = sort(x);
printf("%d %d\n", y(1), y(750000));
c = cell(1, 15000);
for i = 1:15000, c{i} = sprintf("cell %d", mod(i * 7919, 10007)); end
[u, k] = unique(c); printf("%d %d\n", numel(u), sum(k));
END
}
octave_() { $under octave-cli --no-init-file --no-history "$in/octave" >sums; }

r_needs=R
r_input() {
	cat >"$in/r" <<'END'
set.seed(7)
d <- data.frame(k = sample(1000, 100000, TRUE), v = sample(1e6, 100000, TRUE))
d <- d[order(d$k, d$v), ]
cat(sum(as.numeric(d$v) * seq_len(nrow(d)) %% 1009), "\n")
a <- aggregate(v ~ k, d, max); cat(nrow(a), sum(a$v), "\n")
s <- paste0("name ", d$v %% 20011); t <- table(s)
cat(length(t), sum(t * seq_along(t)), "\n")
m <- matrix(as.numeric(sample(100, 250000, TRUE)), 500)
cat(sum(m %*% m), "\n")
END
}
r_() { $under R --vanilla --slave -f "$in/r" >sums; }

erlang_needs=erl
erlang_input() {
	cat >"$in/erlang" <<'END'
-module(erlang_run).
-export([main/0]).
part(N) ->
	L = [{I * 7919 rem 100003, I, integer_to_list(I)} || I <- lists:seq(N, 150000, 4)],
	lists:foldl(fun({K, I, S}, A) -> (A * 31 + K + I + length(S)) rem 1000000007 end,
		    0, lists:sort(L)).
main() ->
	T = ets:new(t, [ordered_set, public]),
	[ets:insert(T, {I * 7919 rem 100003, list_to_binary(integer_to_list(I))})
	 || I <- lists:seq(1, 100000)],
	Me = self(),
	[spawn(fun() -> Me ! {N, part(N)} end) || N <- [1, 2, 3, 4]],
	[receive {N, S} -> io:format("~p ~p~n", [N, S]) end || N <- [1, 2, 3, 4]],
	io:format("~p~n", [ets:foldl(fun({K, B}, A) ->
		(A * 31 + K + byte_size(B)) rem 1000000007 end, 0, T)]),
	halt(0).
END
	mkdir -p "$in/erlang.d" && cp "$in/erlang" "$in/erlang.d/erlang_run.erl" &&
		(cd "$in/erlang.d" && erlc erlang_run.erl)
}
# Its program, beam.smp, is begun by a script.
erlang_() {
	root=$(dirname "$(dirname "$(readlink -f "$(command -v erl)")")")
	bin=$(echo "$root"/erts-*/bin)
	BINDIR=$bin EMU=beam ROOTDIR=$root PROGNAME=erl \
		$under "$bin/erlexec" +S 2:2 -noinput -boot start_clean \
		-pa "$in/erlang.d" -s erlang_run main >sums
}

guile_needs=guile
guile_input() {
	cat >"$in/guile" <<'END'
(define table (make-hash-table))
(do ((i 0 (+ i 1))) ((= i 100000))
  (hash-set! table (string-append "key " (number->string i))
	     (list i (modulo (* i 7919) 100003))))
(define all (sort (hash-map->list (lambda (k v) v) table)
		  (lambda (a b) (< (cadr a) (cadr b)))))
(define sum 0)
(for-each (lambda (v)
	    (set! sum (modulo (+ (* sum 31) (car v) (cadr v)) 1000000007))) all)
(display sum) (newline)
(display (hash-ref table "key 77")) (newline)
END
}
guile_() { $under guile --no-auto-compile "$in/guile" >sums; }

ocaml_needs='ocamlopt gcc'
ocaml_input() {
	mkdir -p "$in/ocaml.d" && cat >"$in/ocaml.d/run.ml" <<'END' &&
module M = Map.Make (String)
let () =
  let m = ref M.empty and h = Hashtbl.create 1000 and sum = ref 0 in
  for i = 0 to 39_999 do
    m := M.add (Printf.sprintf "key %d" (i * 7919 mod 40_009)) i !m;
    Hashtbl.replace h i (string_of_int i)
  done;
  M.iter (fun k v -> sum := (!sum * 31 + String.length k + v) mod 1_000_000_007) !m;
  Printf.printf "%d %d\n" !sum (Hashtbl.length h);
  let l = Hashtbl.fold (fun k v l -> (k * 31 mod 100_003, v) :: l) h [] in
  List.iter (fun (k, v) -> sum := (!sum * 31 + k + String.length v) mod 1_000_000_007)
    (List.sort compare l);
  Printf.printf "%d\n" !sum
END
		(cd "$in/ocaml.d" && ocamlopt -o run run.ml)
}
ocaml_() { $under "$in/ocaml.d/run" >sums; }

# Go, linked with libc; and dynamically, with libc but without C of its own.
go_input() {
	mkdir -p "$in/$1.d" && cat >"$in/$1.d/main.go" <<'END' &&
package main

import (
	"fmt"
	"os/user"
	"runtime"
	"sort"
	"sync"
)

type item struct {
	key  int
	name string
	next *item
}

func main() {
	runtime.GOMAXPROCS(2)
	user.Current()
	table := map[string]*item{}
	for i := 0; i < 150000; i++ {
		n := fmt.Sprintf("item %d", i)
		table[n] = &item{i * 7919 % 100003, n, nil}
	}
	var all []*item
	for _, v := range table {
		all = append(all, v)
	}
	sort.Slice(all, func(a, b int) bool {
		if all[a].key != all[b].key {
			return all[a].key < all[b].key
		}
		return all[a].name < all[b].name
	})
	sum := 0
	for i, v := range all {
		sum = (sum*31 + v.key + len(v.name)) % 1000000007
		v.next = all[i*7%len(all)]
	}
	fmt.Println(sum, twice(sum))
	var group sync.WaitGroup
	sums := make([]int, 4)
	for n := range sums {
		group.Add(1)
		go func(n int) {
			defer group.Done()
			for i := n; i < len(all); i += 4 {
				s := []byte(all[i].next.name)
				sums[n] = (sums[n]*31 + len(s)*all[i].key) % 1000000007
			}
		}(n)
	}
	group.Wait()
	fmt.Println(sums)
}
END
		cat >"$in/$1.d/twice.go" &&
		(cd "$in/$1.d" && HOME=$in GOCACHE=$in/go.cache GOFLAGS=-mod=mod \
			GO111MODULE=off go build -o run .)
}
go_cgo_needs='go gcc'
go_cgo_input() {
	go_input go_cgo <<'END'
package main

// static int twice(int x) { return x * 2 % 1000003; }
import "C"

func twice(x int) int { return int(C.twice(C.int(x))) }
END
}
go_cgo_() { $under "$in/go_cgo.d/run" >sums; }
go_dynamic_needs='go gcc'
go_dynamic_input() {
	go_input go_dynamic <<'END'
package main

func twice(x int) int { return x * 2 % 1000003 }
END
}
go_dynamic_() { $under "$in/go_dynamic.d/run" >sums; }
