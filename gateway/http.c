/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * See http.h. libmicrohttpd calls take_request() several times for one request: with its
 * head, with each piece of its body, and at the end; and once more after a worker has made
 * the answer, for which the connection was suspended.
 */
#include "gateway/http.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/base.h"
#include "common/clock.h"
#include "gateway/http_parts.h"

#define SPARE 16 /* connections that may come before others have gone */
#define IDLE_S 15

static const char security_policy[] =
	"default-src 'none'; script-src 'self'; style-src 'self'; "
	"connect-src 'self'; img-src 'self'; base-uri 'none'; "
	"form-action 'none'; frame-ancestors 'none'";

/* --- one request -------------------------------------------------------------------------- */

static void add_headers(struct MHD_Response *response,
			const struct gateway_answer *a)
{
	MHD_add_response_header(response, "Content-Type", a->type);
	MHD_add_response_header(response, "Cache-Control", "no-store");
	MHD_add_response_header(response, "X-Content-Type-Options", "nosniff");
	MHD_add_response_header(response, "Referrer-Policy", "no-referrer");
	MHD_add_response_header(response, "Cross-Origin-Resource-Policy",
				"same-origin");
	MHD_add_response_header(response, "Content-Security-Policy",
				security_policy);
	if (a->status == 401)
		MHD_add_response_header(response, "WWW-Authenticate",
					"Bearer realm=\"extmem\"");
	if (a->allow)
		MHD_add_response_header(response, "Allow", a->allow);
}

static enum MHD_Result send_answer(struct request *r)
{
	struct gateway_answer *a = &r->answer;
	struct MHD_Response *response;
	enum MHD_Result sent;

	if (a->text)
		response = MHD_create_response_from_buffer(
			a->size, a->text, MHD_RESPMEM_MUST_FREE);
	else
		response = MHD_create_response_from_buffer(
			a->size > 0 ? a->size : strlen(a->fixed),
			(void *)(uintptr_t)a->fixed, MHD_RESPMEM_PERSISTENT);
	if (!response)
		return MHD_NO; /* and the text is freed with the request */
	a->text = NULL;
	add_headers(response, a);
	sent = MHD_queue_response(r->connection, a->status, response);
	MHD_destroy_response(response);
	pthread_mutex_lock(&r->http->lock);
	r->http->served.answers[a->status / 100 % 6]++;
	pthread_mutex_unlock(&r->http->lock);
	return sent;
}

static struct gateway_line *line_of(struct MHD_Connection *c)
{
	const union MHD_ConnectionInfo *info =
		MHD_get_connection_info(c, MHD_CONNECTION_INFO_SOCKET_CONTEXT);

	return info ? info->socket_context : NULL;
}

static struct request *begin(struct gateway_http *h, struct MHD_Connection *c)
{
	struct request *r = calloc(1, sizeof(*r));

	if (!r)
		return NULL;
	r->http = h;
	r->connection = c;
	r->line = line_of(c);
	return r;
}

static void take_body(struct request *r, const char *data, size_t size)
{
	if (!r->route.body || r->body_size + size > GATEWAY_BODY_MAX)
		r->too_large = true;
	if (!r->too_large && !r->body)
		r->body = malloc(GATEWAY_BODY_MAX);
	if (r->too_large || !r->body)
		return;
	memcpy(r->body + r->body_size, data, size);
	r->body_size += size;
}

static enum MHD_Result take_request(void *owner, struct MHD_Connection *c,
				    const char *url, const char *method,
				    const char *version, const char *data,
				    size_t *data_size, void **context)
{
	struct request *r = *context;

	(void)version;
	if (!r) {
		r = begin(owner, c);
		if (!r)
			return MHD_NO;
		*context = r;
		return request_begin(r, method, url) ? send_answer(r) : MHD_YES;
	}
	if (*data_size > 0) {
		take_body(r, data, *data_size);
		*data_size = 0;
		return MHD_YES;
	}
	if (r->state == REQUEST_TAKES && !request_answer(r))
		return MHD_YES; /* called again when it is resumed */
	if (r->state == REQUEST_WAITS)
		return MHD_YES;
	return send_answer(r);
}

