/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Watch: a page of a watched client becomes writable only between the watch's change(),
 * which is given the contents that the page then has, and changed().
 *
 * The mapper asks as pages become writable (law_opened()); the watch is this file's own.
 */
#include <string.h>

#include "core/client/client.h"
#include "sim/counts.h"
#include "sim/laws.h"
#include "sim/notes.h"
#include "sim/shape.h"
#include "sim/world.h"

/* Pages that change() was called for and changed() not yet: one run of them for each
 * lane at a time, since its lock is held. */
struct announced {
	const void *contents; /* NULL: zeros */
	const uint8_t *address;
	uint64_t size; /* bytes; 0: none */
	int thread;
};

static struct watched {
	bool on;
	struct announced announced[XM_LANES_MAX];
} watched[WORLD_PROCESSES];

static struct announced *of_thread(struct watched *w, int thread)
{
	for (uint32_t i = 0; i < XM_LANES_MAX; i++) {
		if (w->announced[i].size > 0 && w->announced[i].thread == thread)
			return &w->announced[i];
	}
	return NULL;
}

static void change(void *context, void *address, const void *contents,
		   size_t pages)
{
	struct watched *w = context;
	struct announced *a = w->announced;

	if (of_thread(w, os_thread_id()) != NULL)
		world_broken("watch", "a watch is told of a change twice");
	while (a < w->announced + XM_LANES_MAX && a->size > 0)
		a++;
	XM_ASSERT(a < w->announced + XM_LANES_MAX);
	*a = (struct announced){
		.contents = contents,
		.address = address,
		.size = pages * XM_PAGE,
		.thread = os_thread_id(),
	};
}

static void changed(void *context)
{
	struct announced *a = of_thread(context, os_thread_id());

	if (a == NULL)
		world_broken("watch", "a watch is told of the end of a change "
			     "that had not begun");
	else
		a->size = 0;
}

int law_watch(extmem *x)
{
	struct watched *w = &watched[world_current()->index];
	const struct extmem_watch watch = {
		.size = sizeof(watch),
		.change = change,
		.changed = changed,
		.context = w,
	};
	int rc = extmem_watch(x, &watch);

	w->on = rc == 0;
	return rc;
}

void law_watch_forget(const struct process *process)
{
	memset(&watched[process->index], 0, sizeof(watched[0]));
}

void law_opened(const struct process *process, const uint8_t *address,
		uint64_t size)
{
	static const uint8_t zeros[XM_PAGE];
	struct watched *w = &watched[process->index];
	const struct announced *a;

	if (!w->on)
		return;
	a = of_thread(w, os_thread_id());
	sim_counts.laws_asked++;
	if (a == NULL || address < a->address ||
	    address + size > a->address + a->size)
		world_broken("watch", "%s: the page at %p becomes writable, and "
			     "the watch was not told", process->name,
			     (const void *)address);
	for (uint64_t at = 0; at < size; at += XM_PAGE) {
		const uint8_t *told = a->contents == NULL
					      ? zeros
					      : (const uint8_t *)a->contents +
							(address - a->address) + at;

		if (told != address + at && memcmp(told, address + at, XM_PAGE) != 0)
			world_broken("watch", "%s: the page at %p becomes "
				     "writable with other contents than the "
				     "watch was told", process->name,
				     (const void *)(address + at));
	}
}
