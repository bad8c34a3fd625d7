/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Epoch: no access succeeds after its lease's epoch has ended.
 *
 * And a lease ends when it should: after its client was silent for as long as the
 * lease lasts while the appliance could listen, not earlier, and then it does end.
 */
#include <string.h>

#include "core/client/client.h"
#include "sim/appliance.h"
#include "sim/counts.h"
#include "sim/laws.h"
#include "sim/notes.h"
#include "sim/oracle.h"
#include "sim/programs.h"
#include "sim/shape.h"
#include "sim/weather.h"
#include "sim/world.h"

/* It has no owner since a moment ago, or nobody has claimed it since, and the former one's key
 * is being concealed: nobody can have it yet. Who has parted with it by his own will has written all before; who was silent
 * for too long, and has it kept, cannot know. */
static bool is_parting(const struct xm_service *service,
		       const struct xm_service_extent *e, uint64_t client, bool write)
{
	const struct xm_service_grant *g;

	if ((e->state != XM_EXTENT_ORPHAN && e->state != XM_EXTENT_PARTING) ||
	    e->grant == XM_SERVICE_NONE)
		return false;
	g = &service->grants[e->grant];
	return g->state == XM_GRANT_CONCEALING && !(write && g->parts) &&
	       g->client != XM_SERVICE_NONE &&
	       service->clients[g->client].number == client;
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

		if (is_parting(service, e, client, write) &&
		    offset >= e->offset && offset < e->offset + e->size)
			return;
		if (e->state == XM_EXTENT_FREE ||
		    e->owner == XM_SERVICE_NONE ||
		    service->clients[e->owner].number != client)
			continue;
		/* Ours, or on its way out, its bytes not yet anybody's. */
		if ((e->state == XM_EXTENT_OWNED ||
		     e->state == XM_EXTENT_PARTING) &&
		    offset >= e->offset && offset < e->offset + e->size)
			return;
	}
	if (!write && oracle_reads(appliance, client, offset))
		return;
	(void)size;
	world_broken("epoch", "a %s of client %llu reached byte %llu of "
		     "appliance %u, which is not its own any more",
		     write ? "write" : "read", (unsigned long long)client,
		     (unsigned long long)offset, appliance);
}

/* --- leases ------------------------------------------------------------------- */

/* When each client was heard last, by the appliance's time awake. */
static struct life {
	struct {
		uint64_t number, at_ns, heard_ns, heard_least_ns;
		uint32_t heard_jumps;
	} clients[64];
	bool heard[64]; /* peers, since the last look */
	bool any;
	uint64_t expired;
} lives[SIM_APPLIANCES_MAX];

void oracle_begin(uint32_t appliance)
{
	memset(&lives[appliance], 0, sizeof(lives[appliance]));
}

static void hear_peer(struct life *life, const struct xm_service *service,
		      const struct process *control,
		      const struct xm_service_peer *peer)
{
	if (peer->state != XM_PEER_CLIENT)
		return;
	life->clients[peer->client].number =
		service->clients[peer->client].number;
	life->clients[peer->client].at_ns = world_now();
	life->clients[peer->client].heard_ns = world_awake_ns(control);
	life->clients[peer->client].heard_least_ns =
		world_awake_least_ns(control);
	life->clients[peer->client].heard_jumps = control->jumps;
}

/* At once, as the stream may break in the same turn of the control process, and
 * once more after it, when HELLO has said which client it is. */
void oracle_heard(uint32_t appliance, uint32_t peer)
{
	const struct xm_service *service = appliance_service(appliance);
	struct life *life = &lives[appliance];

	XM_ASSERT(peer < XM_COUNT(lives[0].heard));
	if (service != NULL)
		hear_peer(life, service, appliance_control(appliance),
			  &service->peers[peer]);
	life->heard[peer] = true;
	life->any = true;
}

/* A stream that said HELLO and broke in one turn: nobody knows any more whose it was. */
static void hear_somebody(struct life *life, const struct process *control)
{
	for (uint32_t i = 0; i < XM_COUNT(life->clients); i++) {
		life->clients[i].heard_least_ns = world_awake_least_ns(control);
		life->clients[i].heard_jumps = control->jumps;
	}
}

static void hear(struct life *life, const struct xm_service *service,
		 const struct process *control)
{
	for (uint32_t i = 0; i < service->options.peers_max; i++) {
		if (!life->heard[i])
			continue;
		hear_peer(life, service, control, &service->peers[i]);
		if (service->peers[i].state == XM_PEER_FREE)
			hear_somebody(life, control);
	}
	memset(life->heard, 0, sizeof(life->heard));
	life->any = false;
}

/* A lease was ended: is its client one that runs and is connected, and has no
 * fault been injected since it was heard last? Then it should have been heard. */
static void ask_undisturbed(uint32_t index, const struct xm_service *service,
			    const struct xm_service_client *c, uint64_t at_ns)
{
	if (!sim_shape.drawn || sim_shape.link.loss_permille > 0 ||
	    at_ns <= weather_disturbs())
		return;
	for (uint32_t i = 0; i < sim_shape.clients; i++) {
		extmem *x = program_client(i);
		const struct xm_session *s;

		if (x == NULL || x->ask.keeper.control.count <= index)
			continue;
		s = &x->ask.keeper.control.peers[index].session;
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

/* A client whose lease was ended for silence must have been silent for the length
 * of its lease while the appliance ran: one that hung itself cannot know. */
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

/* The lease is an eighth longer for each jump of the appliance's clock: it sees a gap
 * in which it has not looked, and cannot know how much of it was a wait for its next
 * tick. */
static void ask_silent(uint32_t index, const struct life *life,
		       const struct xm_service *service,
		       const struct process *control)
{
	uint64_t least_ns = world_awake_least_ns(control);

	for (uint32_t i = 0; i < service->options.clients_max; i++) {
		const struct xm_service_client *c = &service->clients[i];
		uint64_t silence_ns =
			least_ns - life->clients[i].heard_least_ns;
		uint64_t jumps = control->jumps - life->clients[i].heard_jumps;

		if ((c->state != XM_CLIENT_KNOWN &&
		     c->state != XM_CLIENT_SILENT) ||
		    life->clients[i].number != c->number)
			continue;
		sim_counts.laws_asked++;
		if (silence_ns > c->lease_ns + (2 + jumps) * (c->lease_ns / 8) +
					 100 * XM_MS)
			world_broken("epoch", "appliance %u has heard nothing "
				     "of %s for %llu ms, and its lease of %llu "
				     "goes on", index, c->name,
				     (unsigned long long)(silence_ns / XM_MS),
				     (unsigned long long)(c->lease_ns /
							  XM_MS));
	}
}

void law_leases(uint32_t index, bool all)
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
		ask_silent(index, life, service, control);
}
