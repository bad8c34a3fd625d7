/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * See metrics.h. Labels are few: an appliance's address, which the settings give, and of a
 * program its number, name and user, for GATEWAY_SERIES_MAX programs at most. What is to be
 * summed over programs that come and go is in extmem_host_*, which has no labels.
 */
#include "gateway/metrics.h"

#include <stddef.h>
#include <string.h>

#include "common/base.h"
#include "common/words.h"

#define LABEL_SIZE 544

enum kind { U32, U64, MS };

struct figure {
	const char *name, *type, *help;
	size_t at;
	enum kind kind;
};

static void head(struct gateway_text *t, const char *name, const char *type,
		 const char *help)
{
	gateway_text_add(t, "# HELP %s %s\n# TYPE %s %s\n", name, help, name,
			 type);
}

/* A label's value: \, " and line ends have a meaning there. */
static const char *escaped(const char *from, char to[LABEL_SIZE])
{
	size_t used = 0;

	for (; *from != '\0' && used + 3 < LABEL_SIZE; from++) {
		if (*from == '\\' || *from == '"' || *from == '\n')
			to[used++] = '\\';
		to[used++] = *from;
		if (*from == '\n')
			to[used - 1] = 'n';
	}
	to[used] = '\0';
	return to;
}

static void number(struct gateway_text *t, const void *from,
		   const struct figure *f)
{
	const char *at = (const char *)from + f->at;
	uint32_t small;
	uint64_t large;

	if (f->kind == U32) {
		memcpy(&small, at, sizeof(small));
		gateway_text_add(t, "%u\n", (unsigned)small);
		return;
	}
	memcpy(&large, at, sizeof(large));
	if (f->kind == MS)
		gateway_text_add(t, "%.3f\n", (double)large / 1000);
	else
		gateway_text_add(t, "%llu\n", (unsigned long long)large);
}

/* --- appliances ---------------------------------------------------------------------- */

#define STATUS(FIELD) offsetof(struct extmem_status, FIELD)
static const struct figure appliance_figures[] = {
	{ "extmem_appliance_pool_bytes", "gauge",
	  "Memory that the appliance has set aside to lend.", STATUS(pool), U64 },
	{ "extmem_appliance_free_bytes", "gauge", "Of the pool: free.",
	  STATUS(free), U64 },
	{ "extmem_appliance_free_run_bytes", "gauge",
	  "The largest extent that could be lent in one piece.",
	  STATUS(free_run), U64 },
	{ "extmem_appliance_lent_bytes", "gauge", "Of the pool: lent to clients.",
	  STATUS(leased), U64 },
	{ "extmem_appliance_quarantined_bytes", "gauge",
	  "Of the pool: freed, and not yet fit for another client.",
	  STATUS(quarantined), U64 },
	{ "extmem_appliance_pool_goal_bytes", "gauge",
	  "What the pool is to have, as was asked.", STATUS(goal), U64 },
	{ "extmem_appliance_wanted_bytes", "gauge",
	  "Lent beyond that, and asked back.", STATUS(wanted), U64 },
	{ "extmem_appliance_clients", "gauge", "Clients that the appliance has.",
	  STATUS(clients), U32 },
	{ "extmem_appliance_clients_limit", "gauge",
	  "Clients that the appliance takes at most.", STATUS(clients_max), U32 },
	{ "extmem_appliance_extents", "gauge", "Extents in use.", STATUS(extents),
	  U32 },
	{ "extmem_appliance_extents_limit", "gauge", "Extents that there can be.",
	  STATUS(extents_max), U32 },
	{ "extmem_appliance_draining", "gauge",
	  "1 if the appliance drains: it lends nothing more.", STATUS(leaving),
	  U32 },
	{ "extmem_appliance_borrowed_bytes", "gauge",
	  "Of the pool: other appliances' memory.", STATUS(borrowed), U64 },
	{ "extmem_appliance_pool_file", "gauge",
	  "1 if the pool is a file on a disk.", STATUS(filed), U64 },
	{ "extmem_appliance_uptime_seconds", "gauge",
	  "Time since the appliance's start.", STATUS(uptime_ms), MS },
	{ "extmem_appliance_messages_total", "counter",
	  "Control messages that the appliance has received.", STATUS(messages),
	  U64 },
	{ "extmem_appliance_refused_total", "counter",
	  "Requests that the appliance has refused.", STATUS(refused), U64 },
	{ "extmem_appliance_malformed_total", "counter",
	  "Messages that no client of this software sends.", STATUS(malformed),
	  U64 },
	{ "extmem_appliance_clients_expired_total", "counter",
	  "Clients that were silent for a whole lease.", STATUS(expired), U64 },
};

