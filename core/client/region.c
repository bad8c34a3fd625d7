/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The public calls on regions: alloc, free, resize. See region.h for the locks.
 *
 * The life of an allocation: extmem_region_alloc() reserves addresses, and
 * segments.c asks appliances for extents (ALLOC) and adds them to the volume;
 * extmem_slab_alloc() (slabs.c) and extmem_object_alloc() (objects.c) then carve
 * the region with local tables only.
 */
#include "core/client/region.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "core/client/client.h"
#include "core/client/error.h"
#include "core/client/handing.h"
#include "core/client/mapping.h"
#include "core/client/objects.h"
#include "core/client/range.h"
#include "core/client/segments.h"
#include "core/client/sharing.h"
#include "core/client/strategies.h"
#include "core/client/trees.h"
#include "core/pure/plant.h"

void xm_regions_lock(extmem *x)
{
	uint64_t deadline_ns = os_now_ns() + x->settings.timeout_ns;

	xm_line_take(&x->regions.lock);
	x->regions.deadline_ns = deadline_ns;
}

void xm_regions_unlock(extmem *x)
{
	xm_line_give(&x->regions.lock);
}

int xm_region_change(extmem_region *region, const char *call)
{
	int rc;

	xm_regions_lock(region->client);
	os_mutex_take(&region->lock);
	rc = xm_region_unshared(region, call);
	if (rc == 0)
		xm_clone_finish(region, false);
	else
		xm_region_changed(region);
	return rc;
}

void xm_region_changed(extmem_region *region)
{
	os_mutex_give(&region->lock);
	xm_regions_unlock(region->client);
}

/* --- take -------------------------------------------------------------------------------- */

/* How far a region may grow where it is: addresses and tables cost nothing
 * until they are used. */
static uint64_t span_of(const extmem *x, uint64_t size)
{
	uint64_t most = x->arena.size / 16;
	uint64_t span = xm_min(size, most / 16) * 16;

	return xm_align_up(xm_max(span, size), XM_SPAN_GRANULE);
}

/* A sparse region has none of either: its tables are of no bytes. */
static int region_tables(extmem_region *region)
{
	uint64_t span = region->sparse ? XM_SPAN_GRANULE : region->span;
	uint64_t slabs_max = xm_min(span / XM_PAGE, 1u << 28);

	region->slabs_memory_size = xm_extent_memory_size((uint32_t)slabs_max);
	region->slabs_memory = os_memory_take(region->slabs_memory_size);
	region->heap_memory_size = xm_heap_memory_size(span);
	region->heap_memory = os_memory_take(region->heap_memory_size);
	if (region->slabs_memory == NULL || region->heap_memory == NULL)
		return -ENOMEM;
	xm_extent_init(&region->slabs, region->sparse ? 0 : region->size,
		       XM_PAGE, (uint32_t)slabs_max, region->slabs_memory);
	xm_heap_init(&region->heap, &region->slabs, span, region->heap_memory);
	return 0;
}

static void region_free(extmem_region *region)
{
	xm_caches_end(region);
	os_memory_give(region->slabs_memory, region->slabs_memory_size);
	os_memory_give(region->heap_memory, region->heap_memory_size);
	os_mutex_close(&region->lock);
	xm_line_close(&region->persisting);
	os_free(region->mappings);
	if (region->strategy != region->client->strategy)
		os_free((void *)region->strategy);
	region->magic = 0;
	os_free(region);
}

/* Its memory, if it is not sparse. */
static int region_back(extmem *x, extmem_region *region, char *words,
		       size_t words_size)
{
	int rc = 0;

	if (region->sparse)
		return 0;
	rc = xm_segments_alloc(x, region, region->address, region->size, words,
			       words_size);
	if (rc != 0)
		return rc;
	rc = xm_segments_wait(x, region->address, region->size, words,
			      words_size);
	if (rc != 0)
		xm_segments_free(x, region->address,
				 region->address + region->size);
	return rc;
}

