/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The bytes of the file face on a region that fails when a test says so. The functions of
 * extmem.h that it calls are here.
 */
#include "faces/file/store.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdbool.h>
#include <string.h>
#include <sys/resource.h>

#include "faces/file/log.h"
#include "tests/support/cunit.h"

#define COUNT 64 /* chunks */
#define CHUNK FACE_CHUNK

/* --- a region ----------------------------------------------------------------------------- */

struct extmem_region {
	uint8_t bytes[COUNT * CHUNK];
	bool refuses[COUNT]; /* writes to this chunk fail */
	int with;	     /* with this */
	int advice_status;   /* what extmem_advise() returns */
};

static extmem_region region;

uint64_t extmem_region_size(const extmem_region *r)
{
	return sizeof(r->bytes);
}

int extmem_readv(extmem_region *r, const struct extmem_iov *parts, size_t count)
{
	for (size_t i = 0; i < count; i++)
		memcpy(parts[i].buffer, r->bytes + parts[i].offset, parts[i].size);
	return 0;
}

static bool refuses(const extmem_region *r, const struct extmem_iov *part)
{
	for (uint64_t at = part->offset; at < part->offset + part->size; at += CHUNK)
		if (r->refuses[at / CHUNK])
			return true;
	return false;
}

/* Others have time meanwhile. */
int extmem_writev(extmem_region *r, const struct extmem_iov *parts, size_t count)
{
	bool failed = false;

	for (size_t i = 0; i < count; i++)
		if (refuses(r, &parts[i]))
			failed = true;
		else
			memcpy(r->bytes + parts[i].offset, parts[i].buffer, parts[i].size);
	for (int i = 0; i < 20; i++)
		sched_yield();
	return failed ? r->with : 0;
}

int extmem_write(extmem_region *r, uint64_t offset, const void *buffer, size_t size)
{
	struct extmem_iov part = { offset, (void *)(uintptr_t)buffer, size };

	return extmem_writev(r, &part, 1);
}

/* One chunk at a time. What is lost is not. */
int64_t extmem_region_fresh(extmem_region *r, uint64_t offset, uint64_t size, int *ret)
{
	*ret = !r->refuses[offset / CHUNK];
	for (uint64_t i = 0; i < CHUNK && *ret; i++)
		*ret = r->bytes[offset + i] == 0;
	return size < CHUNK ? (int64_t)size : (int64_t)CHUNK;
}

int extmem_advise(extmem_region *r, uint64_t offset, uint64_t size,
		  enum extmem_advice advice)
{
	CU_ASSERT_EQUAL(advice, EXTMEM_DONTNEED);
	if (r->advice_status == 0)
		memset(r->bytes + offset, 0, size);
	return r->advice_status;
}

int face_complain(int rc)
{
	return rc >= 0 || rc == -ENOSPC || rc == -ENOMEM ? rc : -EIO;
}

static struct face_store store;
static struct face_contents file;

static void begin(void)
{
	memset(&region, 0, sizeof(region));
	region.with = -ETIMEDOUT;
	memset(&file, 0, sizeof(file));
	CU_ASSERT_EQUAL_FATAL(face_store_open(&store, &region), 0);
	face_contents_begin(&file, &store);
}

static void end(void)
{
	face_contents_end(&file);
	face_store_close(&store);
}

/* --- what must hold -------------------------------------------------------------------------- */

struct writer {
	pthread_t thread;
	pthread_barrier_t *start;
	uint64_t offset;
	int rc;
};

static void *write_chunk(void *argument)
{
	struct writer *w = argument;
	uint8_t bytes[CHUNK];

	memset(bytes, 0x5a, sizeof(bytes));
	pthread_barrier_wait(w->start);
	w->rc = face_write(&file, w->offset, bytes, sizeof(bytes));
	return NULL;
}

static bool holds(uint64_t offset, uint8_t value)
{
	uint8_t bytes[CHUNK];

	if (face_read(&file, offset, bytes, sizeof(bytes)) != (int64_t)sizeof(bytes))
		return false;
	for (size_t i = 0; i < sizeof(bytes); i++)
		if (bytes[i] != value)
			return false;
	return true;
}

