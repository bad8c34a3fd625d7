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

#include "faces/file/log.h"
#include "tests/support/cunit.h"

#define COUNT 64 /* chunks */
#define CHUNK FACE_CHUNK

/* --- a region ----------------------------------------------------------------------------- */

struct extmem_region {
	uint8_t bytes[COUNT * CHUNK];
	bool refuses[COUNT]; /* writes to this chunk fail */
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
	return failed ? -ETIMEDOUT : 0;
}

int extmem_advise(extmem_region *r, uint64_t offset, uint64_t size,
		  enum extmem_advice advice)
{
	CU_ASSERT_EQUAL(advice, EXTMEM_DONTNEED);
	memset(r->bytes + offset, 0, size);
	return 0;
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

int main(void)
{
	static const CU_TestInfo tests[] = {
		XM_TEST(a_write_that_fails_leaves_its_neighbour_alone),
		CU_TEST_INFO_NULL,
	};

	return xm_tests_run("files store", tests);
}
