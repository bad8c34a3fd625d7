/* SPDX-License-Identifier: BSD-3-Clause */
/* Memory of the caller's that transports know; see registered.h. */
#include "core/client/registered.h"

#include <errno.h>
#include <stdio.h>

#include "core/client/client.h"
#include "core/client/error.h"

bool xm_is_registered(struct xm_registered *r, const void *memory, size_t size)
{
	uintptr_t at = (uintptr_t)memory;
	bool found = false;

	os_mutex_take(&r->lock);
	for (uint32_t i = 0; i < r->count && !found; i++) {
		uintptr_t base = (uintptr_t)r->spans[i].memory;

		found = at >= base &&
			xm_span_fits(at - base, size, r->spans[i].size);
	}
	os_mutex_give(&r->lock);
	return found;
}

/* In the transports of all lanes, or none. */
static int register_memory(extmem *x, void *memory, size_t size, bool on,
		  char *words, size_t words_size)
{
	int rc = 0;

	for (uint32_t i = 0; i < x->lanes.count && rc == 0; i++) {
		struct xm_lane *lane = &x->lanes.lane[i];
		struct os_signals old;

		xm_lane_lock(lane, &old);
		for (uint32_t k = 0; k < lane->engine.peers_count && rc == 0;
		     k++) {
			struct xm_lane_peer *peer = &lane->engine.peers[k];

			if (!on) {
				peer->ops->deregister_memory(peer->transport, memory,
						  size);
				continue;
			}
			rc = peer->ops->register_memory(peer->transport, memory, size);
			if (rc != 0)
				snprintf(words, words_size, "%s",
					 peer->ops->last_error(peer->transport));
		}
		xm_lane_unlock(lane, &old);
	}
	return rc;
}

/* With the lock held. */
static int register_span(extmem *x, void *memory, size_t size)
{
	char words[256] = "";
	int rc;

	for (uint32_t i = 0; i < x->registered.count; i++) {
		const struct xm_registered_span *other =
			&x->registered.spans[i];

		if (xm_memory_overlaps(memory, size, other->memory, other->size))
			return xm_fail(-EEXIST, "extmem_register: part of it "
				       "is registered already");
	}
	if (x->registered.count == XM_REGISTERED_MAX)
		return xm_fail(-ENOSPC, "extmem_register: %d spans are "
			       "registered, which is the limit: register "
			       "larger ones", XM_REGISTERED_MAX);
	rc = register_memory(x, memory, size, true, words, sizeof(words));
	if (rc != 0) {
		register_memory(x, memory, size, false, NULL, 0);
		return xm_fail(rc, "extmem_register: %s", words);
	}
	x->registered.spans[x->registered.count++] =
		(struct xm_registered_span){ memory, size };
	return 0;
}

int extmem_register(extmem *x, void *memory, size_t size)
{
	int rc = xm_usable("extmem_register");

	if (rc != 0)
		return rc;
	if (memory == NULL || size == 0 ||
	    (uintptr_t)memory > UINTPTR_MAX - size)
		return xm_fail(-EINVAL, "extmem_register: nothing to "
			       "register: %zu bytes", size);
	if (xm_arena_overlaps(&x->arena, memory, size))
		return xm_fail(-EINVAL, "extmem_register: external memory is "
			       "not the program's own");
	os_mutex_take(&x->registered.lock);
	rc = register_span(x, memory, size);
	os_mutex_give(&x->registered.lock);
	return rc;
}

int extmem_deregister(extmem *x, void *memory, size_t size)
{
	uint32_t i = 0;
	int rc = xm_usable("extmem_deregister");

	if (rc != 0)
		return rc;
	os_mutex_take(&x->registered.lock);
	while (i < x->registered.count && (x->registered.spans[i].memory != memory ||
				     x->registered.spans[i].size != size))
		i++;
	if (i == x->registered.count) {
		rc = xm_fail(-EINVAL, "extmem_deregister: %zu bytes at %p were "
			     "not registered so", size, memory);
	} else if (xm_async_has(&x->async, memory, size)) {
		rc = xm_fail(-EBUSY, "extmem_deregister: an asynchronous call "
			     "has it: poll");
	} else {
		register_memory(x, memory, size, false, NULL, 0);
		x->registered.spans[i] = x->registered.spans[--x->registered.count];
	}
	os_mutex_give(&x->registered.lock);
	return rc;
}
