/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Regions that are made for somebody else, and freed again; see acts.h. The gateway is
 * their client for a moment: it parts with a new region under a token, and whoever has the
 * token adopts it.
 *
 * A request with an Idempotency-Key that is repeated is answered as before, and makes
 * nothing: the last KEYS_MAX answers are kept, in memory alone.
 */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base.h"
#include "gateway/acts_parts.h"

#define KEYS_MAX 64
#define KEY_SIZE 129
#define COPIES_MAX 4 /* of a region of ours */
#define SECONDS_MAX (10 * 366 * 86400)

struct made {
	char key[KEY_SIZE];
	uint64_t sum; /* of the request's body, to tell another from it */
	char token[EXTMEM_TOKEN_SIZE];
	uint64_t bytes;
};

/* Held as long as a region with a key is made. */
static pthread_mutex_t keys_lock = PTHREAD_MUTEX_INITIALIZER;
static struct made keys[KEYS_MAX];
static unsigned keys_next;

struct wanted {
	const char *name, *strategy, *identity;
	json_int_t bytes, seconds;
};

/* --- as a client ---------------------------------------------------------------------------- */

/* 0, or -1 and an answer that says why not. */
static int open_client(const struct gateway_acts *acts, extmem **ret,
		       struct gateway_answer *a)
{
	struct acts_settings settings;
	char mirror[16];
	unsigned up;
	int rc;

	acts_settings_begin(&settings, acts);
	up = acts_settings_appliances(&settings, acts);
	if (up == 0) {
		gateway_answer_error(a, 503, "appliances_away",
				     "GET /v1/appliances says why",
				     "no appliance answers");
		return -1;
	}
	/* Room for as many copies as there can be; a region has what it asks for. */
	snprintf(mirror, sizeof(mirror), "mirror %u", up < COPIES_MAX ? up : COPIES_MAX);
	acts_settings_add(&settings, "strategy", mirror);
	acts_settings_add(&settings, "local", "8M");
	acts_settings_add(&settings, "name", "extmem-gateway");
	rc = extmem_open(settings.list, ret);
	if (rc < 0)
		acts_error(a, rc);
	return rc < 0 ? -1 : 0;
}

/* 0, or -errno with extmem_error(). */
static int make(extmem *x, const struct wanted *w, struct made *ret)
{
	const struct extmem_request request = {
		.size = sizeof(request),
		.region_size = (uint64_t)w->bytes,
		.name = w->name,
		.strategy = w->strategy ? w->strategy : "mirror 1",
	};
	const struct extmem_hand_over hand_over = {
		.size = sizeof(hand_over),
		.ms = w->seconds == 0 ? EXTMEM_FOR_EVER : (uint64_t)w->seconds * 1000,
		.identity = w->identity,
	};
	extmem_region *region;
	int rc = extmem_region_request(x, &request, &region);

	if (rc < 0)
		return rc;
	ret->bytes = extmem_region_size(region);
	return extmem_region_hand_over(region, &hand_over, ret->token);
}

static void make_one(const struct gateway_acts *acts, const struct wanted *w,
		     struct made *made, struct gateway_answer *a)
{
	extmem *x;
	int rc;

	if (open_client(acts, &x, a) < 0)
		return;
	rc = make(x, w, made);
	if (rc < 0)
		acts_error(a, rc); /* before the next call that may fail */
	else
		gateway_answer_json(a, 201, json_pack("{ss sI}", "token", made->token,
						      "bytes", (json_int_t)made->bytes));
	extmem_close(x);
}

/* --- keys ----------------------------------------------------------------------------------- */

/* FNV-1a. */
static uint64_t sum_of(const char *body, size_t size)
{
	uint64_t sum = UINT64_C(0xcbf29ce484222325);

	for (size_t i = 0; i < size; i++)
		sum = (sum ^ (unsigned char)body[i]) * UINT64_C(0x100000001b3);
	return sum;
}

