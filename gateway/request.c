/* SPDX-License-Identifier: BSD-3-Clause */
/* From a request to its answer; see http.h. */
#include <dirent.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base.h"
#include "common/clock.h"
#include "gateway/embedded.h"
#include "gateway/http_parts.h"
#include "gateway/log.h"
#include "gateway/metrics.h"

#define METRICS_MAX (4 * XM_MIB)

static const char *header(struct MHD_Connection *c, const char *name)
{
	return MHD_lookup_connection_value(c, MHD_HEADER_KIND, name);
}

static const char *argument(struct MHD_Connection *c, const char *name)
{
	return MHD_lookup_connection_value(c, MHD_GET_ARGUMENT_KIND, name);
}

/* --- who may ---------------------------------------------------------------------------- */

static void say_who(struct request *r)
{
	const union MHD_ConnectionInfo *info = MHD_get_connection_info(
		r->connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
	char host[64] = "?";

	if (info)
		getnameinfo(info->client_addr,
			    info->client_addr->sa_family == AF_INET6
				    ? sizeof(struct sockaddr_in6)
				    : sizeof(struct sockaddr_in),
			    host, sizeof(host), NULL, 0, NI_NUMERICHOST);
	gateway_say(GATEWAY_HTTP, XM_LEVEL_WARNING, "a wrong token from %s, for %s", host,
		    r->path);
}

static void refuse(struct request *r, enum gateway_admission why)
{
	struct gateway_answer *a = &r->answer;

	switch (why) {
	case GATEWAY_FOREIGN_HOST:
		gateway_answer_error(a, 421, "foreign_host",
				     "use localhost, or name the host in "
				     "--server-name",
				     "the header Host names another server");
		break;
	case GATEWAY_FOREIGN_ORIGIN:
		gateway_answer_error(a, 403, "foreign_origin", "",
				     "a page of another site has asked");
		break;
	case GATEWAY_NO_TOKEN:
		gateway_answer_error(a, 401, "token_missing",
				     "send the header Authorization: Bearer "
				     "TOKEN, with a token of --token-file",
				     "this needs a token");
		break;
	case GATEWAY_WRONG_TOKEN:
		pthread_mutex_lock(&r->http->lock);
		r->http->served.tokens_wrong++;
		pthread_mutex_unlock(&r->http->lock);
		say_who(r);
		gateway_answer_error(a, 401, "token_wrong",
				     "send the header Authorization: Bearer "
				     "TOKEN, with a token of --token-file",
				     "that token is not known here");
		break;
	case GATEWAY_READ_TOKEN:
		gateway_answer_error(a, 403, "token_reads",
				     "acts need a token of --token-file",
				     "this token is for reading only");
		break;
	default:
		gateway_answer_error(a, 403, "no_acts",
				     "start it with --token-file",
				     "this gateway takes no acts");
	}
}

static bool is_admitted(struct request *r)
{
	const struct gateway_headers h = {
		.host = header(r->connection, "Host"),
		.origin = header(r->connection, "Origin"),
		.fetch_site = header(r->connection, "Sec-Fetch-Site"),
		.authorization = header(r->connection, "Authorization"),
	};
	enum gateway_admission admission =
		gateway_admit(r->http->o.rules, &h, r->route.right);

	if (admission != GATEWAY_ADMITTED)
		refuse(r, admission);
	return admission == GATEWAY_ADMITTED;
}

struct gateway_answer *request_begin(struct request *r, const char *method,
				     const char *path)
{
	const char *length = header(r->connection, "Content-Length");
	const char *allowed = NULL;
	int status = 404;

	if (strlen(path) < sizeof(r->path)) {
		snprintf(r->path, sizeof(r->path), "%s", path);
		status = gateway_route(method, r->path, &r->route, &allowed);
	}
	if (status == 404) {
		gateway_answer_error(&r->answer, 404, "no_such_path",
				     "GET /v1/openapi.json lists the paths",
				     "there is nothing at this path");
	} else if (status != 200) {
		gateway_answer_error(&r->answer, (unsigned)status, "bad_method",
				     "the header Allow has those that there are",
				     "this path does not have that method");
		r->answer.allow = allowed;
	} else if (length && (strlen(length) > 5 ||
			      strtoul(length, NULL, 10) > GATEWAY_BODY_MAX)) {
		gateway_answer_error(&r->answer, 413, "too_large", "",
				     "a body has at most %d bytes",
				     GATEWAY_BODY_MAX);
	} else if (is_admitted(r)) {
		return NULL;
	}
	return &r->answer;
}

/* --- answers that need nobody --------------------------------------------------------------- */

static void fixed(struct gateway_answer *a, const char *type, const char *text,
		  size_t size)
{
	a->status = 200;
	a->type = type;
	a->fixed = text;
	a->size = size;
}

static void self_look(const struct gateway_http *h, struct gateway_self *ret)
{
	FILE *file = fopen("/proc/self/statm", "re");
	unsigned long size, resident = 0;
	DIR *folder = opendir("/proc/self/fd");
	struct dirent *entry;

	memset(ret, 0, sizeof(*ret));
	if (file && fscanf(file, "%lu %lu", &size, &resident) != 2)
		resident = 0;
	if (file)
		fclose(file);
	while (folder && (entry = readdir(folder)) != NULL)
		ret->descriptors += entry->d_name[0] != '.';
	if (folder) {
		closedir(folder);
		ret->descriptors--;
	}
	ret->resident = resident * (uint64_t)sysconf(_SC_PAGESIZE);
	ret->began_s = h->o.began_s;
}

static void metrics(struct request *r)
{
	struct gateway_text text = { .limit = METRICS_MAX };
	struct gateway_http *h = r->http;
	struct gateway_served served;
	struct gateway_self self;

	self_look(h, &self);
	pthread_mutex_lock(&h->lock);
	served = h->served;
	pthread_mutex_unlock(&h->lock);
	served.connections = gateway_lines_count(h->lines, &served.cut);
	gateway_metrics(gateway_watch_take(h->o.watch), &served, &self, &text);
	gateway_watch_give(h->o.watch);
	if (text.failed || text.at == NULL) {
		free(text.at);
		gateway_answer_json(&r->answer, 500, NULL);
		return;
	}
	r->answer.status = 200;
	r->answer.text = text.at;
	r->answer.size = text.used;
	r->answer.type = "text/plain; version=0.0.4; charset=utf-8";
}

static struct gateway_query query_of(struct MHD_Connection *c)
{
	return (struct gateway_query){
		.limit = argument(c, "limit"),
		.cursor = argument(c, "cursor"),
		.appliance = argument(c, "appliance"),
	};
}

static void answer_now(struct request *r)
{
	struct gateway_watch *watch = r->http->o.watch;
	struct gateway_query query;

	switch (r->route.thing) {
	case GATEWAY_PAGE:
		fixed(&r->answer, "text/html; charset=utf-8", gateway_page,
		      gateway_page_size);
		return;
	case GATEWAY_SCRIPT:
		fixed(&r->answer, "text/javascript; charset=utf-8",
		      gateway_script, gateway_script_size);
		return;
	case GATEWAY_STYLE:
		fixed(&r->answer, "text/css; charset=utf-8", gateway_style,
		      gateway_style_size);
		return;
	case GATEWAY_OPENAPI:
		fixed(&r->answer, "application/json", gateway_openapi,
		      gateway_openapi_size);
		return;
	case GATEWAY_METRICS:
		metrics(r);
		return;
	case GATEWAY_HEALTH:
	case GATEWAY_READY:
		gateway_answer_health(&r->answer, gateway_watch_take(watch),
				      r->route.thing == GATEWAY_READY,
				      xm_clock_ns());
		break;
	default:
		query = query_of(r->connection);
		gateway_answer_model(&r->answer, gateway_watch_take(watch),
				     &r->route, &query);
	}
	gateway_watch_give(watch);
}

/* --- answers that a worker makes -------------------------------------------------------------- */

void request_work(void *job)
{
	struct request *r = job;
	struct gateway_http *h = r->http;

	gateway_act(&h->o.acts, &r->route, header(r->connection, "Idempotency-Key"),
		    r->body, r->body_size, &r->answer);
	r->state = REQUEST_DONE;
	if (r->line)
		gateway_line_renew(h->lines, r->line, xm_clock_ns());
	MHD_resume_connection(r->connection); /* from here on it is not ours */
}

bool request_answer(struct request *r)
{
	struct gateway_http *h = r->http;

	if (r->too_large) {
		gateway_answer_error(&r->answer, 413, "too_large", "",
				     "a body has at most %d bytes",
				     GATEWAY_BODY_MAX);
		return true;
	}
	if (!r->route.waits) {
		answer_now(r);
		return true;
	}
	r->state = REQUEST_WAITS;
	if (r->line)
		gateway_line_busy(h->lines, r->line);
	MHD_suspend_connection(r->connection);
	if (gateway_work_add(h->work, r))
		return false;
	MHD_resume_connection(r->connection);
	r->state = REQUEST_DONE;
	if (r->line)
		gateway_line_renew(h->lines, r->line, xm_clock_ns());
	gateway_answer_error(&r->answer, 503, "busy", "try again in some seconds",
			     "too many requests wait already");
	return false;
}
