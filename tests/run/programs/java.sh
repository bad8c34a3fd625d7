# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=sh
# Java: a heap of a GiB, with each of two collectors.
all="$all java_sort_g1 java_sort_serial java_map_g1 java_map_serial"

java_has() {
	command -v javac >/dev/null && java -version 2>/dev/null
}
java_input() {
	mkdir -p "$in/java" && cat >"$in/java/Sort.java" <<'END' &&
import java.util.*;
public class Sort {
	public static void main(String[] a) {
		Random r = new Random(7);
		long[] x = new long[6_000_000];
		for (int i = 0; i < x.length; i++) x[i] = r.nextLong();
		Arrays.sort(x);
		long h = 0;
		for (long v : x) h = h * 31 + v;
		System.out.println(h);
		List<Long> list = new ArrayList<>();
		for (int i = 0; i < 300_000; i++) list.add(x[i * 7] ^ i);
		Collections.sort(list);
		for (long v : list) h = h * 31 + v;
		System.out.println(h);
	}
}
END
		cat >"$in/java/Table.java" <<'END' &&
import java.util.*;
public class Table {
	public static void main(String[] a) {
		Map<Integer, String> m = new HashMap<>();
		for (int i = 0; i < 400_000; i++)
			m.put(i * 7919, "value " + i + " of a table");
		for (int i = 0; i < 400_000; i += 3) m.remove(i * 7919);
		for (int i = 0; i < 400_000; i += 5) m.put(i * 7919, "again " + i);
		long h = 0;
		for (int i = 0; i < 400_000; i++) {
			String s = m.get(i * 7919);
			h = h * 31 + (s == null ? 7 : s.hashCode());
		}
		System.out.println(m.size() + " " + h);
	}
}
END
		javac -d "$in/java" "$in"/java/*.java
}
java_run() { $under java -Xms1g -Xmx1g -cp "$in/java" "$@" >sums; }

for java_program in sort map; do
	for java_collector in g1 serial; do
		java_name=java_${java_program}_$java_collector
		eval "${java_name}_needs='java javac' ${java_name}_most=1536M
			${java_name}_has() { java_has; }
			${java_name}_input() { java_input; }"
	done
done
java_sort_g1_() { java_run -XX:+UseG1GC Sort; }
java_sort_serial_() { java_run -XX:+UseSerialGC Sort; }
java_map_g1_() { java_run -XX:+UseG1GC Table; }
java_map_serial_() { java_run -XX:+UseSerialGC Table; }