/* The first two chunks of the file are there, so that the two need none. */
static void a_write_that_fails_leaves_its_neighbour_alone(void)
{
	int wrong = 0;

	for (int round = 0; round < 200 && wrong == 0; round++) {
		pthread_barrier_t start;
		struct writer good = { .start = &start, .offset = 0 };
		struct writer bad = { .start = &start, .offset = CHUNK };

		begin();
		CU_ASSERT_EQUAL(face_allocate(&file, 0, 2 * CHUNK, 0), 0);
		region.refuses[1] = true;
		pthread_barrier_init(&start, NULL, 2);
		pthread_create(&good.thread, NULL, write_chunk, &good);
		pthread_create(&bad.thread, NULL, write_chunk, &bad);
		pthread_join(good.thread, NULL);
		pthread_join(bad.thread, NULL);
		pthread_barrier_destroy(&start);
		CU_ASSERT_EQUAL(good.rc, 0);
		CU_ASSERT_EQUAL(bad.rc, -EIO);
		wrong += !holds(0, 0x5a);
		end();
	}
	CU_ASSERT_EQUAL(wrong, 0);
}

static int put(uint64_t offset, uint8_t value)
{
	uint8_t bytes[CHUNK];

	memset(bytes, value, sizeof(bytes));
	return face_write(&file, offset, bytes, sizeof(bytes));
}

static void a_byte_far_away_takes_little_memory(void)
{
	struct rusage before, after;
	uint64_t far = UINT64_C(15) << 40;

	begin();
	getrusage(RUSAGE_SELF, &before);
	CU_ASSERT_EQUAL(face_write(&file, far, "x", 1), 0);
	CU_ASSERT_EQUAL(file.used, 1);
	CU_ASSERT_EQUAL(put(0, 3), 0);
	CU_ASSERT(holds(0, 3));
	CU_ASSERT(holds(far - CHUNK, 0));
	CU_ASSERT_EQUAL(face_resize(&file, CHUNK), 0);
	CU_ASSERT_EQUAL(file.used, 1);
	CU_ASSERT_EQUAL(face_write(&file, UINT64_C(16) << 40, "x", 1), -EFBIG);
	getrusage(RUSAGE_SELF, &after);
	CU_ASSERT(after.ru_maxrss - before.ru_maxrss < 96 * 1024); /* KiB */
	end();
}

static void an_allocation_that_fails_takes_nothing(void)
{
	begin();
	CU_ASSERT_EQUAL(put(0, 1), 0);
	CU_ASSERT_EQUAL(face_allocate(&file, 0, (COUNT + 1) * CHUNK, 0), -ENOSPC);
	CU_ASSERT_EQUAL(face_allocate(&file, 0, UINT64_C(9) << 40, 0), -ENOSPC);
	CU_ASSERT_EQUAL(store.free, COUNT - 1);
	CU_ASSERT_EQUAL(file.used, 1);
	CU_ASSERT_EQUAL(put(5 * CHUNK, 2), 0);
	CU_ASSERT_EQUAL(face_allocate(&file, 0, COUNT * CHUNK, 0), 0);
	CU_ASSERT_EQUAL(store.free, 0);
	CU_ASSERT_EQUAL(put(COUNT * CHUNK, 2), -ENOSPC);
	/* The size stays, and what is behind it goes. */
	CU_ASSERT_EQUAL(face_resize(&file, file.size), 0);
	CU_ASSERT_EQUAL(store.free, COUNT - 6);
	CU_ASSERT(holds(0, 1));
	CU_ASSERT(holds(CHUNK, 0));
	CU_ASSERT(holds(5 * CHUNK, 2));
	end();
}

static void what_cannot_be_discarded_is_free_when_it_can(void)
{
	begin();
	CU_ASSERT_EQUAL(face_allocate(&file, 0, COUNT * CHUNK, 0), 0);
	CU_ASSERT_EQUAL(put(0, 1), 0);
	region.advice_status = -ENOTCONN;
	CU_ASSERT_EQUAL(face_resize(&file, 0), 0);
	CU_ASSERT_EQUAL(store.free, 0);
	CU_ASSERT_EQUAL(put(0, 2), -ENOSPC);
	region.advice_status = 0;
	CU_ASSERT_EQUAL(put(CHUNK, 2), 0);
	CU_ASSERT(holds(0, 0));
	CU_ASSERT_EQUAL(store.free, COUNT - 1);
	end();
}