/* Addresses and tables. With regions_lock held. */
static int region_place(extmem *x, const char *call, extmem_region *region)
{
	int rc;

	if (x->regions.count == XM_REGIONS_MAX)
		return xm_fail(-ENOSPC, "%s: %d regions are held, which is "
			       "the limit: allocate larger ones", call,
			       XM_REGIONS_MAX);
	region->span = region->sparse ? region->size : span_of(x, region->size);
	rc = xm_extent_take(&x->arena.spans, region->span, 0, &region->address);
	if (rc != 0) {
		region->span = region->size;
		rc = xm_extent_take(&x->arena.spans, region->span, 0,
				    &region->address);
	}
	if (rc != 0)
		return xm_fail(-ENOMEM, "%s: no %llu MiB of addresses left: "
			       "raise the setting arena", call,
			       (unsigned long long)(region->size / XM_MIB));
	rc = region_tables(region);
	if (rc != 0) {
		xm_extent_give(&x->arena.spans, region->address, NULL);
		return xm_fail(rc, "%s: out of memory", call);
	}
	return 0;
}

void xm_region_enter(extmem_region *region)
{
	extmem *x = region->client;

	os_mutex_take(&x->regions.links);
	xm_list_push_back(&x->regions.list, &region->link);
	os_mutex_give(&x->regions.links);
	x->regions.count++;
}

/* With regions_lock held. */
static int region_build(extmem *x, const char *call,
			extmem_region *region)
{
	char words[512] = "out of memory";
	int rc = region_place(x, call, region);

	if (rc != 0)
		return rc;
	rc = region_back(x, region, words, sizeof(words));
	if (rc != 0) {
		xm_extent_give(&x->arena.spans, region->address, NULL);
		return xm_fail(rc, "%s: %s", call, words);
	}
	xm_region_enter(region);
	return 0;
}

/* What the caller's struct says, whose size may be another version's: what it has
 * not is 0, and what we do not know must be 0. */
static int request_read(const struct extmem_request *from,
			struct extmem_request *ret)
{
	const uint8_t *bytes = (const uint8_t *)from;

	if (from->size < offsetof(struct extmem_request, name))
		return xm_fail(-EINVAL, "extmem_region_request: a struct of "
			       "%llu bytes",
			       (unsigned long long)from->size);
	memset(ret, 0, sizeof(*ret));
	memcpy(ret, from, xm_min(from->size, sizeof(*ret)));
	for (uint64_t i = sizeof(*ret); i < from->size; i++) {
		if (bytes[i] != 0)
			return xm_fail(-EINVAL, "extmem_region_request: it "
				       "asks for what this library has not");
	}
	return 0;
}

#define FLAGS (EXTMEM_TRACKED | EXTMEM_SEALED | EXTMEM_SEALED_DURABLE)

static int request_check(const char *call,
			 const struct extmem_request *request)
{
	if (request->reserve != 0 && request->region_size != 0)
		return xm_fail(-EINVAL, "%s: a sparse region gets its memory "
			       "later: region_size must be 0", call);
	if (request->name != NULL && strlen(request->name) >= XM_NAME_SIZE)
		return xm_fail(-EINVAL, "%s: a name of %zu characters: at most "
			       "%d", call, strlen(request->name),
			       XM_NAME_SIZE - 1);
	if ((request->flags & ~(uint64_t)FLAGS) != 0)
		return xm_fail(-EINVAL, "%s: flags 0x%llx: this library knows "
			       "0x%x", call,
			       (unsigned long long)request->flags, FLAGS);
	return 0;
}

/* From zeros, of this strategy; free it in either case. */
static int region_begin(extmem *x, const char *call,
			const struct extmem_request *request,
			struct xm_strategy *strategy, extmem_region *region)
{
	uint64_t size = request->region_size;
	int rc = 0;

