/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * An ordinary C++ program for tests/run/programs.sh: many threads at once, each
 * with a std::map and a std::vector of its own, sorted; and one shared map
 * under a lock. What it prints does not depend on the order of threads.
 *
 *	run_cxx [THREADS [ELEMENTS]]
 */
#include <algorithm>
#include <condition_variable>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <unordered_map>
#include <vector>

static uint64_t mix(uint64_t x)
{
	x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
	return x ^ (x >> 31);
}

static std::mutex lock;
static std::condition_variable changed;
static unsigned filling;
static std::map<std::string, uint64_t> shared;

/* Until every thread has filled its own: then all is in use at once. */
static void await_others()
{
	std::unique_lock<std::mutex> held(lock);

	if (--filling == 0)
		changed.notify_all();
	changed.wait(held, [] { return filling == 0; });
}

static void work(unsigned number, size_t elements, uint64_t *ret)
{
	std::map<uint64_t, std::string> map;
	std::unordered_map<uint64_t, std::unique_ptr<uint64_t>> table;
	std::vector<uint64_t> numbers;
	uint64_t sum = 0;

	for (size_t i = 0; i < elements; i++) {
		uint64_t x = mix(number * UINT64_C(1000003) + i);

		map[x] = "element " + std::to_string(i) +
			 (i % 5 == 0 ? " which is too long to be inside" : "");
		numbers.push_back(x);
		table[x] = std::make_unique<uint64_t>(i);
	}
	await_others();
	std::sort(numbers.begin(), numbers.end());
	for (size_t i = 0; i < elements; i += 3) {
		map.erase(numbers[i]);
		table.erase(numbers[i]);
	}
	for (const auto &entry : map)
		sum = mix(sum ^ entry.first) + entry.second.size() +
		      *table.at(entry.first);
	for (size_t i = 0; i < elements; i += 64) {
		std::lock_guard<std::mutex> held(lock);

		shared["of thread " + std::to_string(number % 8)] += numbers[i];
	}
	*ret = sum;
}

int main(int argc, char *argv[])
{
	unsigned threads = argc > 1 ? (unsigned)atoi(argv[1]) : 64;
	size_t elements = argc > 2 ? (size_t)atoi(argv[2]) : 4000;
	std::vector<std::thread> running;
	std::vector<uint64_t> sums(threads);

	filling = threads;
	for (unsigned i = 0; i < threads; i++)
		running.emplace_back(work, i, elements, &sums[i]);
	for (auto &thread : running)
		thread.join();
	for (unsigned i = 0; i < threads; i++)
		printf("%u %016llx\n", i, (unsigned long long)sums[i]);
	for (const auto &entry : shared)
		printf("%s %016llx\n", entry.first.c_str(),
		       (unsigned long long)entry.second);
	return 0;
}