static void a_write_goes_where_an_appliance_is_left(void)
{
	begin();
	region.with = -ESTALE;
	memset(region.refuses, 1, COUNT / 2);
	for (uint64_t i = 0; i < COUNT / 4; i++)
		CU_ASSERT_EQUAL(put(i * CHUNK, (uint8_t)(i + 1)), 0);
	/* Some bytes of a chunk that has others. */
	CU_ASSERT_EQUAL(face_write(&file, 10, "x", 1), 0);
	memset(region.refuses, 1, COUNT);
	CU_ASSERT_EQUAL(face_write(&file, 11, "y", 1), -EIO);
	for (uint64_t i = 1; i < COUNT / 4; i++)
		CU_ASSERT(holds(i * CHUNK, (uint8_t)(i + 1)));
	end();
}

static void what_reached_no_appliance_is_no_zeros(void)
{
	uint8_t bytes[CHUNK];

	begin();
	region.with = -ENOTCONN;
	memset(region.refuses, 1, COUNT);
	CU_ASSERT_EQUAL(put(0, 1), -EIO);
	CU_ASSERT_EQUAL(face_read(&file, 0, bytes, CHUNK), -EIO);
	CU_ASSERT_EQUAL(face_write(&file, 5, "x", 1), -EIO);
	CU_ASSERT_EQUAL(file.used, 0);
	/* What was free and lost is not given to anybody. */
	CU_ASSERT_EQUAL(put(CHUNK, 1), -EIO);
	memset(region.refuses, 0, COUNT);
	CU_ASSERT_EQUAL(put(0, 2), 0);
	CU_ASSERT(holds(0, 2));
	CU_ASSERT_EQUAL(face_resize(&file, 0), 0);
	CU_ASSERT_EQUAL(face_allocate(&file, 0, COUNT * CHUNK, 0), 0);
	end();
}

/* Neither zeros nor the bytes of before: whether it arrived is not known. */
static void what_timed_out_is_an_error_until_it_is_written_again(void)
{
	uint8_t bytes[CHUNK];

	begin();
	CU_ASSERT_EQUAL(put(0, 1), 0);
	region.refuses[0] = region.refuses[1] = true;
	CU_ASSERT_EQUAL(put(CHUNK, 7), -EIO);
	CU_ASSERT_EQUAL(face_read(&file, CHUNK, bytes, CHUNK), -EIO);
	CU_ASSERT_EQUAL(put(0, 2), -EIO);
	CU_ASSERT_EQUAL(face_read(&file, 0, bytes, CHUNK), -EIO);
	CU_ASSERT_EQUAL(file.used, 0);
	/* Only one of two was late, but which is not known. */
	region.refuses[3] = true;
	memset(bytes, 9, sizeof(bytes));
	CU_ASSERT_EQUAL(face_allocate(&file, 2 * CHUNK, 2 * CHUNK, 0), 0);
	CU_ASSERT_EQUAL(put(2 * CHUNK, 9), 0);
	CU_ASSERT_EQUAL(put(3 * CHUNK, 9), -EIO);
	CU_ASSERT(holds(2 * CHUNK, 9));
	memset(region.refuses, 0, sizeof(region.refuses));
	for (uint64_t i = 0; i < 4; i++) {
		CU_ASSERT_EQUAL(put(i * CHUNK, (uint8_t)(i + 1)), 0);
		CU_ASSERT(holds(i * CHUNK, (uint8_t)(i + 1)));
	}
	/* What may arrive late was given to nobody before it was discarded. */
	CU_ASSERT_EQUAL(face_resize(&file, 0), 0);
	CU_ASSERT_EQUAL(face_allocate(&file, 0, COUNT * CHUNK, 0), 0);
	end();
}

/* Its other bytes stay. */
static void a_part_that_timed_out_takes_nothing_along(void)
{
	begin();
	CU_ASSERT_EQUAL(put(0, 1), 0);
	region.refuses[0] = true;
	CU_ASSERT_EQUAL(face_write(&file, 5, "x", 1), -EIO);
	region.refuses[0] = false;
	CU_ASSERT(holds(0, 1));
	end();
}

int main(void)
{
	static const CU_TestInfo tests[] = {
		XM_TEST(a_write_that_fails_leaves_its_neighbour_alone),
		XM_TEST(a_byte_far_away_takes_little_memory),
		XM_TEST(an_allocation_that_fails_takes_nothing),
		XM_TEST(what_cannot_be_discarded_is_free_when_it_can),
		XM_TEST(a_write_goes_where_an_appliance_is_left),
		XM_TEST(what_reached_no_appliance_is_no_zeros),
		XM_TEST(what_timed_out_is_an_error_until_it_is_written_again),
		XM_TEST(a_part_that_timed_out_takes_nothing_along),
		CU_TEST_INFO_NULL,
	};

	return xm_tests_run("files store", tests);
}