	region->client = x;
	region->magic = XM_REGION_MAGIC;
	region->sparse = request->reserve != 0;
	if (region->sparse)
		size = request->reserve;
	if (request->name != NULL)
		memcpy(region->name, request->name, strlen(request->name));
	os_random(region->id.bytes, sizeof(region->id.bytes));
	/* No page of it has been touched, and zeros in the page table say so. */
	region->tracked = region->sparse ||
			  (request->flags & EXTMEM_TRACKED) != 0;
	region->fixed = (request->flags & EXTMEM_SEALED_DURABLE) != 0;
	region->sealed = x->settings.seal == XM_SEAL_ALL || region->fixed ||
			 (request->flags & EXTMEM_SEALED) != 0;
	os_mutex_open(&region->lock);
	xm_line_open(&region->persisting);
	xm_list_open(&region->caches);
	region->strategy = strategy;
	rc = xm_strategy_size(call, strategy, x->ask.granule, &size);
	region->size = region->sparse ? xm_align_up(size, XM_SPAN_GRANULE)
				      : size;
	/* Of a page that has copies the pager knows which of them lack it. */
	region->tracked |= strategy != NULL && xm_strategy_mirrors(strategy) > 1;
	/* And of one that is sealed, whether it was. */
	region->tracked |= region->sealed;
	if (rc == 0 && region->sealed && x->settings.seal == XM_SEAL_NO)
		rc = xm_fail(-EINVAL, "%s: to seal a region, open the client with "
			     "seal=asked, or with seal=all", call);
	if (rc == 0 && region->fixed &&
	    (region->sparse ||
	     (strategy != NULL && xm_strategy_mirrors(strategy) > 1)))
		rc = xm_fail(-ENOTSUP, "%s: a sealed region that is to be durable is "
			     "not sparse, and has one copy", call);
	return rc;
}

static int region_alloc(extmem *x, const char *call,
			const struct extmem_request *request,
			extmem_region **ret)
{
	struct xm_strategy *own = x->strategy;
	extmem_region *region;
	int rc = request_check(call, request);

	if (rc == 0 && request->strategy != NULL)
		rc = xm_strategy_of_text(x, call, request->strategy, &own);
	if (rc != 0)
		return rc;
	region = os_alloc(sizeof(*region));
	if (region == NULL) {
		if (own != x->strategy)
			os_free(own);
		return xm_fail(-ENOMEM, "%s: out of memory", call);
	}
	rc = region_begin(x, call, request, own, region);
	if (rc == 0) {
		xm_regions_lock(x);
		region->number = ++x->regions.numbered;
		rc = region_build(x, call, region);
		xm_regions_unlock(x);
	}
	if (rc != 0)
		region_free(region);
	else
		*ret = region;
	return rc;
}

int xm_region_new(extmem *x, const char *call,
		  const struct extmem_request *request, extmem_region **ret)
{
	extmem_region *region = os_alloc(sizeof(*region));
	int rc;

	if (region == NULL)
		return xm_fail(-ENOMEM, "%s: out of memory", call);
	rc = region_begin(x, call, request, NULL, region);
	if (rc == 0) {
		/* What it is like was decided before. */
		region->strategy = x->strategy;
		region->size = request->region_size;
		region->sealed = false;
		region->tracked = false;
		region->number = ++x->regions.numbered;
		rc = region_place(x, call, region);
	}
	if (rc != 0)
		region_free(region);
	else
		*ret = region;
	return rc;
}

int xm_region_strategy_of(extmem_region *region, const extmem_region *of)
{
	struct xm_strategy *own;

	if (of->strategy == NULL || of->strategy == of->client->strategy) {
		region->strategy = of->strategy;
		return 0;
	}
	own = os_alloc(sizeof(*own));
	if (own == NULL)
		return -ENOMEM;
	memcpy(own, of->strategy, sizeof(*own));
	region->strategy = own;
	return 0;
}

