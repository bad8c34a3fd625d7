// SPDX-License-Identifier: BSD-3-Clause
// usage: vector ADDRESS. A std::vector in external memory, by an allocator; C++11.
// A client and a region that end by themselves; objects of the region for the allocator.
#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <memory>
#include <new>
#include <numeric>
#include <stdexcept>
#include <string>
#include <vector>

#include <extmem.h>

static void check(int rc)
{
	if (rc < 0)
		throw std::runtime_error(extmem_error());
}

class Memory { // a client with one mapped region
public:
	Memory(const std::string &appliance, std::size_t size)
	{
		const std::string address = "appliance=" + appliance;
		const char *const settings[] = { address.c_str(), "local=4M", nullptr };
		void *base = nullptr;

		check(extmem_open(settings, &client_));
		owner_.reset(client_);
		check(extmem_region_alloc(client_, "vector", size, &region_));
		check(extmem_map(region_, 0, 0, &base));
		base_ = static_cast<char *>(base);
	}
	void *take(std::size_t size, std::size_t alignment)
	{
		std::uint64_t offset = 0;

		if (extmem_object_alloc(region_, size, alignment, &offset) < 0)
			throw std::bad_alloc();
		return base_ + offset;
	}
	void give(void *object)
	{
		extmem_object_free(region_, static_cast<char *>(object) - base_);
	}

private:
	struct Close {
		void operator()(extmem *client) const { extmem_close(client); }
	};
	std::unique_ptr<extmem, Close> owner_;
	extmem *client_ = nullptr;
	extmem_region *region_ = nullptr;
	char *base_ = nullptr;
};

template <class T> struct Allocator { // the memory must outlive every container
	typedef T value_type;
	Memory *memory;

	explicit Allocator(Memory &m) : memory(&m) {}
	template <class U> Allocator(const Allocator<U> &other) : memory(other.memory) {}
	T *allocate(std::size_t n)
	{
		return static_cast<T *>(memory->take(n * sizeof(T), alignof(T)));
	}
	void deallocate(T *p, std::size_t) { memory->give(p); }
};
template <class T, class U> bool operator==(const Allocator<T> &a, const Allocator<U> &b)
{
	return a.memory == b.memory;
}
template <class T, class U> bool operator!=(const Allocator<T> &a, const Allocator<U> &b)
{
	return !(a == b);
}

int main(int argc, char *argv[])
try {
	if (argc != 2)
		throw std::invalid_argument("usage: vector ofi+tcp://HOST:PORT");
	Memory memory(argv[1], 24 << 20);
	std::vector<int, Allocator<int>> numbers(2 << 20, 0, Allocator<int>(memory)); // 8 MiB

	std::iota(numbers.rbegin(), numbers.rend(), 0);
	std::sort(numbers.begin(), numbers.end());
	std::printf("%d is the last of %zu\n", numbers.back(), numbers.size());
	return numbers.back() != (2 << 20) - 1;
} catch (const std::exception &error) {
	std::fprintf(stderr, "vector: %s\n", error.what());
	return 1;
}
