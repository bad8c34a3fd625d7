/* SPDX-License-Identifier: BSD-3-Clause */
/* Stories of regions that others read. Each begins with what it shows; see story.c. */
#include <errno.h>

#include "sim/programs.h"
#include "sim/stories_parts.h"

#define SIZE (128 * XM_KIB)

static char token[EXTMEM_TOKEN_SIZE];

static void wait_for_scene(unsigned scene)
{
	while (cast.scene < scene)
		rest(10 * XM_MS);
}

static int open_shared(extmem *x, extmem_region **ret)
{
	int rc = extmem_region_open(x, token, 0, ret);
	void *at;

	return rc != 0 ? rc : extmem_map(*ret, 0, 0, &at);
}

/* A reader keeps what it has read until it acquires, and then sees what was released; it may
 * not store. When it is shared no more, a page that the reader does not have is lost. */
void story_shared(uint32_t client, extmem *x)
{
	extmem_region *r;

	if (client == 0) {
		expect(take(x, SIZE, &r) == 0);
		expect(store(r, 0, 10));
		expect(extmem_region_share(r, NULL, token) == 0);
		cast.scene = 1;
		wait_for_scene(2);
		expect(store(r, 0, 11));
		expect(extmem_region_release(r) == 0);
		cast.scene = 3;
		wait_for_scene(4);
		expect(extmem_region_revoke(r) == 0);
		expect(load(r, 0) == 11);
		cast.scene = 5;
		wait_for_scene(6);
		give(r);
		return;
	}
	wait_for_scene(1);
	expect(open_shared(x, &r) == 0);
	expect(load(r, 0) == 10);
	expect(!store(r, 0, 12));
	expect(write_page(r, 0, 12) == -EACCES);
	cast.scene = 2;
	wait_for_scene(3);
	expect(load(r, 0) == 10);
	expect(extmem_region_acquire(r) == 0);
	expect(load(r, 0) == 11);
	cast.scene = 4;
	wait_for_scene(5);
	rest(XM_SECOND);
	expect(load(r, 5) == LOST);
	expect(extmem_region_acquire(r) == -ESTALE);
	give(r);
	expect(open_shared(x, &r) == -ENOENT);
	cast.scene = 6;
}

/* The writer is killed. When its lease is over its memory is zeroed, and not before its
 * reader's key is dead; the reader has no zeros of it. */
void story_writer_dies(uint32_t client, extmem *x)
{
	extmem_region *r;
	int rc;

	if (client == 0) {
		expect(take(x, SIZE, &r) == 0);
		expect(store(r, 0, 10));
		expect(extmem_region_share(r, NULL, token) == 0);
		cast.scene = 1;
		rest(XM_NEVER);
	}
	wait_for_scene(1);
	expect(open_shared(x, &r) == 0);
	expect(load(r, 0) == 10);
	program_kill(0, XM_SECOND);
	while ((rc = extmem_region_acquire(r)) == 0)
		rest(500 * XM_MS);
	expect(rc == -ESTALE);
	expect(load(r, 1) == LOST);
	give(r);
}