int xm_region_plain(extmem *x, const char *call, const char *name, uint64_t size,
		    extmem_region **ret)
{
	struct extmem_request request = { .size = sizeof(request),
					  .region_size = size, .name = name };
	extmem_region *region = os_alloc(sizeof(*region));
	int rc;

	if (region == NULL)
		return xm_fail(-ENOMEM, "%s: out of memory", call);
	rc = region_begin(x, call, &request, NULL, region);
	if (rc == 0) {
		region->is_table = true;
		region->tracked = false;
		region->sealed = false;
		region->number = ++x->regions.numbered;
		rc = region_build(x, call, region);
	}
	if (rc != 0)
		region_free(region);
	else
		*ret = region;
	return rc;
}

void xm_region_drop(extmem_region *region)
{
	xm_extent_give(&region->client->arena.spans, region->address, NULL);
	region_free(region);
}

int extmem_region_alloc(extmem *x, const char *name, uint64_t size,
			extmem_region **ret)
{
	struct extmem_request request = { .size = sizeof(request),
					  .region_size = size, .name = name };
	int rc = xm_usable("extmem_region_alloc");

	return rc != 0 ? rc
		       : region_alloc(x, "extmem_region_alloc", &request, ret);
}

int extmem_region_request(extmem *x, const struct extmem_request *request,
			  extmem_region **ret)
{
	struct extmem_request own;
	int rc = xm_usable("extmem_region_request");

	if (rc == 0)
		rc = request_read(request, &own);
	return rc != 0 ? rc
		       : region_alloc(x, "extmem_region_request", &own, ret);
}

/* --- give ------------------------------------------------------------------------------------ */

int xm_region_forget(extmem_region *region, uint64_t offset, uint64_t size)
{
	extmem *x = region->client;
	struct xm_pager_event ev = { .kind = XM_PAGER_FORGET };
	uint64_t first = (region->address + offset) / XM_PAGE;

	if (!atomic_load(&region->tracked))
		return 0;
	return xm_range(x, &ev, first,
			first + size / XM_PAGE - XM_PLANTED(last_page_kept),
			XM_NEVER);
}

/* With regions.lock held. *ret_told: an appliance could not be. */
static int region_give(extmem_region *region, int *ret_told)
{
	extmem *x = region->client;
	int rc;

	os_mutex_take(&x->regions.links);
	xm_list_remove(&region->link);
	os_mutex_give(&x->regions.links);
	rc = xm_region_forget(region, 0, region->size);
	if (region->attached)
		xm_detach(region, 0, region->size);
	if (x->regions.closing && region->kept_ms != 0)
		xm_segments_drop(region); /* our BYE leaves it to its token */
	*ret_told = xm_segments_free(x, region->address,
				     region->address + region->size);
	xm_extent_give(&x->arena.spans, region->address, NULL);
	x->regions.count--;
	region_free(region);
	return rc;
}

void xm_region_plain_free(extmem_region *region)
{
	int told;

	region_give(region, &told);
}

int extmem_region_free(extmem_region *region)
{
	extmem_region *tables[XM_ROLL_TABLES];
	uint32_t count;
	extmem *x;
	int rc, told;

	if (region == NULL)
		return 0;
	rc = xm_region_exists(region, "extmem_region_free");
	if (rc != 0)
		return rc;
	x = region->client;
	xm_regions_lock(x);
	/* Who waits for a clone that goes waits for nothing. */
	if (region->cloning != NULL)
		xm_clone_finish(region, x->regions.closing ||
					region == region->cloning->clone);
	count = xm_sharing_leave(region, tables);
	if (count == 0) {
		tables[0] = xm_trees_leave(region);
		count = tables[0] != NULL;
	}
	/* (As the client closes they are on its list, too.) */
	for (uint32_t t = 0; t < count && !x->regions.closing; t++)
		xm_region_plain_free(tables[t]);
	rc = region_give(region, &told);
	xm_regions_unlock(x);
	if (rc == 0 && told != 0)
		rc = xm_fail(told, "extmem_region_free: its appliance could "
			     "not be told yet; it is told when it is back, or "
			     "our lease ends before");
	return rc;
}