static void appliances_up(const struct gateway_model *m, struct gateway_text *t)
{
	char label[LABEL_SIZE], name[LABEL_SIZE], zone[LABEL_SIZE];
	char provider[LABEL_SIZE], library[LABEL_SIZE];

	head(t, "extmem_appliance_up", "gauge",
	     "1 if the appliance answered the last question.");
	for (unsigned i = 0; i < m->appliances_count; i++)
		gateway_text_add(t, "extmem_appliance_up{appliance=\"%s\"} %d\n",
				 escaped(m->appliances[i].address, label),
				 m->appliances[i].up);
	head(t, "extmem_appliance_answer_seconds", "gauge",
	     "How long the last question took, answered or not.");
	for (unsigned i = 0; i < m->appliances_count; i++)
		if (m->appliances[i].asked)
			gateway_text_add(
				t, "extmem_appliance_answer_seconds{appliance=\"%s\"} %.6f\n",
				escaped(m->appliances[i].address, label),
				(double)m->appliances[i].took_ns / 1e9);
	head(t, "extmem_appliance_info", "gauge",
	     "What the appliance calls itself, and how it is reached.");
	for (unsigned i = 0; i < m->appliances_count; i++) {
		const struct gateway_appliance *a = &m->appliances[i];

		if (a->up)
			gateway_text_add(
				t,
				"extmem_appliance_info{appliance=\"%s\",name=\"%s\","
				"zone=\"%s\",provider=\"%s\",library=\"%s\"} 1\n",
				escaped(a->address, label),
				escaped(a->status.name, name),
				escaped(a->status.zone, zone),
				escaped(a->status.provider, provider),
				escaped(a->status.library, library));
	}
}

static void appliances(const struct gateway_model *m, struct gateway_text *t)
{
	char label[LABEL_SIZE];

	appliances_up(m, t);
	for (size_t f = 0; f < XM_COUNT(appliance_figures); f++) {
		const struct figure *figure = &appliance_figures[f];

		head(t, figure->name, figure->type, figure->help);
		for (unsigned i = 0; i < m->appliances_count; i++) {
			if (!m->appliances[i].up)
				continue;
			gateway_text_add(t, "%s{appliance=\"%s\"} ", figure->name,
					 escaped(m->appliances[i].address, label));
			number(t, &m->appliances[i].status, figure);
		}
	}
}

/* --- programs of this machine ---------------------------------------------------------- */

#define CLIENT(FIELD) offsetof(struct gateway_client, FIELD)
static const struct figure client_figures[] = {
	{ "extmem_client_external_bytes", "gauge",
	  "External memory that the program has allocated.", CLIENT(external),
	  U64 },
	{ "extmem_client_local_bytes", "gauge",
	  "Local memory that caches its external memory.",
	  CLIENT(stats.local_now), U64 },
	{ "extmem_client_local_limit_bytes", "gauge",
	  "Local memory that may do so.", CLIENT(stats.local_limit), U64 },
	{ "extmem_client_rest_bytes", "gauge",
	  "Local memory of the program that is no cache.", CLIENT(rest), U64 },
	{ "extmem_client_members", "gauge",
	  "Copies of pieces of mirrored regions that are whole.",
	  CLIENT(stats.members), U64 },
	{ "extmem_client_members_missing", "gauge",
	  "Copies that are out of reach, lost, or being made.",
	  CLIENT(stats.members_missing), U64 },
	{ "extmem_client_mending_bytes", "gauge",
	  "What copies that are being made still have to look at.",
	  CLIENT(stats.mending_bytes), U64 },
	{ "extmem_client_leaving_bytes", "gauge",
	  "Memory at appliances that drain.", CLIENT(stats.leaving_bytes), U64 },
	{ "extmem_client_stranded_bytes", "gauge",
	  "Of these: no other appliance has room for them.",
	  CLIENT(stats.stranded_bytes), U64 },
	{ "extmem_client_unspared_bytes", "gauge",
	  "Copies that could not be made anew if an appliance ended.",
	  CLIENT(stats.unspared_bytes), U64 },
	{ "extmem_client_faults_total", "counter", "Faults of any kind.",
	  CLIENT(stats.faults), U64 },
	{ "extmem_client_misses_total", "counter",
	  "Faults that waited for an appliance; all others were hits.",
	  CLIENT(stats.misses), U64 },
	{ "extmem_client_read_bytes_total", "counter",
	  "Bytes read from appliances.", CLIENT(stats.bytes_read), U64 },
	{ "extmem_client_written_bytes_total", "counter",
	  "Bytes written to appliances.", CLIENT(stats.bytes_written), U64 },
	{ "extmem_client_lost_pages_total", "counter", "Faults on lost pages.",
	  CLIENT(stats.pages_lost), U64 },
	{ "extmem_client_failovers_total", "counter",
	  "Appliances that mirrors went on without.", CLIENT(stats.failovers),
	  U64 },
	{ "extmem_client_mended_bytes_total", "counter",
	  "Bytes copied to members that lacked them.",
	  CLIENT(stats.mended_bytes), U64 },
	{ "extmem_client_moved_bytes_total", "counter",
	  "Bytes moved away from appliances that drain.",
	  CLIENT(stats.moved_bytes), U64 },
	{ "extmem_client_bad_tags_total", "counter",
	  "Sealed pages that came and were not what was sealed.",
	  CLIENT(stats.bad_tags), U64 },
	{ "extmem_client_tampered_pages_total", "counter",
	  "Sealed pages of which no copy was right: they are lost.",
	  CLIENT(stats.tampered), U64 },
};

