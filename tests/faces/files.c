/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * usage: files FOLDER SECONDS [SEED [PROCESSES]]
 *
 * Random operations on files of a folder, each against a shadow of its own in memory, in
 * several processes: reads and writes, loads and stores of shared and private mappings,
 * truncation, holes, zeroed ranges, allocation, and all that makes the kernel forget what
 * it has. It knows nothing of extmem: any file system must pass. Prints the last
 * operations and ends 1 when a byte is wrong or a call fails.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define SIZE_MAX_FILE (512 * 1024)
#define NOTES 12

static uint8_t shadow[SIZE_MAX_FILE], bytes[SIZE_MAX_FILE + 8];
static size_t size_now;
static char name[4096], other_name[4096];
static int fd = -1;
static uint64_t word;
static uint64_t done;

static char notes[NOTES][96];
static unsigned notes_count;

static void note(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(notes[notes_count++ % NOTES], sizeof(notes[0]), format, arguments);
	va_end(arguments);
}

static void fail(const char *format, ...)
{
	va_list arguments;

	fprintf(stderr, "%s, after %" PRIu64 " operations: ", name, done);
	va_start(arguments, format);
	vfprintf(stderr, format, arguments);
	va_end(arguments);
	fprintf(stderr, "\n");
	for (unsigned i = notes_count > NOTES ? notes_count - NOTES : 0;
	     i < notes_count; i++)
		fprintf(stderr, "    %s\n", notes[i % NOTES]);
	exit(1);
}

static void must(bool good, const char *what)
{
	if (!good)
		fail("%s: %s", what, strerror(errno));
}

static uint64_t draw(uint64_t limit)
{
	word ^= word << 13;
	word ^= word >> 7;
	word ^= word << 17;
	return limit > 0 ? word % limit : 0;
}

/* Small ranges, large ones, and such that end at pages. */
static size_t draw_size(size_t most)
{
	static const size_t limits[] = { 16, 4096, 70000, SIZE_MAX_FILE };
	size_t size = 1 + draw(limits[draw(4)]);

	if (draw(4) == 0)
		size = (size + 4095) & ~(size_t)4095;
	return size < most ? size : most;
}

static size_t draw_offset(size_t limit)
{
	size_t offset = draw(limit);

	return draw(4) == 0 ? offset & ~(size_t)4095 : offset;
}

/* No byte is zero. */
static void fill(size_t size)
{
	for (size_t i = 0; i < size; i += sizeof(word)) {
		uint64_t eight = (draw(0), word | UINT64_C(0x0101010101010101));

		memcpy(bytes + i, &eight, sizeof(eight));
	}
}

static void compare(const uint8_t *found, size_t offset, size_t size, const char *by)
{
	if (memcmp(found, shadow + offset, size) == 0)
		return;
	for (size_t i = 0; i < size; i++)
		if (found[i] != shadow[offset + i])
			fail("%s: byte %zu of [%zu, +%zu), size %zu, is %02x, "
			     "must be %02x", by, offset + i, offset, size,
			     size_now, found[i], shadow[offset + i]);
}

/* --- operations ------------------------------------------------------------------------- */

static void grow_to(size_t size)
{
	if (size > size_now)
		size_now = size;
}

static void do_write(void)
{
	size_t offset = draw_offset(SIZE_MAX_FILE);
	size_t size = draw_size(SIZE_MAX_FILE - offset);

	note("write [%zu, +%zu), size %zu", offset, size, size_now);
	fill(size);
	must(pwrite(fd, bytes, size, (off_t)offset) == (ssize_t)size, "pwrite");
	memcpy(shadow + offset, bytes, size);
	grow_to(offset + size);
}

static void do_read(void)
{
	size_t offset = draw_offset(size_now + 1);
	size_t size = draw_size(SIZE_MAX_FILE);
	size_t there = size < size_now - offset ? size : size_now - offset;

	note("read [%zu, +%zu), size %zu", offset, size, size_now);
	must(pread(fd, bytes, size, (off_t)offset) == (ssize_t)there, "pread");
	compare(bytes, offset, there, "read");
}

static uint8_t *map(int flags)
{
	uint8_t *memory = mmap(NULL, size_now, PROT_READ | PROT_WRITE, flags, fd, 0);

	must(memory != MAP_FAILED, "mmap");
	return memory;
}

static void do_load(void)
{
	size_t offset = draw_offset(size_now);
	size_t size = draw_size(size_now - offset);
	int flags = draw(2) != 0 ? MAP_SHARED : MAP_PRIVATE;
	uint8_t *memory;

	if (size_now == 0)
		return;
	note("load [%zu, +%zu) %s", offset, size,
	     flags == MAP_SHARED ? "shared" : "private");
	memory = map(flags);
	compare(memory + offset, offset, size, "load");
	if (flags == MAP_PRIVATE)
		memset(memory + offset, 0xee, size); /* nobody else's */
	munmap(memory, size_now);
}