/* --- resize ------------------------------------------------------------------------------------ */

static int grow(extmem_region *region, uint64_t size)
{
	extmem *x = region->client;
	uint64_t more = size - region->size;
	char words[512] = "";
	int rc;

	if (size > region->span)
		return xm_fail(-ENOMEM, "extmem_region_resize: the region can "
			       "grow to %llu MiB where it is",
			       (unsigned long long)(region->span / XM_MIB));
	rc = xm_segments_alloc(x, region, region->address + region->size, more,
			   words, sizeof(words));
	if (rc != 0)
		return xm_fail(rc, "extmem_region_resize: %s", words);
	if (region->attached)
		rc = xm_attach(region, region->size, more);
	if (rc != 0) {
		xm_segments_free(x, region->address + region->size,
			      region->address + size);
		return xm_fail(rc, "extmem_region_resize: cannot map: %s",
			       strerror(-rc));
	}
	rc = xm_heap_resize(&region->heap, size);
	XM_ASSERT(rc == 0);
	region->size = size;
	/* Explicit writes before the first mapping marked the old part only;
	 * the new one is as fresh as can be. */
	return 0;
}

static int shrink(extmem_region *region, uint64_t size)
{
	extmem *x = region->client;
	uint64_t less = region->size - size;
	struct xm_heap_freed freed;
	int rc;

	xm_caches_empty(region);
	while (xm_heap_trim(&region->heap, &freed))
		;
	rc = xm_heap_resize(&region->heap, size);
	if (rc != 0)
		return xm_fail(rc, "extmem_region_resize: slabs or objects are "
			       "in use beyond %llu bytes: free them first",
			       (unsigned long long)size);
	rc = xm_segments_split(x, region->address + size);
	if (rc != 0) {
		xm_heap_resize(&region->heap, region->size);
		return xm_fail(rc, "extmem_region_resize: %s",
			       rc == -EBUSY ? "how an earlier shrink ended is "
					      "not known yet: try again when "
					      "the appliance answers"
					    : xm_why(rc));
	}
	/* Only now: had it failed, the tail would be as it was. */
	xm_region_forget(region, size, less);
	if (region->attached)
		xm_detach(region, size, less);
	xm_segments_quiesce(x);
	rc = xm_segments_free(x, region->address + size,
			   region->address + region->size);
	region->size = size;
	if (rc != 0)
		return xm_fail(rc, "extmem_region_resize: the appliance could "
			       "not be told yet; it is told when it is back, "
			       "or our lease ends before");
	return 0;
}

int extmem_region_resize(extmem_region *region, uint64_t size)
{
	extmem *x = region->client;
	int rc = xm_region_usable(region, "extmem_region_resize");

	if (rc == 0)
		rc = xm_region_writable(region, "extmem_region_resize");
	if (rc == 0 && region->sparse)
		rc = xm_fail(-EINVAL, "extmem_region_resize: the region is "
			     "sparse: extmem_region_commit() gives it memory");
	if (rc == 0)
		rc = xm_strategy_size("extmem_region_resize", region->strategy,
				      x->ask.granule, &size);
	if (rc == 0 && region->fixed && size != region->size)
		rc = xm_fail(-ENOTSUP, "extmem_region_resize: what is sealed and can be "
			     "durable keeps its size: copy it into a larger one");
	if (rc == 0)
		rc = xm_region_change(region, "extmem_region_resize");
	if (rc != 0)
		return rc;
	if (size > region->size)
		rc = grow(region, size);
	else if (size < region->size)
		rc = shrink(region, size);
	if (rc == 0)
		rc = xm_region_keep_again(region, "extmem_region_resize");
	xm_region_changed(region);
	return rc;
}

uint64_t extmem_region_size(const extmem_region *region)
{
	return region->size;
}

const char *extmem_region_name(const extmem_region *region)
{
	return region->name;
}
