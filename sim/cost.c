/* SPDX-License-Identifier: BSD-3-Clause */
/* What things cost; see cost.h. */
#include "sim/cost.h"

#include "sim/fibers.h"
#include "sim/world.h"

struct cost_model cost;

void cost_spend(double ns)
{
	static const char busy;

	if (cost.on && ns >= 1)
		world_wait(&busy, (uint64_t)ns);
}

void cost_spend_pages(double first, double other, uint64_t pages)
{
	if (pages > 0)
		cost_spend(first + other * (double)(pages - 1));
}

static double more_pages(uint64_t size)
{
	return size > 4096 ? (double)(size - 4096) / 4096 : 0;
}

static double post_ns(bool write, uint64_t size)
{
	const struct cost_calls *c = &cost.calls[write];

	return c->post + c->post_page * more_pages(size);
}

static double poll_ns(bool write, uint64_t size)
{
	const struct cost_calls *c = &cost.calls[write];

	return c->poll + c->poll_page * more_pages(size);
}

void cost_post(bool write, uint64_t size)
{
	cost_spend(post_ns(write, size));
}

void cost_poll(bool write, uint64_t size)
{
	cost_spend(poll_ns(write, size));
}

/* Between two sizes as if the line between them were straight; beyond the last
 * by its rate. */
static void at_size(const struct cost_curve *c, uint64_t size,
		    double *ret_alone, double *ret_served)
{
	size_t i = 0;
	double part;

	while (i + 1 < c->count && c->sizes[i].bytes < size)
		i++;
	*ret_alone = c->sizes[i].alone_ns;
	*ret_served = c->sizes[i].served_ns;
	if (c->sizes[i].bytes < size) {
		part = (double)(size - c->sizes[i].bytes) /
		       (double)c->sizes[i].bytes;
		*ret_alone += part * c->sizes[i].served_ns;
		*ret_served += part * c->sizes[i].served_ns;
	} else if (i > 0) {
		part = (double)(c->sizes[i].bytes - size) /
		       (double)(c->sizes[i].bytes - c->sizes[i - 1].bytes);
		*ret_alone += part * (c->sizes[i - 1].alone_ns - *ret_alone);
		*ret_served += part * (c->sizes[i - 1].served_ns -
				       *ret_served);
	}
}

uint64_t cost_ends(bool write, uint64_t size, uint64_t *busy_ns)
{
	const struct cost_curve *c = write ? &cost.write : &cost.read;
	double own = post_ns(write, size) + poll_ns(write, size);
	double alone, served;

	at_size(c, size, &alone, &served);
	*busy_ns = xm_max(world_now() + (uint64_t)(alone > own ? alone - own
								: 0),
			  *busy_ns + (uint64_t)served);
	return *busy_ns;
}
