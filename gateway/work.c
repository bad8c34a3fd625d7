/* SPDX-License-Identifier: BSD-3-Clause */
/* See work.h. */
#include "gateway/work.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

struct gateway_work {
	pthread_mutex_t lock;
	pthread_cond_t change;
	void (*run)(void *job);
	bool ends;
	unsigned begin, count; /* of jobs, a ring */
	void *jobs[GATEWAY_JOBS_MAX];
	unsigned threads_count;
	pthread_t threads[GATEWAY_WORKERS];
};

static void *work_on(void *argument)
{
	struct gateway_work *w = argument;

	pthread_mutex_lock(&w->lock);
	for (;;) {
		void *job;

		while (w->count == 0 && !w->ends)
			pthread_cond_wait(&w->change, &w->lock);
		if (w->count == 0)
			break;
		job = w->jobs[w->begin];
		w->begin = (w->begin + 1) % GATEWAY_JOBS_MAX;
		w->count--;
		pthread_mutex_unlock(&w->lock);
		w->run(job);
		pthread_mutex_lock(&w->lock);
	}
	pthread_mutex_unlock(&w->lock);
	return NULL;
}

int gateway_work_open(void (*run)(void *job), struct gateway_work **ret)
{
	struct gateway_work *w = calloc(1, sizeof(*w));

	if (!w)
		return -ENOMEM;
	w->run = run;
	pthread_mutex_init(&w->lock, NULL);
	pthread_cond_init(&w->change, NULL);
	for (; w->threads_count < GATEWAY_WORKERS; w->threads_count++)
		if (pthread_create(&w->threads[w->threads_count], NULL, work_on,
				   w) != 0) {
			gateway_work_close(w);
			return -EAGAIN;
		}
	*ret = w;
	return 0;
}

void gateway_work_end(struct gateway_work *w)
{
	pthread_mutex_lock(&w->lock);
	w->ends = true;
	pthread_cond_broadcast(&w->change);
	pthread_mutex_unlock(&w->lock);
	for (unsigned i = 0; i < w->threads_count; i++)
		pthread_join(w->threads[i], NULL);
	w->threads_count = 0;
}

void gateway_work_close(struct gateway_work *w)
{
	if (!w)
		return;
	gateway_work_end(w);
	pthread_cond_destroy(&w->change);
	pthread_mutex_destroy(&w->lock);
	free(w);
}

bool gateway_work_add(struct gateway_work *w, void *job)
{
	bool room;

	pthread_mutex_lock(&w->lock);
	room = w->count < GATEWAY_JOBS_MAX && !w->ends;
	if (room) {
		w->jobs[(w->begin + w->count) % GATEWAY_JOBS_MAX] = job;
		w->count++;
		pthread_cond_signal(&w->change);
	}
	pthread_mutex_unlock(&w->lock);
	return room;
}
