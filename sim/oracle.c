/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The oracle asks the laws (docs/ARCHITECTURE.md, "Laws"):
 *
 *  1 ownership	no two live leases overlap; the pool adds up (each service's
 *		own check, and a sum)
 *  2 isolation	no access under a lease reaches bytes that are not its own
 *		(oracle_access), and what programs read is theirs (program.c)
 *  3 faithfulness  programs' shadows (program.c), and their level: what a sync
 *		or an explicit write has said is there, is there (shadow.c)
 *  4 epoch	no access succeeds after its lease's end (oracle_access), and
 *		no key opens bytes that are another's or nobody's (oracle_key);
 *		a lease ends after a silence that was listened to, and then
 *  5 page truth	a present clean page equals the remote bytes or a write-back buffer's;
 *		budgets hold; each pager's own check
 *  6 liveness	the run's second half (run.c); a call returns by its deadline
 *		(shadow.c)
 *  7 bounds	assertions in the machines, which end here too; a client that
 *		is closed leaves no memory behind (program.c)
 *  8 counters	what a client counts is what the fabric and the mapper saw of
 *		it, and what programs have (operations.c)
 *
 * Keys and tickets never come again (fabric.c).
 */
#include <string.h>

#include "core/client/client.h"
#include "sim/appliance.h"
#include "sim/counts.h"
#include "sim/fabric.h"
#include "sim/notes.h"
#include "sim/oracle.h"
#include "sim/programs.h"
#include "sim/shape.h"
#include "sim/touch.h"
#include "sim/weather.h"
#include "sim/world.h"

/* Asking everything after every event would ask the same things mostly: every
 * access is asked about, the rest every so many events, by turns. */
#define EVERY 26

static void ask_appliance(uint32_t index)
{
	struct xm_service *service = appliance_service(index);
	const char *broken;

	if (service == NULL)
		return;
	broken = xm_service_check(service);
	sim_counts.laws_asked += 2;
	if (broken != NULL)
		world_broken("ownership", "appliance %u: %s", index, broken);
}

static void broken_page(uint64_t page, uint32_t appliance,
			const uint8_t *here, const uint8_t *there)
{
	size_t at = 0;

	while (here[at] == there[at])
		at++;
	at &= ~(size_t)7;
	world_broken("page truth", "clean page %llu of a client differs from "
		     "appliance %u at byte %zu: %016llx here, %016llx there",
		     (unsigned long long)page, appliance, at,
		     *(const unsigned long long *)(const void *)(here + at),
		     *(const unsigned long long *)(const void *)(there + at));
}

static const uint8_t zeros[XM_PAGE];

/* A page that is here and clean, against what is behind it. */
static void ask_page(extmem *x, struct lane *lane, uint64_t page)
{
	struct xm_engine *e = &lane->engine;
	const struct xm_page *entry = &e->pager.pages[page];
	const uint8_t *here = x->base + page * XM_PAGE, *there;
	struct xm_segment *s;
	uint64_t offset;
	uint32_t hint = 0;
	bool is_here, is_open;

	touch_state(x, page, &is_here, &is_open);
	if (!is_here)
		world_broken("page truth", "page %llu is %s to the pager and "
			     "absent to the mapper",
			     (unsigned long long)page,
			     entry->state == XM_PAGE_CLEAN ? "clean" : "dirty");
	if (entry->state == XM_PAGE_DIRTY)
		return;
	if (is_open)
		world_broken("page truth", "clean page %llu is not protected",
			     (unsigned long long)page);
	s = xm_layout_find(&x->layout, page, &hint);
	/* STORING (flag 2): the write-back buffer has the truth; not WRITTEN (1): zeros. */
	if (s == NULL || s->lost || (entry->flags & 2) != 0)
		return;
	sim_counts.laws_asked++;
	if ((entry->flags & 1) == 0) {
		if (memcmp(here, zeros, XM_PAGE) != 0)
			world_broken("page truth", "fresh page %llu is not "
				     "zero", (unsigned long long)page);
		return;
	}
	/* By the key, as an access goes. Where there is none the lease has
	 * ended, and the client will hear of it. */
	if (!fabric_key(appliance_interface(s->appliance), s->remote.key,
			&offset))
		return;
	there = appliance_pool(s->appliance) + offset + s->remote_offset +
		(page - s->page) * XM_PAGE;
	if (memcmp(here, there, XM_PAGE) != 0)
		broken_page(page, s->appliance, here, there);
}

