/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Sealed regions at real appliances: what they hold is not what was written, and what is
 * changed there, in the memory of their processes, never becomes a value.
 */
#include "tests/support/appliance.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/support/cunit.h"

#define REGION (4 * MIB)
#define PAGES (REGION / PAGE)

static struct appliance all[2];
static extmem *x;
static extmem_region *region;
static uint8_t shadow[REGION], buffer[REGION];

/* False: nothing here can seal, and the library says so. */
static bool begin(unsigned count, const char *seal)
{
	char texts[2][160];
	const char *settings[6] = { "local=2M", seal };
	int rc;

	for (unsigned i = 0; i < count; i++) {
		CU_ASSERT_FATAL(appliance_start(&all[i], LOOPBACK, "16M", NULL));
		snprintf(texts[i], sizeof(texts[i]), "appliance=%s",
			 all[i].address);
		settings[2 + i] = texts[i];
	}
	if (count > 1)
		settings[2 + count] = "strategy=mirror 2";
	rc = extmem_open(settings, &x);
	if (rc == -ENOSYS) {
		printf("left out: %s\n", extmem_error());
		for (unsigned i = 0; i < count; i++)
			appliance_kill(&all[i]);
		return false;
	}
	CU_ASSERT_EQUAL_FATAL(rc, 0);
	CU_ASSERT_EQUAL_FATAL(extmem_region_alloc(x, "sealed", REGION, &region),
			      0);
	memset(shadow, 0, sizeof(shadow));
	return true;
}

static void end(unsigned count)
{
	extmem_close(x);
	for (unsigned i = 0; i < count; i++)
		appliance_kill(&all[i]);
}

/* --- any access -------------------------------------------------------------------- */

static uint64_t draw(uint64_t *word, uint64_t limit)
{
	*word = *word * UINT64_C(6364136223846793005) +
		UINT64_C(1442695040888963407);
	return (*word >> 33) % limit;
}

static void fill(uint8_t *bytes, uint64_t size, uint64_t seed)
{
	for (uint64_t i = 0; i < size; i++)
		bytes[i] = (uint8_t)(seed + i * 37 + (i >> 8));
}

static void odd_access(bool mapped)
{
	uint64_t word = 4711;
	void *memory = NULL;

	if (mapped)
		CU_ASSERT_EQUAL_FATAL(extmem_map(region, 0, 0, &memory), 0);
	for (unsigned i = 0; i < 600; i++) {
		static const uint64_t limits[] = { 17, 5000, 70000, 400000 };
		uint64_t size = 1 + draw(&word, limits[draw(&word, 4)]);
		uint64_t offset = draw(&word, REGION - size + 1);
		unsigned what = (unsigned)draw(&word, mapped ? 4 : 2);

		if (what % 2 == 1)
			fill(shadow + offset, size, i);
		switch (what) {
		case 0:
			CU_ASSERT_EQUAL_FATAL(extmem_read(region, offset, buffer,
							  size), 0);
			CU_ASSERT_EQUAL_FATAL(memcmp(buffer, shadow + offset,
						     size), 0);
			break;
		case 1:
			CU_ASSERT_EQUAL_FATAL(extmem_write(region, offset,
							   shadow + offset,
							   size), 0);
			break;
		case 2:
			CU_ASSERT_EQUAL_FATAL(memcmp((uint8_t *)memory + offset,
						     shadow + offset, size), 0);
			break;
		default:
			memcpy((uint8_t *)memory + offset, shadow + offset, size);
		}
	}
	CU_ASSERT_EQUAL(extmem_read(region, 0, buffer, REGION), 0);
	CU_ASSERT_EQUAL(memcmp(buffer, shadow, REGION), 0);
}

static void any_access_agrees(void)
{
	for (unsigned mapped = 0; mapped < 2; mapped++) {
		if (!begin(1, "seal=all"))
			return;
		odd_access(mapped != 0);
		end(1);
	}
}

/* --- the memory of an appliance's process --------------------------------------------- */

typedef uint64_t look(uint8_t *bytes, uint64_t size, const void *context);

/* A page of a file can be mapped at several addresses: true for the first of them. */
static uint64_t keys[1 << 15];

static bool is_first(uint64_t file, uint64_t offset)
{
	uint64_t key = file << 24 | offset / PAGE << 1 | 1;
	uint64_t i = key * UINT64_C(0x9e3779b97f4a7c15) >> 49;

	for (unsigned n = 0; n < 1 << 15; n++, i = (i + 1) % (1 << 15)) {
		if (keys[i] == key)
			return false;
		if (keys[i] == 0) {
			keys[i] = key;
			return true;
		}
	}
	return false;
}