static void do_store(void)
{
	size_t offset = draw_offset(size_now);
	size_t size = draw_size(size_now - offset);
	uint8_t *memory;

	if (size_now == 0)
		return;
	note("store [%zu, +%zu), size %zu", offset, size, size_now);
	fill(size);
	memory = map(MAP_SHARED);
	memcpy(memory + offset, bytes, size);
	if (draw(4) == 0)
		must(msync(memory, size_now, MS_SYNC) == 0, "msync");
	munmap(memory, size_now);
	memcpy(shadow + offset, bytes, size);
}

static void do_truncate(void)
{
	size_t size = draw_offset(SIZE_MAX_FILE + 1);

	note("truncate %zu to %zu", size_now, size);
	must(ftruncate(fd, (off_t)size) == 0, "ftruncate");
	if (size < size_now)
		memset(shadow + size, 0, size_now - size);
	size_now = size;
}

static void do_allocate(void)
{
	static const int modes[] = {
		FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, FALLOC_FL_ZERO_RANGE,
		FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE, 0, FALLOC_FL_KEEP_SIZE,
	};
	size_t offset = draw_offset(SIZE_MAX_FILE);
	size_t size = draw_size(SIZE_MAX_FILE - offset);
	int mode = modes[draw(5)];

	note("fallocate %d [%zu, +%zu), size %zu", mode, offset, size, size_now);
	if (fallocate(fd, mode, (off_t)offset, (off_t)size) != 0) {
		must(errno == EOPNOTSUPP, "fallocate");
		return;
	}
	if ((mode & (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE)) != 0)
		memset(shadow + offset, 0, size);
	if ((mode & FALLOC_FL_KEEP_SIZE) == 0)
		grow_to(offset + size);
}

static void do_sync(void)
{
	note("fsync");
	must(fsync(fd) == 0, "fsync");
}

/* What comes next comes from the file system, not from the page cache. */
static void do_drop(void)
{
	note("fsync, drop");
	must(fsync(fd) == 0, "fsync");
	must(posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED) == 0, "fadvise");
}

static void do_reopen(void)
{
	struct stat st;

	note("close, rename, open");
	must(close(fd) == 0, "close");
	if (draw(2) != 0)
		must(rename(name, other_name) == 0 && rename(other_name, name) == 0,
		     "rename");
	fd = open(name, O_RDWR | O_CLOEXEC);
	must(fd >= 0, "open");
	must(fstat(fd, &st) == 0 && (size_t)st.st_size == size_now, "size");
}

/* As a program that saves a file again. */
static void do_rewrite(void)
{
	note("open to rewrite, size %zu", size_now);
	must(close(fd) == 0, "close");
	fd = open(name, O_RDWR | O_TRUNC | O_CLOEXEC);
	must(fd >= 0, "open");
	memset(shadow, 0, size_now);
	size_now = 0;
}

static void do_all(void)
{
	note("read all");
	must(pread(fd, bytes, SIZE_MAX_FILE, 0) == (ssize_t)size_now, "pread");
	compare(bytes, 0, size_now, "read");
}

static int run(const char *folder, unsigned process, time_t end)
{
	static void (*const operations[])(void) = {
		do_write, do_write, do_write, do_read, do_read, do_read, do_load,
		do_load, do_store, do_store, do_truncate, do_allocate, do_allocate,
		do_sync, do_drop, do_reopen, do_rewrite, do_all,
	};

	snprintf(name, sizeof(name), "%s/file.%u", folder, process);
	snprintf(other_name, sizeof(other_name), "%s/other.%u", folder, process);
	fd = open(name, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	must(fd >= 0, "open");
	for (; time(NULL) < end; done++)
		operations[draw(sizeof(operations) / sizeof(operations[0]))]();
	do_drop();
	do_all();
	must(unlink(name) == 0, "unlink");
	do_all(); /* it lives as long as it is open */
	must(close(fd) == 0, "close");
	return 0;
}

int main(int argc, char **argv)
{
	uint64_t seed = argc > 3 ? strtoull(argv[3], NULL, 10) : (uint64_t)time(NULL);
	unsigned processes = argc > 4 ? (unsigned)atoi(argv[4]) : 3;
	time_t end = time(NULL) + (argc > 2 ? atoi(argv[2]) : 3);
	int failed = 0;

	if (argc < 2) {
		fprintf(stderr, "usage: files FOLDER SECONDS [SEED [PROCESSES]]\n");
		return 2;
	}
	for (unsigned i = 0; i < processes; i++) {
		if (fork() != 0)
			continue;
		word = (seed * 1000 + i + 1) * UINT64_C(0x9e3779b97f4a7c15);
		run(argv[1], i, end);
		printf("%s: %" PRIu64 " operations\n", name, done);
		return 0;
	}
	for (unsigned i = 0; i < processes; i++) {
		int status;

		wait(&status);
		failed |= status;
	}
	if (failed != 0)
		fprintf(stderr, "seed %" PRIu64 "\n", seed);
	return failed != 0;
}