/* Between two of a lane's turns all that was begun has been counted, and so has
 * all that ended. */
static void ask_counters(uint32_t index, const struct lane *lane)
{
	const struct xm_engine *e = &lane->engine;
	struct fabric_counts sum = { 0 };

	for (uint32_t i = 0; i < e->peers_count; i++)
		fabric_count(e->peers[i].transport, &sum);
	sim_counts.laws_asked++;
	if (e->counters.reads != sum.reads ||
	    e->counters.writes != sum.writes ||
	    e->counters.bytes_read != sum.bytes_read ||
	    e->counters.bytes_written != sum.bytes_written)
		world_broken("counters", "client %u counts %llu reads and "
			     "%llu writes of a lane, of %llu and %llu bytes; "
			     "the fabric saw %llu and %llu, of %llu and %llu",
			     index, (unsigned long long)e->counters.reads,
			     (unsigned long long)e->counters.writes,
			     (unsigned long long)e->counters.bytes_read,
			     (unsigned long long)e->counters.bytes_written,
			     (unsigned long long)sum.reads,
			     (unsigned long long)sum.writes,
			     (unsigned long long)sum.bytes_read,
			     (unsigned long long)sum.bytes_written);
	if (xm_engine_flying(e) != sum.flying)
		world_broken("counters", "client %u waits for %u operations "
			     "of a lane, and the fabric has %u", index,
			     xm_engine_flying(e), sum.flying);
}

static void ask_client(uint32_t index)
{
	extmem *x = program_client(index);
	uint64_t frames = 0;
	bool all = true;

	if (x == NULL)
		return;
	for (uint32_t l = 0; l < x->lanes_count; l++) {
		struct lane *lane = &x->lanes[l];
		const struct xm_pager *p = &lane->engine.pager;
		const char *broken;

		/* Locked: its machine is between two of a step's effects. */
		if (p->frames == NULL || atomic_load(&lane->lock.word) != 0) {
			all = false;
			continue;
		}
		ask_counters(index, lane);
		frames += p->frames_used;
		broken = xm_pager_check(p);
		if (broken != NULL)
			world_broken("page truth", "client %u lane %u: %s",
				     index, l, broken);
		sim_counts.laws_asked++;
		for (uint32_t i = 0; i < p->frames_fresh; i++) {
			if (p->frames[i].page != UINT64_MAX)
				ask_page(x, lane, p->frames[i].page);
		}
	}
	if (all && touch_count(x) != frames)
		world_broken("counters", "client %u has %llu pages here, and "
			     "%llu frames in use", index,
			     (unsigned long long)touch_count(x),
			     (unsigned long long)frames);
}

/* --- leases: who was heard when, by the appliance's time awake ----------------- */

static struct life {
	struct {
		uint64_t number, at_ns, heard_ns, heard_least_ns;
	} clients[64];
	bool heard[64]; /* peers, since the last look */
	bool any;
	uint64_t expired;
} lives[SIM_APPLIANCES_MAX];

void oracle_begin(uint32_t appliance)
{
	memset(&lives[appliance], 0, sizeof(lives[appliance]));
}

void oracle_heard(uint32_t appliance, uint32_t peer)
{
	XM_ASSERT(peer < XM_COUNT(lives[0].heard));
	lives[appliance].heard[peer] = true;
	lives[appliance].any = true;
}

static void hear(struct life *life, const struct xm_service *service,
		 const struct process *control)
{
	for (uint32_t i = 0; i < service->options.peers_max; i++) {
		const struct xm_service_peer *peer = &service->peers[i];

		if (!life->heard[i] || peer->state != XM_PEER_CLIENT)
			continue;
		life->clients[peer->client].number =
			service->clients[peer->client].number;
		life->clients[peer->client].at_ns = world_now();
		life->clients[peer->client].heard_ns = world_awake_ns(control);
		life->clients[peer->client].heard_least_ns =
			world_awake_least_ns(control);
	}
	memset(life->heard, 0, sizeof(life->heard));
	life->any = false;
}

