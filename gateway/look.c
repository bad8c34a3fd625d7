/* SPDX-License-Identifier: BSD-3-Clause */
/* See look.h. */
#include "gateway/look.h"

#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "preload/shared.h"

struct gateway_look {
	unsigned count, hidden;
	uint64_t time_ns;
	struct run_client read[GATEWAY_CLIENTS_MAX];
	struct gateway_client now[GATEWAY_CLIENTS_MAX];
};

struct gateway_look *gateway_look_open(void)
{
	return calloc(1, sizeof(struct gateway_look));
}

void gateway_look_close(struct gateway_look *l)
{
	free(l);
}

static void user_of(uid_t uid, char *ret, size_t size)
{
	const struct passwd *user = getpwuid(uid);

	if (user)
		snprintf(ret, size, "%s", user->pw_name);
	else
		snprintf(ret, size, "%u", (unsigned)uid);
}

static void fill(const struct run_client *from, struct gateway_client *ret)
{
	const struct run_shared *s = &from->at;

	memset(ret, 0, sizeof(*ret));
	ret->file = from->file;
	ret->pid = s->pid;
	ret->external = atomic_load(&s->live_bytes);
	ret->rest = atomic_load(&s->rest_bytes);
	ret->stats = s->stats;
	snprintf(ret->program, sizeof(ret->program), "%s", s->program);
	snprintf(ret->lost, sizeof(ret->lost), "%.255s", s->lost);
	if (s->appliance_count > 0)
		snprintf(ret->appliance, sizeof(ret->appliance), "%s",
			 s->appliances[0].appliance);
	user_of(from->uid, ret->user, sizeof(ret->user));
}

static int most_first(const void *a, const void *b)
{
	const struct gateway_client *x = a, *y = b;

	if (x->external != y->external)
		return x->external < y->external ? 1 : -1;
	return (x->pid > y->pid) - (x->pid < y->pid);
}

void gateway_look_read(struct gateway_look *l)
{
	l->count = run_clients_read(l->read, GATEWAY_CLIENTS_MAX, &l->hidden);
	for (unsigned i = 0; i < l->count; i++)
		fill(&l->read[i], &l->now[i]);
	qsort(l->now, l->count, sizeof(l->now[0]), most_first);
	l->time_ns = xm_clock_ns();
}

static const struct gateway_client *earlier(const struct gateway_model *m,
					    const struct gateway_client *c)
{
	for (unsigned i = 0; i < m->clients_count; i++)
		if (m->clients[i].file == c->file && m->clients[i].pid == c->pid)
			return &m->clients[i];
	return NULL;
}

static double rate(uint64_t before, uint64_t now, double seconds)
{
	return now > before && seconds > 0 ? (double)(now - before) / seconds : 0;
}

static void remember(struct gateway_model *m, uint64_t time_ns)
{
	struct gateway_moment *now =
		&m->history[m->moments++ % GATEWAY_HISTORY_MAX];

	memset(now, 0, sizeof(*now));
	now->time_ns = time_ns;
	now->clients = m->clients_count;
	for (unsigned i = 0; i < m->clients_count; i++) {
		now->faults_s += m->clients[i].faults_s;
		now->read_s += m->clients[i].read_s;
		now->written_s += m->clients[i].written_s;
		now->mending += m->clients[i].stats.mending_bytes;
	}
	for (unsigned i = 0; i < m->appliances_count; i++) {
		if (!m->appliances[i].up)
			continue;
		now->up++;
		now->lent += m->appliances[i].status.leased;
	}
}

void gateway_look_take_over(struct gateway_look *l, struct gateway_model *m)
{
	double seconds = (double)(l->time_ns - m->turned_ns) / 1e9;

	for (unsigned i = 0; i < l->count; i++) {
		struct gateway_client *c = &l->now[i];
		const struct gateway_client *then = earlier(m, c);

		/* What programs had counted before the gateway began is not its. */
		if (then || m->turned_ns > 0)
			gateway_totals_add(&m->totals,
					   then ? &then->stats : NULL, &c->stats);
		if (!then)
			continue;
		c->faults_s = rate(then->stats.faults, c->stats.faults, seconds);
		c->read_s = rate(then->stats.bytes_read, c->stats.bytes_read,
				 seconds);
		c->written_s = rate(then->stats.bytes_written,
				    c->stats.bytes_written, seconds);
	}
	memcpy(m->clients, l->now, l->count * sizeof(l->now[0]));
	m->clients_count = l->count;
	m->hidden = l->hidden;
	m->turned_ns = l->time_ns;
	remember(m, l->time_ns);
}