static void client_labels(const struct gateway_client *c, char ret[LABEL_SIZE])
{
	char program[LABEL_SIZE], user[LABEL_SIZE];
	struct xm_words words;

	xm_words_begin(&words, ret, LABEL_SIZE);
	xm_words_add(&words, "client=\"");
	xm_words_number(&words, c->pid);
	xm_words_add(&words, "\",program=\"");
	xm_words_add(&words, escaped(c->program, program));
	xm_words_add(&words, "\",user=\"");
	xm_words_add(&words, escaped(c->user, user));
	xm_words_add(&words, "\"");
}

/* Bounds are powers of two of ns, which are bounds of the library's buckets, too: so each
 * count is exact. `labels` may be "". */
static void histogram(struct gateway_text *t, const char *name, const char *labels,
		      const uint64_t latency[EXTMEM_LATENCY_BUCKETS],
		      uint64_t sum_ns, unsigned step)
{
	const char *comma = labels[0] != '\0' ? "," : "";
	uint64_t all = 0;

	for (unsigned i = 0; i < EXTMEM_LATENCY_BUCKETS; i++)
		all += latency[i];
	for (unsigned exponent = 10; exponent <= 32; exponent += step)
		gateway_text_add(t, "%s_bucket{%s%sle=\"%.9g\"} %llu\n", name,
				 labels, comma,
				 (double)(UINT64_C(1) << exponent) / 1e9,
				 (unsigned long long)gateway_below(latency,
								   exponent));
	gateway_text_add(t, "%s_bucket{%s%sle=\"+Inf\"} %llu\n", name, labels,
			 comma, (unsigned long long)all);
	if (labels[0] != '\0')
		gateway_text_add(t, "%s_sum{%s} %.9f\n%s_count{%s} %llu\n", name,
				 labels, (double)sum_ns / 1e9, name, labels,
				 (unsigned long long)all);
	else
		gateway_text_add(t, "%s_sum %.9f\n%s_count %llu\n", name,
				 (double)sum_ns / 1e9, name,
				 (unsigned long long)all);
}

static void clients(const struct gateway_model *m, struct gateway_text *t)
{
	unsigned count = m->clients_count < GATEWAY_SERIES_MAX
				 ? m->clients_count
				 : GATEWAY_SERIES_MAX;
	char labels[LABEL_SIZE];

	for (size_t f = 0; f < XM_COUNT(client_figures); f++) {
		const struct figure *figure = &client_figures[f];

		head(t, figure->name, figure->type, figure->help);
		for (unsigned i = 0; i < count; i++) {
			client_labels(&m->clients[i], labels);
			gateway_text_add(t, "%s{%s} ", figure->name, labels);
			number(t, &m->clients[i], figure);
		}
	}
	head(t, "extmem_client_fault_seconds", "histogram",
	     "How long faults took.");
	for (unsigned i = 0; i < count; i++) {
		client_labels(&m->clients[i], labels);
		histogram(t, "extmem_client_fault_seconds", labels,
			  m->clients[i].stats.latency,
			  m->clients[i].stats.waited_ns, 2);
	}
}