/* Since it was heard last nothing has kept this client, or what it says, from the
 * appliance, and it has a stream and goes by its lease still; so its silence is
 * its own. */
static void ask_undisturbed(uint32_t index, const struct xm_service *service,
			    const struct xm_service_client *c, uint64_t at_ns)
{
	if (!sim_shape.drawn || sim_shape.link.loss_permille > 0 ||
	    at_ns <= weather_disturbs())
		return;
	for (uint32_t i = 0; i < sim_shape.clients; i++) {
		extmem *x = program_client(i);
		const struct xm_session *s;

		if (x == NULL || x->keeper.control.count <= index)
			continue;
		s = &x->keeper.control.peers[index].session;
		if (s->state != XM_SESSION_READY ||
		    s->hello.client != c->number ||
		    s->welcome.incarnation != service->options.incarnation)
			continue;
		sim_counts.laws_asked++;
		world_broken("liveness", "appliance %u ended the lease of "
			     "client %u, which ran and was connected, after "
			     "%llu ms of silence", index, i,
			     (unsigned long long)((world_now() - at_ns) /
						  XM_MS));
	}
}

/* One that is taken for dead was silent for as long as its lease while the
 * appliance listened: had it slept itself, it could not know. */
static void ask_expired(uint32_t index, struct life *life,
			const struct xm_service *service, uint64_t awake_ns)
{
	life->expired = service->expired;
	for (uint32_t i = 0; i < service->options.clients_max; i++) {
		const struct xm_service_client *c = &service->clients[i];
		uint64_t silence_ns = awake_ns - life->clients[i].heard_ns;

		if (c->state != XM_CLIENT_EXPIRED || c->bye ||
		    life->clients[i].number != c->number)
			continue;
		life->clients[i].number = 0;
		sim_counts.laws_asked++;
		ask_undisturbed(index, service, c, life->clients[i].at_ns);
		if (silence_ns < c->lease_ns - c->lease_ns / 8)
			world_broken("epoch", "appliance %u ended the lease of "
				     "%s after %llu ms of listening, of %llu",
				     index, c->name,
				     (unsigned long long)(silence_ns / XM_MS),
				     (unsigned long long)(c->lease_ns /
							  XM_MS));
	}
}

static void ask_silent(uint32_t index, const struct life *life,
		       const struct xm_service *service, uint64_t least_ns)
{
	for (uint32_t i = 0; i < service->options.clients_max; i++) {
		const struct xm_service_client *c = &service->clients[i];
		uint64_t silence_ns =
			least_ns - life->clients[i].heard_least_ns;

		if ((c->state != XM_CLIENT_KNOWN &&
		     c->state != XM_CLIENT_SILENT) ||
		    life->clients[i].number != c->number)
			continue;
		sim_counts.laws_asked++;
		if (silence_ns > 2 * c->lease_ns + 2 * XM_SECOND)
			world_broken("epoch", "appliance %u has heard nothing "
				     "of %s for %llu ms, and its lease of %llu "
				     "goes on", index, c->name,
				     (unsigned long long)(silence_ns / XM_MS),
				     (unsigned long long)(c->lease_ns /
							  XM_MS));
	}
}

static void ask_lives(uint32_t index, bool all)
{
	struct xm_service *service = appliance_service(index);
	struct process *control = appliance_control(index);
	struct life *life = &lives[index];

	if (service == NULL || control->hung)
		return;
	if (life->any)
		hear(life, service, control);
	if (service->expired != life->expired)
		ask_expired(index, life, service, world_awake_ns(control));
	if (all)
		ask_silent(index, life, service,
			   world_awake_least_ns(control));
}

/* In weather where clients hang and nothing else happens, and none for longer
 * than a lease, nobody's page is lost. */
void oracle_page_lost(void)
{
	if (!weather_only_pauses())
		return;
	for (uint32_t i = 0; i < sim_shape.appliances; i++) {
		if (appliance_service(i) == NULL ||
		    appliance_service(i)->expired > 0)
			return;
	}
	world_broken("liveness", "a page was lost, and only clients had hung");
}

/* --- keys and names --------------------------------------------------------------- */