/* Sums what look() says of each piece of the process's memory, or of its pool alone. What
 * it changes is written back. -1: we may not look. */
static int64_t memory_look(pid_t pid, bool pool, look *function,
			   const void *context)
{
	char path[64], line[512];
	int64_t sum = 0;
	FILE *maps;
	int fd;

	memset(keys, 0, sizeof(keys));
	snprintf(path, sizeof(path), "/proc/%d/mem", (int)pid);
	fd = open(path, O_RDWR);
	snprintf(path, sizeof(path), "/proc/%d/maps", (int)pid);
	maps = fopen(path, "r");
	if (fd < 0 || maps == NULL)
		return -1;
	while (fgets(line, sizeof(line), maps) != NULL) {
		bool is_pool = strstr(line, "extmem-bank") != NULL;
		unsigned long long from, to, offset, file, most;
		char rights[8];

		if (sscanf(line, "%llx-%llx %7s %llx %*s %llu", &from, &to, rights,
			   &offset, &file) != 5 ||
		    (pool && !is_pool) || (pool && rights[1] != 'w'))
			continue;
		most = pool ? PAGE : sizeof(buffer);
		for (; from < to; from += most, offset += most) {
			uint64_t size = to - from < most ? to - from : most;
			uint64_t found;

			if (pool && !is_first(file, offset))
				continue;
			if (pread(fd, buffer, size, (off_t)from) !=
			    (ssize_t)size)
				continue;
			found = function(buffer, size, context);
			sum += (int64_t)found;
			if (pool && found > 0 &&
			    pwrite(fd, buffer, size, (off_t)from) !=
				    (ssize_t)size)
				return -1;
		}
	}
	fclose(maps);
	close(fd);
	return sum;
}

#define MARKER 16

static uint64_t count_markers(uint8_t *bytes, uint64_t size, const void *marker)
{
	uint64_t count = 0;

	for (uint64_t i = 0; i + MARKER <= size; i += MARKER)
		count += memcmp(bytes + i, marker, MARKER) == 0;
	return count;
}

/* How often the marker is in the memory of all processes of the appliance. */
static int64_t markers(const struct appliance *a, const uint8_t *marker)
{
	int64_t control = memory_look(a->control, false, count_markers, marker);
	int64_t other = a->interface == a->control
				? 0
				: memory_look(a->interface, false, count_markers,
					      marker);

	return control < 0 || other < 0 ? -1 : control + other;
}

static void a_marker(const char *seal, bool found)
{
	uint8_t marker[MARKER];
	int64_t count;
	void *memory;

	if (!begin(1, seal))
		return;
	for (unsigned i = 0; i < MARKER; i++)
		marker[i] = (uint8_t)(0xa1 + 29 * i);
	for (uint64_t i = 0; i < REGION; i += MARKER)
		memcpy(shadow + i, marker, MARKER);
	CU_ASSERT_EQUAL_FATAL(extmem_map(region, 0, 0, &memory), 0);
	memcpy(memory, shadow, REGION / 2);
	CU_ASSERT_EQUAL(extmem_sync(region, 0, 0), 0);
	CU_ASSERT_EQUAL(extmem_write(region, REGION / 2, shadow + REGION / 2,
				     REGION / 2), 0);
	count = markers(&all[0], marker);
	if (count < 0)
		printf("left out: we may not look into the appliance\n");
	else
		CU_ASSERT_TRUE(found ? count > 100000 : count == 0);
	CU_ASSERT_EQUAL(memcmp(memory, shadow, REGION), 0);
	end(1);
}

static void a_marker_is_nowhere_at_the_appliance(void)
{
	a_marker("seal=all", false);
}

static void without_seals_it_is_found(void)
{
	a_marker("seal=no", true);
}

/* --- tampering --------------------------------------------------------------------- */

/* One bit of each page that looks sealed. */
static uint64_t flip(uint8_t *bytes, uint64_t size, const void *context)
{
	uint64_t count = 0;

	(void)context;
	for (uint64_t page = 0; page + PAGE <= size; page += PAGE) {
		bool seen[256] = { false };
		unsigned kinds = 0;

		for (unsigned i = 0; i < PAGE; i++) {
			kinds += !seen[bytes[page + i]];
			seen[bytes[page + i]] = true;
		}
		if (kinds < 250)
			continue;
		bytes[page + kinds % PAGE] ^= 4;
		count++;
	}
	return count;
}