static struct made *find(const char *key)
{
	for (unsigned i = 0; i < KEYS_MAX; i++)
		if (keys[i].key[0] != '\0' && strcmp(keys[i].key, key) == 0)
			return &keys[i];
	return NULL;
}

static void make_with_key(const struct gateway_acts *acts, const struct wanted *w,
			  const char *key, uint64_t sum, struct gateway_answer *a)
{
	struct made made = { .sum = sum };
	const struct made *known = find(key);

	if (known && known->sum != sum) {
		gateway_answer_error(a, 422, "key_used", "take another key",
				     "this Idempotency-Key was used for another request");
		return;
	}
	if (known) {
		gateway_answer_json(a, 201, json_pack("{ss sI}", "token", known->token,
						      "bytes", (json_int_t)known->bytes));
		return;
	}
	snprintf(made.key, sizeof(made.key), "%s", key);
	make_one(acts, w, &made, a);
	if (a->status == 201)
		keys[keys_next++ % KEYS_MAX] = made;
}

/* --- requests ------------------------------------------------------------------------------- */

static const char *wrong_with(const struct wanted *w, const char *key)
{
	if (w->bytes <= 0)
		return "bytes is 1 or more";
	if (w->seconds < 0 || w->seconds > SECONDS_MAX)
		return "seconds is 0 (for ever) to 316224000";
	if (key && (key[0] == '\0' || strlen(key) >= KEY_SIZE))
		return "an Idempotency-Key has 1 to 128 characters";
	return NULL;
}

void acts_make(const struct gateway_acts *acts, const char *key, const char *body,
	       size_t body_size, struct gateway_answer *a)
{
	json_error_t where;
	json_t *root = json_loadb(body, body_size, JSON_REJECT_DUPLICATES, &where);
	struct wanted w = { .seconds = 3600 };
	const char *wrong;
	struct made made;

	if (!root || json_unpack_ex(root, &where, JSON_STRICT,
				    "{s:I, s?s, s?s, s?I, s?s}", "bytes", &w.bytes,
				    "name", &w.name, "strategy", &w.strategy, "seconds",
				    &w.seconds, "identity", &w.identity) < 0) {
		gateway_answer_error(a, 400, "bad_body",
				     "send {\"bytes\": 1073741824, \"name\": \"matrix\", "
				     "\"strategy\": \"mirror 2\", \"seconds\": 3600}",
				     "%s", where.text);
	} else if ((wrong = wrong_with(&w, key)) != NULL) {
		gateway_answer_error(a, 422, "bad_request", "", "%s", wrong);
	} else if (!key) {
		make_one(acts, &w, &made, a);
	} else if (pthread_mutex_trylock(&keys_lock) != 0) {
		gateway_answer_error(a, 409, "key_busy", "repeat it in some seconds",
				     "a request with a key is being carried out");
	} else {
		make_with_key(acts, &w, key, sum_of(body, body_size), a);
		pthread_mutex_unlock(&keys_lock);
	}
	json_decref(root);
}

void acts_free(const struct gateway_acts *acts, const char *body, size_t body_size,
	       struct gateway_answer *a)
{
	json_error_t where;
	json_t *root = json_loadb(body, body_size, JSON_REJECT_DUPLICATES, &where);
	const char *token;
	extmem_region *region;
	uint64_t bytes = 0;
	extmem *x;
	int rc;

	if (!root || json_unpack_ex(root, &where, JSON_STRICT, "{s:s}", "token",
				    &token) < 0) {
		gateway_answer_error(a, 400, "bad_body", "send {\"token\": \"extmem1-...\"}",
				     "%s", where.text);
	} else if (open_client(acts, &x, a) == 0) {
		rc = extmem_region_adopt(x, token, 0, &region);
		if (rc == 0) {
			bytes = extmem_region_size(region);
			rc = extmem_region_free(region);
		}
		if (rc < 0)
			acts_error(a, rc);
		else
			gateway_answer_json(a, 200, json_pack("{sI}", "freed_bytes",
							      (json_int_t)bytes));
		extmem_close(x);
	}
	json_decref(root);
}
