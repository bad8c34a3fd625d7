/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The gateway's words and limits, and what it knows: appliances as they answered last,
 * and the programs of this machine as their files say. A watch (watch.h) keeps it
 * current; answers and metrics are made from it, so that no request of HTTP asks an
 * appliance by itself, however many there are.
 */
#ifndef EXTMEM_GATEWAY_H
#define EXTMEM_GATEWAY_H

#include <stdbool.h>
#include <stdint.h>

#include "core/extmem.h"
#include "gateway/totals.h"

#define GATEWAY_APPLIANCES_MAX 64
#define GATEWAY_EXTENTS_MAX 1024 /* that are shown of one appliance */
#define GATEWAY_CLIENTS_MAX 256	 /* programs of this machine that are read */
#define GATEWAY_SERIES_MAX 64	 /* of these, with metrics of their own */
#define GATEWAY_HISTORY_MAX 360	 /* samples */
#define GATEWAY_ID_SIZE 128
#define GATEWAY_WORDS_SIZE 512

struct gateway_appliance {
	char address[GATEWAY_ID_SIZE];
	char id[GATEWAY_ID_SIZE]; /* of the address, as a part of a path */
	bool asked;		  /* at least once, answered or not */
	bool up;		  /* the last question was answered */
	char words[GATEWAY_WORDS_SIZE]; /* why it is away */
	uint64_t asked_ns, took_ns;	/* end and duration of the last question */
	struct extmem_status status;	/* of the last answer */
	double began_s;			/* its start, in Unix time */
	unsigned extents_count;
	bool extents_more; /* it has more than are kept here */
	struct extmem_region_entry *extents; /* GATEWAY_EXTENTS_MAX, by number */
};

struct gateway_client {
	uint64_t file; /* tells it from others with its number */
	uint32_t pid;
	char user[33], program[64], appliance[128], lost[256];
	uint64_t external; /* bytes */
	uint64_t rest;
	struct extmem_stats stats;
	double faults_s, read_s, written_s; /* a second, over the last interval */
};

/* The machine's programs together, at one moment. */
struct gateway_moment {
	uint64_t time_ns;
	double faults_s, read_s, written_s;
	uint64_t lent, mending;
	uint32_t up, clients;
};

struct gateway_model {
	unsigned appliances_count;
	struct gateway_appliance appliances[GATEWAY_APPLIANCES_MAX];
	unsigned clients_count, hidden; /* hidden: not ours to read */
	struct gateway_client clients[GATEWAY_CLIENTS_MAX]; /* most memory first */
	struct gateway_totals totals;
	uint64_t moments; /* ever; the last GATEWAY_HISTORY_MAX are kept */
	struct gateway_moment history[GATEWAY_HISTORY_MAX];
	uint64_t interval_ns, turned_ns; /* of the watch's last turn */
};

/* What the HTTP side counts of itself. */
struct gateway_served {
	uint64_t answers[6]; /* by the first digit of the status */
	uint64_t cut;	     /* connections that were too slow, or too many */
	uint64_t tokens_wrong;
	uint32_t connections;
};

#endif