/* Also all pages are read explicitly, and not kept here. */
static bool written_and_tampered(unsigned count)
{
	fill(shadow, REGION, 5);
	for (uint64_t i = 0; i < REGION; i += PAGE) /* no page is like another */
		memcpy(shadow + i, &i, sizeof(i));
	CU_ASSERT_EQUAL(extmem_write(region, 0, shadow, REGION), 0);
	if (memory_look(all[0].interface, true, flip, NULL) < (int64_t)PAGES) {
		printf("left out: we may not change the appliance's memory\n");
		end(count);
		return false;
	}
	return true;
}

static void what_was_tampered_with_is_lost_in_words(void)
{
	struct extmem_stats stats = { .size = sizeof(stats) };
	unsigned lost = 0;

	if (!begin(1, "seal=all") || !written_and_tampered(1))
		return;
	for (uint64_t i = 0; i < PAGES; i++) {
		int rc = extmem_read(region, i * PAGE, buffer, PAGE);

		CU_ASSERT_EQUAL(rc, -EBADMSG);
		lost += rc == -EBADMSG &&
			strstr(extmem_error(), "tampered") != NULL;
	}
	CU_ASSERT_EQUAL(lost, PAGES);
	CU_ASSERT_EQUAL(extmem_stats(x, &stats), 0);
	CU_ASSERT_TRUE(stats.bad_tags >= PAGES);
	end(1);
}

/* Reads all of it; true: a wrong page was met, and mended. Which member a read asks
 * depends on how busy they are: it may be the other one for all pages. */
static bool read_right_and_mended(void *context)
{
	struct extmem_stats stats = { .size = sizeof(stats) };

	(void)context;
	CU_ASSERT_EQUAL(extmem_read(region, 0, buffer, REGION), 0);
	CU_ASSERT_EQUAL(memcmp(buffer, shadow, REGION), 0);
	CU_ASSERT_EQUAL(extmem_stats(x, &stats), 0);
	return stats.mended_bytes >= PAGE && stats.bad_tags > 0 &&
	       stats.tampered == 0;
}

static void a_mirror_heals_itself(void)
{
	if (!begin(2, "seal=all") || !written_and_tampered(2))
		return;
	CU_ASSERT_TRUE(until(read_right_and_mended, NULL));
	CU_ASSERT_TRUE(read_right_and_mended(NULL));
	end(2);
}

/* --- another key -------------------------------------------------------------------- */

/* Of pages that look sealed: one word each. */
static uint64_t sum(uint8_t *bytes, uint64_t size, const void *context)
{
	uint64_t total = 0, word;

	(void)context;
	for (uint64_t page = 0; page + PAGE <= size; page += PAGE) {
		memcpy(&word, bytes + page + 64, sizeof(word));
		total += word >> 8;
	}
	return total;
}

static void *write_meanwhile(void *memory)
{
	static const uint64_t limit = REGION / 2;

	for (uint64_t i = 0; i < 200000; i++) {
		uint64_t at = i * 4104 % limit & ~(uint64_t)7;

		memcpy((uint8_t *)memory + at, &i, sizeof(i));
		memcpy(shadow + at, &i, sizeof(i));
	}
	return NULL;
}

static void a_new_key_takes_over_while_the_program_goes_on(void)
{
	struct extmem_stats stats = { .size = sizeof(stats) };
	int64_t before, after;
	pthread_t writer;
	void *memory;

	if (!begin(1, "seal=all"))
		return;
	fill(shadow, REGION, 5);
	CU_ASSERT_EQUAL_FATAL(extmem_map(region, 0, 0, &memory), 0);
	memcpy(memory, shadow, REGION / 2);
	CU_ASSERT_EQUAL(extmem_write(region, REGION / 2, shadow + REGION / 2,
				     REGION / 2), 0);
	CU_ASSERT_EQUAL(extmem_sync(region, 0, 0), 0);
	before = memory_look(all[0].interface, true, sum, NULL);
	CU_ASSERT_EQUAL(extmem_seal_renew(x), 0);
	after = memory_look(all[0].interface, true, sum, NULL);
	if (before > 0)
		CU_ASSERT_NOT_EQUAL(before, after);
	CU_ASSERT_EQUAL(memcmp(memory, shadow, REGION), 0);
	CU_ASSERT_EQUAL_FATAL(pthread_create(&writer, NULL, write_meanwhile,
					     memory), 0);
	for (unsigned i = 0; i < 5; i++)
		CU_ASSERT_EQUAL(extmem_seal_renew(x), 0);
	pthread_join(writer, NULL);
	CU_ASSERT_EQUAL(extmem_seal_renew(x), 0);
	CU_ASSERT_EQUAL(memcmp(memory, shadow, REGION), 0);
	CU_ASSERT_EQUAL(extmem_stats(x, &stats), 0);
	CU_ASSERT_EQUAL(stats.bad_tags, 0);
	end(1);
}

