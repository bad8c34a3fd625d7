/* SPDX-License-Identifier: BSD-3-Clause */
/* What http.c and request.c have in common. */
#ifndef EXTMEM_GATEWAY_HTTP_PARTS_H
#define EXTMEM_GATEWAY_HTTP_PARTS_H

#include <microhttpd.h>
#include <pthread.h>

#include "gateway/http.h"
#include "gateway/lines.h"
#include "gateway/work.h"

#define PATH_SIZE 256
#define QUERY_SIZE 160

struct gateway_http {
	struct gateway_http_options o;
	struct MHD_Daemon *daemon;
	struct gateway_lines *lines;
	struct gateway_work *work;
	pthread_mutex_t lock; /* of `served` */
	struct gateway_served served;
};

enum request_state {
	REQUEST_TAKES, /* its body */
	REQUEST_WAITS, /* for a worker */
	REQUEST_DONE,  /* its answer is there, or has been sent */
};

struct request {
	struct gateway_http *http;
	struct MHD_Connection *connection;
	struct gateway_line *line;
	enum request_state state;
	char path[PATH_SIZE]; /* the route points into it */
	struct gateway_route route;
	struct gateway_answer answer;
	size_t body_size;
	char *body; /* GATEWAY_BODY_MAX bytes, when there is any */
	bool too_large;
};

/* The first look at a request: its answer, unless it is to go on (then NULL). */
struct gateway_answer *request_begin(struct request *, const char *method,
				     const char *path);
/* When all of it is there. False: a worker makes the answer. */
bool request_answer(struct request *);
/* What a worker does. */
void request_work(void *job);

#endif