#define TOTAL(FIELD) offsetof(struct gateway_totals, FIELD)
static const struct figure total_figures[] = {
	{ "extmem_host_faults_total", "counter",
	  "Faults of all programs seen here, also of those that have ended.",
	  TOTAL(faults), U64 },
	{ "extmem_host_misses_total", "counter",
	  "Of these: they waited for an appliance.", TOTAL(misses), U64 },
	{ "extmem_host_fresh_pages_total", "counter",
	  "Pages that were fresh and needed no transfer.", TOTAL(zero_fills),
	  U64 },
	{ "extmem_host_read_bytes_total", "counter",
	  "Bytes read from appliances.", TOTAL(bytes_read), U64 },
	{ "extmem_host_written_bytes_total", "counter",
	  "Bytes written to appliances.", TOTAL(bytes_written), U64 },
	{ "extmem_host_lost_pages_total", "counter", "Faults on lost pages.",
	  TOTAL(pages_lost), U64 },
	{ "extmem_host_failovers_total", "counter",
	  "Appliances that mirrors went on without.", TOTAL(failovers), U64 },
	{ "extmem_host_mended_bytes_total", "counter",
	  "Bytes copied to members that lacked them.", TOTAL(mended_bytes),
	  U64 },
	{ "extmem_host_moved_bytes_total", "counter",
	  "Bytes moved away from appliances that drain.", TOTAL(moved_bytes),
	  U64 },
};

static void host(const struct gateway_model *m, struct gateway_text *t)
{
	head(t, "extmem_host_clients", "gauge",
	     "Programs of this machine that run with external memory.");
	gateway_text_add(t, "extmem_host_clients %u\n", m->clients_count);
	head(t, "extmem_host_clients_unlisted", "gauge",
	     "Of these: they have no series of their own here.");
	gateway_text_add(t, "extmem_host_clients_unlisted %u\n",
			 m->clients_count > GATEWAY_SERIES_MAX
				 ? m->clients_count - GATEWAY_SERIES_MAX
				 : 0);
	head(t, "extmem_host_clients_hidden", "gauge",
	     "Programs of other users, whose figures the gateway may not read.");
	gateway_text_add(t, "extmem_host_clients_hidden %u\n", m->hidden);
	for (size_t f = 0; f < XM_COUNT(total_figures); f++) {
		head(t, total_figures[f].name, total_figures[f].type,
		     total_figures[f].help);
		gateway_text_add(t, "%s ", total_figures[f].name);
		number(t, &m->totals, &total_figures[f]);
	}
	head(t, "extmem_host_fault_seconds", "histogram",
	     "How long faults of all programs took.");
	histogram(t, "extmem_host_fault_seconds", "", m->totals.latency,
		  m->totals.waited_ns, 1);
}

/* --- the gateway ---------------------------------------------------------------------- */

static void self(const struct gateway_served *s, const struct gateway_self *p,
		 struct gateway_text *t)
{
	head(t, "extmem_gateway_answers_total", "counter",
	     "Answers of this gateway by the class of their status.");
	for (unsigned i = 2; i < XM_COUNT(s->answers); i++)
		gateway_text_add(t,
				 "extmem_gateway_answers_total{code=\"%uxx\"} "
				 "%llu\n", i, (unsigned long long)s->answers[i]);
	head(t, "extmem_gateway_connections_cut_total", "counter",
	     "Connections that were too slow, or gave way to newer ones.");
	gateway_text_add(t, "extmem_gateway_connections_cut_total %llu\n",
			 (unsigned long long)s->cut);
	head(t, "extmem_gateway_wrong_tokens_total", "counter",
	     "Requests with a token that is not known here.");
	gateway_text_add(t, "extmem_gateway_wrong_tokens_total %llu\n",
			 (unsigned long long)s->tokens_wrong);
	head(t, "extmem_gateway_connections", "gauge", "Open connections.");
	gateway_text_add(t, "extmem_gateway_connections %u\n", s->connections);
	head(t, "process_resident_memory_bytes", "gauge",
	     "Resident memory of this process.");
	gateway_text_add(t, "process_resident_memory_bytes %llu\n",
			 (unsigned long long)p->resident);
	head(t, "process_open_fds", "gauge", "Open descriptors of this process.");
	gateway_text_add(t, "process_open_fds %u\n", p->descriptors);
	head(t, "process_start_time_seconds", "gauge",
	     "Start of this process, in Unix time.");
	gateway_text_add(t, "process_start_time_seconds %.3f\n", p->began_s);
}

void gateway_metrics(const struct gateway_model *m, const struct gateway_served *s,
		     const struct gateway_self *p, struct gateway_text *ret)
{
	appliances(m, ret);
	clients(m, ret);
	host(m, ret);
	self(s, p, ret);
}