static void a_new_key_is_read_where_the_first_one_was(void)
{
	char path[] = "/tmp/extmem-test-seal-XXXXXX", setting[64];
	char address[160];
	const char *settings[] = { "local=2M", "seal=all", setting, address, NULL };
	int fd = mkstemp(path);
	extmem *none;

	CU_ASSERT_FATAL(fd >= 0);
	CU_ASSERT_EQUAL(write(fd, shadow + 1, 32), 32);
	snprintf(setting, sizeof(setting), "seal_key=file:%s", path);
	CU_ASSERT_FATAL(appliance_start(&all[0], LOOPBACK, "16M", NULL));
	snprintf(address, sizeof(address), "appliance=%s", all[0].address);
	if (extmem_open(settings, &x) != 0) {
		printf("left out: %s\n", extmem_error());
	} else {
		CU_ASSERT_EQUAL_FATAL(extmem_region_alloc(x, "r", REGION, &region), 0);
		fill(shadow, REGION, 3);
		CU_ASSERT_EQUAL(extmem_write(region, 0, shadow, REGION), 0);
		CU_ASSERT_EQUAL(extmem_seal_renew(x), 0);
		CU_ASSERT_EQUAL(ftruncate(fd, 31), 0);
		CU_ASSERT_EQUAL(extmem_seal_renew(x), -EINVAL);
		CU_ASSERT_PTR_NOT_NULL(strstr(extmem_error(), "a key has 32 bytes"));
		fchmod(fd, 0640);
		CU_ASSERT_EQUAL(extmem_seal_renew(x), -EACCES);
		unlink(path);
		CU_ASSERT_EQUAL(extmem_seal_renew(x), -ENOENT);
		/* And nothing has changed. */
		CU_ASSERT_EQUAL(extmem_read(region, 0, buffer, REGION), 0);
		CU_ASSERT_EQUAL(memcmp(buffer, shadow, REGION), 0);
		extmem_close(x);
	}
	settings[1] = "seal=no";
	settings[2] = address;
	settings[3] = NULL;
	CU_ASSERT_EQUAL_FATAL(extmem_open(settings, &none), 0);
	CU_ASSERT_EQUAL(extmem_seal_renew(none), -EINVAL);
	CU_ASSERT_PTR_NOT_NULL(strstr(extmem_error(), "nothing of this client"));
	extmem_close(none);
	appliance_kill(&all[0]);
	unlink(path);
	close(fd);
}

/* What is lost has no key, and keeps nobody from another one. */
static void lost_pages_do_not_keep_a_key(void)
{
	if (!begin(1, "seal=all") || !written_and_tampered(1))
		return;
	CU_ASSERT_EQUAL(extmem_write(region, 0, shadow, 8 * PAGE), 0);
	CU_ASSERT_EQUAL(extmem_seal_renew(x), 0);
	CU_ASSERT_EQUAL(extmem_read(region, 0, buffer, 8 * PAGE), 0);
	CU_ASSERT_EQUAL(memcmp(buffer, shadow, 8 * PAGE), 0);
	CU_ASSERT_EQUAL(extmem_read(region, 8 * PAGE, buffer, PAGE), -EBADMSG);
	end(1);
}

int main(int argc, char **argv)
{
	static const struct act acts[] = { { 0 } };
	static const CU_TestInfo tests[] = {
		XM_TEST(any_access_agrees),
		XM_TEST(a_marker_is_nowhere_at_the_appliance),
		XM_TEST(without_seals_it_is_found),
		XM_TEST(what_was_tampered_with_is_lost_in_words),
		XM_TEST(a_mirror_heals_itself),
		XM_TEST(a_new_key_takes_over_while_the_program_goes_on),
		XM_TEST(a_new_key_is_read_where_the_first_one_was),
		XM_TEST(lost_pages_do_not_keep_a_key),
		CU_TEST_INFO_NULL,
	};

	act_begin(argc, argv, acts);
	return xm_tests_run("seal", tests);
}