void oracle_key(uint32_t appliance, uint64_t client, uint64_t offset,
		uint64_t size)
{
	const struct xm_service *service = appliance_service(appliance);
	uint64_t covered = 0;

	if (service == NULL)
		return;
	sim_counts.laws_asked++;
	for (uint32_t i = 0; i < service->options.extents_max; i++) {
		const struct xm_service_extent *e = &service->extents[i];
		uint64_t first = xm_max(offset, e->offset);
		uint64_t end = xm_min(offset + size, e->offset + e->size);

		if (e->state == XM_EXTENT_FREE || first >= end)
			continue;
		covered += end - first;
		if (e->state == XM_EXTENT_ZEROING ||
		    (e->client != XM_SERVICE_NONE &&
		     service->clients[e->client].number != client))
			world_broken("isolation", "a key of client %llu opens "
				     "byte %llu of appliance %u, which is %s",
				     (unsigned long long)client,
				     (unsigned long long)first, appliance,
				     e->state == XM_EXTENT_ZEROING
					     ? "being zeroed" : "another's");
	}
	if (covered != size)
		world_broken("isolation", "a key of client %llu opens bytes of "
			     "appliance %u that are free",
			     (unsigned long long)client, appliance);
}

/* Two clients never go by one number. */
static void ask_names(uint32_t appliance)
{
	uint64_t numbers[SIM_CLIENTS_MAX], incarnations[SIM_CLIENTS_MAX];
	uint32_t count = 0;

	for (uint32_t i = 0; i < sim_shape.clients; i++) {
		extmem *x = program_client(i);
		const struct xm_session *s;

		if (x == NULL || x->keeper.control.count <= appliance)
			continue;
		s = &x->keeper.control.peers[appliance].session;
		if (s->state != XM_SESSION_READY)
			continue;
		sim_counts.laws_asked++;
		numbers[count] = s->hello.client;
		incarnations[count] = s->welcome.incarnation;
		for (uint32_t k = 0; k < count; k++) {
			if (numbers[k] == numbers[count] &&
			    incarnations[k] == incarnations[count])
				world_broken("isolation", "two clients go by "
					     "the number %llu at appliance %u",
					     (unsigned long long)numbers[k],
					     appliance);
		}
		count++;
	}
}

void oracle_ask(void)
{
	uint64_t turn = world_events() / EVERY;
	const struct process *ran = world_ran();

	/* Only what it did itself changes what a control process has heard. */
	if (ran != NULL && ran->node < sim_shape.appliances &&
	    ran == appliance_control(ran->node))
		ask_lives(ran->node, false);
	if (world_events() % EVERY != 0)
		return;
	ask_appliance((uint32_t)(turn % sim_shape.appliances));
	if (turn % 4 == 0) {
		uint32_t index = (uint32_t)(turn / 4 % sim_shape.appliances);

		ask_lives(index, true);
		ask_names(index);
		if (appliance_service(index) != NULL &&
		    appliance_interface(index) != NULL)
			fabric_ask(index);
	}
	programs_ask();
	if (turn % 8 == 0)
		ask_client((uint32_t)(turn / 8 % sim_shape.clients));
}

void oracle_access(uint32_t appliance, uint64_t client, uint64_t offset,
		   uint64_t size, bool write)
{
	struct xm_service *service = appliance == UINT32_MAX
					     ? NULL
					     : appliance_service(appliance);

	if (service == NULL)
		return;
	sim_counts.laws_asked += 2;
	for (uint32_t i = 0; i < service->options.extents_max; i++) {
		const struct xm_service_extent *e = &service->extents[i];

		if (e->state == XM_EXTENT_FREE ||
		    e->client == XM_SERVICE_NONE ||
		    service->clients[e->client].number != client)
			continue;
		/* Ours, or on its way out, its bytes not yet anybody's. */
		if ((e->state == XM_EXTENT_LEASED ||
		     e->state == XM_EXTENT_CONCEALING ||
		     e->state == XM_EXTENT_EXPOSING ||
		     e->state == XM_EXTENT_QUARANTINE) &&
		    offset >= e->offset && offset < e->offset + e->size)
			return;
	}
	(void)size;
	world_broken("epoch", "a %s of client %llu reached byte %llu of "
		     "appliance %u, which is not its own any more",
		     write ? "write" : "read", (unsigned long long)client,
		     (unsigned long long)offset, appliance);
}
