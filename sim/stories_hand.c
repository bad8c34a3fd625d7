/* SPDX-License-Identifier: BSD-3-Clause */
/* Stories of regions that change hands. Each begins with what it shows; see story.c. */
#include <errno.h>

#include "sim/appliance.h"
#include "sim/programs.h"
#include "sim/stories_parts.h"

#define SIZE (128 * XM_KIB)

static char token[EXTMEM_TOKEN_SIZE];

static void wait_for_scene(unsigned scene)
{
	while (cast.scene < scene)
		rest(10 * XM_MS);
}

static int adopt(extmem *x, extmem_region **ret)
{
	int rc = extmem_region_adopt(x, token, 0, ret);
	void *at;

	return rc != 0 ? rc : extmem_map(*ret, 0, 0, &at);
}

/* What is dirty is written back, the key dies, the other client claims and reads; what
 * was discarded stays zero. To the first one the region is lost. */
void story_handed_over(uint32_t client, extmem *x)
{
	extmem_region *r;

	if (client == 0) {
		expect(take(x, SIZE, &r) == 0);
		expect(write_pages(r, 0, 4, 10) == 0);
		expect(store(r, 5, 55));
		expect(advise(r, 1, 1, EXTMEM_DONTNEED) == 0);
		expect(extmem_region_hand_over(r, NULL, token) == 0);
		cast.scene = 1;
		expect(load(r, 5) == LOST);
		give(r);
		wait_for_scene(2);
		return;
	}
	wait_for_scene(1);
	expect(adopt(x, &r) == 0);
	expect(load(r, 0) == 10);
	expect(load(r, 1) == 0);
	expect(load(r, 3) == 13);
	expect(load(r, 5) == 55);
	expect(store(r, 5, 56));
	give(r);
	cast.scene = 2;
}

/* A store to what is not copied yet waits, and so does a load of the copy; then both go their
 * own ways. What is fresh is so in the copy. */
void story_copied(uint32_t client, extmem *x)
{
	extmem_region *r, *copy;
	void *at;

	(void)client;
	expect(take(x, SIZE, &r) == 0);
	expect(write_pages(r, 0, 4, 10) == 0);
	expect(store(r, 1, 55));
	expect(store(r, 20, 66));
	expect(extmem_region_copy(r, "copy", &copy) == 0);
	expect(store(r, 20, 67));
	expect(extmem_map(copy, 0, 0, &at) == 0);
	expect(load(copy, 1) == 55);
	expect(load(copy, 2) == 12);
	expect(load(copy, 5) == 0);
	expect(load(copy, 20) == 66);
	expect(store(copy, 1, 56));
	expect(load(r, 1) == 55);
	expect(load(r, 20) == 67);
	give(r);
	expect(load(copy, 1) == 56);
	give(copy);
}

/* The claimer is killed when it has claimed and before it has untied the token: when its
 * lease is over the first client takes its region back. */
void story_claimer_dies(uint32_t client, extmem *x)
{
	extmem_region *r;
	int rc;

	if (client == 1) {
		wait_for_scene(1);
		adopt(x, &r);
		rest(XM_NEVER);
	}
	expect(take(x, SIZE, &r) == 0);
	expect(store(r, 0, 7));
	expect(extmem_region_hand_over(r, NULL, token) == 0);
	give(r);
	cast.scene = 1;
	while (appliance_service(0)->bytes_orphaned > 0)
		rest(XM_US);
	program_kill(1, XM_SECOND);
	while ((rc = adopt(x, &r)) == -EBUSY)
		rest(500 * XM_MS);
	expect(rc == 0);
	expect(load(r, 0) == 7);
	give(r);
}

static int adopt_kept(extmem *x, extmem_region **ret)
{
	void *at;
	int rc;

	while ((rc = extmem_region_adopt(x, token, EXTMEM_ADOPT_KEPT, ret)) ==
	       -EBUSY)
		rest(500 * XM_MS);
	return rc != 0 ? rc : extmem_map(*ret, 0, 0, &at);
}

static void end_of(uint32_t client)
{
	program_kill(client, XM_SECOND);
	cast.scene++;
}

/* A region is kept, and its client is killed. Whoever adopts it, and keeps it, is killed,
 * too: the token leads there each time, and to what was written last. */
void story_kept_again(uint32_t client, extmem *x)
{
	extmem_region *r;

	if (client == 0) {
		expect(take(x, SIZE, &r) == 0);
		expect(write_pages(r, 0, 1, 7) == 0);
		expect(extmem_region_keep(r, EXTMEM_FOR_EVER, token) == 0);
		cast.scene = 1;
		rest(XM_NEVER);
	}
	if (client == 1) {
		wait_for_scene(2);
		expect(adopt_kept(x, &r) == 0);
		expect(load(r, 0) == 7);
		expect(write_pages(r, 0, 1, 8) == 0);
		cast.scene = 3;
		rest(XM_NEVER);
	}
	wait_for_scene(1);
	end_of(0);
	wait_for_scene(3);
	end_of(1);
	expect(adopt_kept(x, &r) == 0);
	expect(load(r, 0) == 8);
	give(r);
}

static void make_durable(extmem_region *r)
{
	expect(extmem_sync_level(r, 0, 0, EXTMEM_DURABLE) == 0);
}

/* A region is made durable while another thread writes to it. Its page is held while the
 * appliance drafts it: the write-back waits for that, and not for the disk. Nor does a call that
 * takes another region. */
void story_held(uint32_t client, extmem *x)
{
	struct thread other;
	extmem_region *r, *another;

	(void)client;
	expect(take(x, SIZE, &r) == 0);
	expect(extmem_region_keep_durable(r, EXTMEM_FOR_EVER, token) == 0);
	expect(store(r, 0, 1));
	expect(sync_pages(r) == 0);
	begin(&other, make_durable, r);
	rest(5 * XM_US);
	expect(store(r, 0, 2));
	expect(sync_pages(r) == 0);
	expect(take(x, SIZE, &another) == 0);
	expect(!other.ended);
	join(&other);
	make_durable(r);
	give(another);
	give(r);
}
