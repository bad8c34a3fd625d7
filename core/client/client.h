/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A client: its parts, one for each subject. The file that a part is named after
 * owns it; its header says who may call, and with which lock.
 *
 * Locks, in the order in which they may be taken:
 *	ask.adding		adding an appliance
 *	regions.lock		alloc, free, resize of regions; the arena's spans
 *	cache.lock		a thread's cache of objects, as it ends (objects.c)
 *	extmem_region.lock	slabs, objects, mappings of one region
 *	regions.links		the list of regions, which the keeper reads
 *	clones.lock		the list of clones under way
 *	registered.lock		memory that was registered
 *	ask.lock		sessions, requests
 *	async.lock		transfers that are free, stuck, or done
 *	lane.lock		a lane's engine; the volume is read under any,
 *				and changed under all of them
 */
#ifndef XM_CLIENT_H
#define XM_CLIENT_H

#include "core/client/arena.h"
#include "core/client/ask.h"
#include "core/client/async.h"
#include "core/client/clones.h"
#include "core/client/faults.h"
#include "core/client/lane.h"
#include "core/client/lost.h"
#include "core/client/region.h"
#include "core/client/registered.h"
#include "core/client/sealing.h"
#include "core/client/serve.h"
#include "core/client/settings.h"
#include "core/extmem.h"
#include "core/pure/print.h"
#include "core/pure/versions.h"
#include "core/pure/volume.h"

struct extmem {
	struct xm_client_settings settings;
	struct xm_options *options; /* the settings' strings */
	struct xm_strategy *strategy; /* of regions that ask for none; or NULL */
	struct xm_arena arena;
	struct xm_regions regions;
	struct xm_volume volume;
	struct xm_sealing sealing;
	struct xm_printing printing;
	struct xm_ask ask;
	struct xm_clones clones;
	struct xm_lanes lanes;
	struct xm_faults faults;
	struct xm_engine_watch watch; /* watch.c's own, changed with all lanes locked */
	struct xm_registered registered;
	struct xm_async async;
	xm_marks *marks; /* of all lanes, since a region was shared; or NULL */
	struct xm_lost lost;
};

#endif
