/* SPDX-License-Identifier: BSD-3-Clause */
/* The raw call, asked for; see net.h. */
#include "bench/net.h"

#include <math.h>
#include <string.h>
#include <unistd.h>

#include "bench/alone.h"

#define T_NET_MS 20 /* some 2000 reads */
#define RATE_MS 40

static struct alone raw;

/* Over loopback it says something only where the appliance is on this host
 * too; the host its address names, or NULL. */
static const char *own_host(const struct bench *b)
{
	static char host[BENCH_ADDRESS_SIZE];
	const char *at = strstr(b->addresses[0], "://");
	char own[64] = "";

	if (at == NULL)
		return NULL;
	snprintf(host, sizeof(host), "%s", at + 3);
	host[strcspn(host, ":")] = '\0';
	gethostname(own, sizeof(own) - 1);
	if (strcmp(host, "127.0.0.1") == 0 || strcmp(host, "localhost") == 0 ||
	    strcmp(host, own) == 0)
		return host;
	return NULL;
}

const char *net_start(const struct bench_client *c)
{
	bool shm = strcmp(c->info.provider, "shm") == 0;
	const char *host = shm ? "-" : own_host(c->bench);
	char argument[256];

	if (raw.pid != 0)
		return NULL;
	if (strcmp(c->info.transport, "loop") == 0)
		return "loop is no libfabric";
	if (host == NULL)
		return "the appliance is on another host";
	snprintf(argument, sizeof(argument), "%s %s %s", c->info.provider,
		 c->info.endpoint, host);
	if (!alone_start(&raw, "raw", argument, NULL))
		return "they could not be started";
	return NULL;
}

bool net_ask(const struct rma_point *p, struct rma_result *ret)
{
	char question[64], answer[128];

	snprintf(question, sizeof(question), "%s %llu %u %.3f",
		 p->write ? "write" : "read", (unsigned long long)p->bytes,
		 p->depth, p->ms);
	return raw.pid != 0 &&
	       alone_ask(&raw, question, answer, sizeof(answer)) &&
	       sscanf(answer, "%lf %lf", &ret->us, &ret->MBps) == 2;
}

void net_stop(void)
{
	alone_stop(&raw);
}

bool net_ground(double *ret_t_net_us, double *ret_B_net_MBps)
{
	static const uint64_t sizes[] = { 64 << 10, 256 << 10, 1 << 20 };
	static const unsigned depths[] = { 1, 4 };
	struct rma_point p = { .bytes = BENCH_PAGE, .depth = 1,
			       .ms = T_NET_MS };
	struct rma_result one, many;
	double best = 0;

	/* The first reads find both ends cold. */
	if (!net_ask(&p, &one) || !net_ask(&p, &one))
		return false;
	p.ms = RATE_MS;
	for (size_t i = 0; i < XM_COUNT(sizes) * XM_COUNT(depths); i++) {
		p.bytes = sizes[i / XM_COUNT(depths)];
		p.depth = depths[i % XM_COUNT(depths)];
		if (!net_ask(&p, &many))
			return false;
		best = fmax(best, many.MBps);
	}
	*ret_t_net_us = one.us;
	*ret_B_net_MBps = best;
	return true;
}
