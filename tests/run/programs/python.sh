# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=sh
# Python.
all="$all python numpy fork_python pandas"

python_needs=$python
python_input() {
	cat >"$in/python" <<'END'
import hashlib, random, json
random.seed(7)
rows = [(random.randrange(2000), random.random(), "name%d" % i)
        for i in range(24000)]
groups = {}
for key, value, name in rows:
    groups.setdefault(key, []).append((value, name))
for key in sorted(groups)[::50]:
    g = groups[key]
    print(key, len(g), "%.9f" % sum(v for v, _ in g), max(g)[1])
text = json.dumps(rows)
back = json.loads(text)
back.sort(key=lambda r: (r[1], r[2]))
print(hashlib.sha256(repr(back).encode()).hexdigest())
END
}
python_() { $under $python "$in/python" >groups; }

numpy_needs=$python
numpy_has() { $python -c 'import numpy' 2>/dev/null; }
numpy_input() {
	cat >"$in/numpy" <<'END'
import hashlib, numpy as np
rng = np.random.default_rng(7)
a = rng.integers(0, 1000, (900, 900)).astype(np.float64)
b = rng.integers(0, 1000, (900, 900)).astype(np.float64)
c = a @ b                       # exact: all below 2 ** 53
print("product", int(c.sum()), hashlib.sha256(c.tobytes()).hexdigest())
x = rng.integers(0, 1 << 60, 3_000_000)
y = np.sort(x)
print("sort", hashlib.sha256(y.tobytes()).hexdigest())
keys = rng.integers(0, 5000, 1_000_000)
values = rng.integers(0, 1 << 20, 1_000_000)
order = np.argsort(keys, kind="stable")
k, v = keys[order], values[order]
starts = np.flatnonzero(np.r_[True, k[1:] != k[:-1]])
sums = np.add.reduceat(v, starts)
print("groups", len(sums), int(sums.sum()),
      hashlib.sha256(sums.tobytes()).hexdigest())
y.tofile("numbers")
print("file", int(np.fromfile("numbers", dtype=np.int64)[::1000].sum() % 997))
END
}
numpy_() { $under $python "$in/numpy" >arrays; }

# Children that read what the parent had when it forked, while it goes on.
fork_python_needs=$python
fork_python_input() {
	cat >"$in/fork_python" <<'END'
import multiprocessing, hashlib, os
rows = ["row %d of many %d" % (i, i * 7919 % 10007) for i in range(150000)]
def part(n):
    h = hashlib.sha256()
    for row in rows[n::8]:
        h.update(row.encode())
    return n, h.hexdigest()
if __name__ == "__main__":
    with multiprocessing.get_context("fork").Pool(4) as pool:
        waiting = pool.map_async(part, range(8))
        rows = [r[::-1] for r in rows]
        for n, digest in waiting.get():
            print(n, digest)
    print(hashlib.sha256("".join(rows).encode()).hexdigest())
END
}
fork_python_() { $under $python "$in/fork_python" >digests; }

pandas_needs=$python
pandas_has() { $python -c 'import pandas' 2>/dev/null; }
pandas_input() {
	cat >"$in/pandas" <<'END'
import numpy as np, pandas as pd
rng = np.random.default_rng(7)
n = 100_000
d = pd.DataFrame({"k": rng.integers(0, 500, n), "v": rng.integers(0, 1 << 20, n),
                  "s": np.char.add("name ", rng.integers(0, 5000, n).astype(str))})
g = d.groupby("k").v.agg(["sum", "max", "count"])
print(g.iloc[::50])
m = d.merge(g.reset_index(), on="k").sort_values(["v", "k", "s"])
print(m.iloc[::5000])
p = d.pivot_table(index=d.k % 10, columns=d.v % 7, values="v", aggfunc="sum")
print(p)
m.to_csv("table.csv", index=False)
print(pd.read_csv("table.csv").describe())
END
}
pandas_() { $under $python "$in/pandas" >tables; }
