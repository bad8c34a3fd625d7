/* SPDX-License-Identifier: BSD-3-Clause */
/* See lines.h. A list in the order in which times run out. */
#include "gateway/lines.h"

#include <pthread.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "common/base.h"
#include "common/list.h"

struct gateway_line {
	struct xm_link link; /* in `waiting`, or alone while it is busy or cut */
	uint64_t since_ns;
	int fd;
	bool cut;
};

struct gateway_lines {
	pthread_mutex_t lock;
	struct xm_link waiting; /* the longest first */
	uint64_t patience_ns, cut;
	unsigned limit, count;
};

struct gateway_lines *gateway_lines_open(unsigned limit, uint64_t patience_ns)
{
	struct gateway_lines *l = calloc(1, sizeof(*l));

	if (!l)
		return NULL;
	pthread_mutex_init(&l->lock, NULL);
	xm_list_open(&l->waiting);
	l->limit = limit;
	l->patience_ns = patience_ns;
	return l;
}

void gateway_lines_close(struct gateway_lines *l)
{
	if (!l)
		return;
	pthread_mutex_destroy(&l->lock);
	free(l);
}

/* The descriptor stays open: who owns it sees the end of the stream, and closes it. */
static void cut(struct gateway_lines *l, struct gateway_line *line)
{
	xm_list_remove(&line->link);
	line->cut = true;
	l->cut++;
	shutdown(line->fd, SHUT_RDWR);
}

static struct gateway_line *longest(struct gateway_lines *l)
{
	struct xm_link *link = xm_list_front(&l->waiting);

	return link ? XM_CONTAINER(link, struct gateway_line, link) : NULL;
}

struct gateway_line *gateway_line_begin(struct gateway_lines *l, int fd,
					uint64_t now_ns)
{
	struct gateway_line *line = calloc(1, sizeof(*line));

	if (!line)
		return NULL;
	line->fd = fd;
	line->since_ns = now_ns;
	pthread_mutex_lock(&l->lock);
	if (++l->count > l->limit && longest(l))
		cut(l, longest(l));
	xm_list_push_back(&l->waiting, &line->link);
	pthread_mutex_unlock(&l->lock);
	return line;
}

void gateway_line_end(struct gateway_lines *l, struct gateway_line *line)
{
	pthread_mutex_lock(&l->lock);
	xm_list_remove(&line->link);
	l->count--;
	pthread_mutex_unlock(&l->lock);
	free(line);
}

void gateway_line_busy(struct gateway_lines *l, struct gateway_line *line)
{
	pthread_mutex_lock(&l->lock);
	xm_list_remove(&line->link);
	pthread_mutex_unlock(&l->lock);
}

void gateway_line_renew(struct gateway_lines *l, struct gateway_line *line,
			uint64_t now_ns)
{
	pthread_mutex_lock(&l->lock);
	line->since_ns = now_ns;
	if (!line->cut) {
		xm_list_remove(&line->link);
		xm_list_push_back(&l->waiting, &line->link);
	}
	pthread_mutex_unlock(&l->lock);
}

unsigned gateway_lines_cut(struct gateway_lines *l, uint64_t now_ns)
{
	struct gateway_line *line;
	unsigned count = 0;

	pthread_mutex_lock(&l->lock);
	while ((line = longest(l)) != NULL &&
	       now_ns >= xm_time_after(line->since_ns, l->patience_ns)) {
		cut(l, line);
		count++;
	}
	pthread_mutex_unlock(&l->lock);
	return count;
}

unsigned gateway_lines_count(struct gateway_lines *l, uint64_t *ret_cut)
{
	unsigned count;

	pthread_mutex_lock(&l->lock);
	count = l->count;
	*ret_cut = l->cut;
	pthread_mutex_unlock(&l->lock);
	return count;
}