static void end_request(void *owner, struct MHD_Connection *c, void **context,
			enum MHD_RequestTerminationCode code)
{
	struct gateway_http *h = owner;
	struct request *r = *context;
	struct gateway_line *line = line_of(c);

	(void)code;
	if (line)
		gateway_line_renew(h->lines, line, xm_clock_ns());
	if (!r)
		return;
	free(r->answer.text);
	free(r->body);
	free(r);
	*context = NULL;
}

/* --- connections -------------------------------------------------------------------------- */

static void note_connection(void *owner, struct MHD_Connection *c, void **context,
			    enum MHD_ConnectionNotificationCode code)
{
	struct gateway_http *h = owner;
	const union MHD_ConnectionInfo *info;

	if (code == MHD_CONNECTION_NOTIFY_CLOSED) {
		if (*context)
			gateway_line_end(h->lines, *context);
		return;
	}
	info = MHD_get_connection_info(c, MHD_CONNECTION_INFO_CONNECTION_FD);
	*context = info ? gateway_line_begin(h->lines, info->connect_fd,
					     xm_clock_ns())
			: NULL;
}

/* What goes wrong with one connection is its own matter. */
static void say_nothing(void *owner, const char *format, va_list arguments)
{
	(void)owner;
	(void)format;
	(void)arguments;
}

static struct MHD_Daemon *start(struct gateway_http *h)
{
	unsigned flags = MHD_USE_EPOLL | MHD_USE_INTERNAL_POLLING_THREAD |
			 MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ERROR_LOG;
	const struct MHD_OptionItem tls[] = {
		{ MHD_OPTION_HTTPS_MEM_KEY, 0, (void *)(uintptr_t)h->o.key },
		{ MHD_OPTION_HTTPS_MEM_CERT, 0,
		  (void *)(uintptr_t)h->o.certificate },
		{ MHD_OPTION_END, 0, NULL },
	};
	uint64_t patience_s = h->o.patience_ns / XM_SECOND;

	if (h->o.key)
		flags |= MHD_USE_TLS;
	return MHD_start_daemon(
		flags, 0, NULL, NULL, take_request, h,
		MHD_OPTION_EXTERNAL_LOGGER, say_nothing, NULL,
		MHD_OPTION_LISTEN_SOCKET, h->o.listener,
		MHD_OPTION_CONNECTION_LIMIT, h->o.connections_max + SPARE,
		MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)GATEWAY_HEAD_MAX,
		MHD_OPTION_CONNECTION_TIMEOUT,
		(unsigned)xm_max(1, xm_min(patience_s, IDLE_S)),
		MHD_OPTION_NOTIFY_COMPLETED, end_request, h,
		MHD_OPTION_NOTIFY_CONNECTION, note_connection, h,
		MHD_OPTION_STRICT_FOR_CLIENT, 1,
		MHD_OPTION_ARRAY, h->o.key ? tls : &tls[2], MHD_OPTION_END);
}

int gateway_http_open(const struct gateway_http_options *o, const char **ret_words,
		      struct gateway_http **ret)
{
	struct gateway_http *h = calloc(1, sizeof(*h));

	*ret_words = "out of memory";
	if (!h)
		return -ENOMEM;
	h->o = *o;
	pthread_mutex_init(&h->lock, NULL);
	h->lines = gateway_lines_open(o->connections_max, o->patience_ns);
	if (!h->lines || gateway_work_open(request_work, &h->work) != 0) {
		gateway_http_close(h);
		return -ENOMEM;
	}
	h->daemon = start(h);
	if (!h->daemon) {
		*ret_words = o->key ? "libmicrohttpd does not start: is this the "
				      "certificate of this key?"
				    : "libmicrohttpd does not start";
		gateway_http_close(h);
		return -EIO;
	}
	*ret = h;
	return 0;
}

void gateway_http_close(struct gateway_http *h)
{
	if (!h)
		return;
	if (h->work)
		gateway_work_end(h->work); /* whose requests are resumed thereby */
	if (h->daemon)
		MHD_stop_daemon(h->daemon);
	gateway_work_close(h->work);
	gateway_lines_close(h->lines);
	pthread_mutex_destroy(&h->lock);
	free(h);
}

void gateway_http_turn(struct gateway_http *h)
{
	gateway_lines_cut(h->lines, xm_clock_ns());
}
