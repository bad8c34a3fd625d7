/* SPDX-License-Identifier: BSD-3-Clause */
/* See messages.h. */
#include "directory/messages.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define KEY_SIZE (XM_ETCD_PREFIX_SIZE + XM_ETCD_ADDRESS_SIZE)
#define VALUE_MAX 1024

/* --- requests --------------------------------------------------------------- */

static char *text_of(json_t *root)
{
	char *text = root != NULL ? json_dumps(root, JSON_COMPACT) : NULL;

	json_decref(root);
	return text;
}

static void number_text(uint64_t number, char *ret, size_t size)
{
	snprintf(ret, size, "%" PRIu64, number);
}

char *xm_message_grant(uint64_t ttl_s)
{
	char ttl[24];

	number_text(ttl_s, ttl, sizeof(ttl));
	return text_of(json_pack("{ss}", "TTL", ttl));
}

char *xm_message_lease(uint64_t lease)
{
	char id[24];

	number_text(lease, id, sizeof(id));
	return text_of(json_pack("{ss}", "ID", id));
}

char *xm_message_put(const char *prefix, const struct xm_entry *e, uint64_t lease)
{
	char name[KEY_SIZE], key[XM_BASE64_SIZE(KEY_SIZE)], id[24];
	char *value = text_of(json_pack("{ss ss ss sI sI}", "address", e->address, "name",
					e->name, "zone", e->zone, "memory",
					(json_int_t)e->memory, "free",
					(json_int_t)e->free));
	size_t size = value != NULL ? strlen(value) : 0;
	char *coded = value != NULL ? malloc(XM_BASE64_SIZE(size)) : NULL;
	char *text = NULL;

	snprintf(name, sizeof(name), "%s/%s", prefix, e->address);
	xm_base64_write(name, strlen(name), key);
	number_text(lease, id, sizeof(id));
	if (coded != NULL) {
		xm_base64_write(value, size, coded);
		text = text_of(json_pack("{ss ss ss}", "key", key, "value", coded,
					 "lease", id));
	}
	free(coded);
	free(value);
	return text;
}

char *xm_message_range(const char *prefix)
{
	char name[XM_ETCD_PREFIX_SIZE + 1];
	char from[XM_BASE64_SIZE(sizeof(name))], to[XM_BASE64_SIZE(sizeof(name))];

	/* All that begins with "PREFIX/": '0' comes after '/'. */
	snprintf(name, sizeof(name), "%s/", prefix);
	xm_base64_write(name, strlen(name), from);
	name[strlen(name) - 1] = '/' + 1;
	xm_base64_write(name, strlen(name), to);
	/* What one member knows is enough, also when it is alone. */
	return text_of(json_pack("{ss ss si sb}", "key", from, "range_end", to, "limit",
				 XM_ENTRIES_MAX, "serializable", 1));
}

/* --- answers ---------------------------------------------------------------- */

/* "15", or 15: from 1 to what 63 bits hold; 0: it is none. */
static uint64_t number_of(const json_t *value)
{
	const char *text = json_string_value(value);
	uint64_t number = 0;

	if (json_is_integer(value) && json_integer_value(value) > 0)
		return (uint64_t)json_integer_value(value);
	if (text == NULL || strlen(text) > 19)
		return 0;
	for (; *text != '\0'; text++) {
		if (*text < '0' || *text > '9')
			return 0;
		number = number * 10 + (uint64_t)(*text - '0');
	}
	return number <= INT64_MAX ? number : 0;
}

static json_t *object_of(const char *text, size_t size)
{
	json_t *root = json_loadb(text, size, JSON_REJECT_DUPLICATES, NULL);

	if (json_is_object(root))
		return root;
	json_decref(root);
	return NULL;
}

int xm_answer_grant(const char *text, size_t size, uint64_t *ret_lease, uint64_t *ret_ttl_s)
{
	json_t *root = object_of(text, size);
	uint64_t lease = number_of(json_object_get(root, "ID"));
	uint64_t ttl_s = number_of(json_object_get(root, "TTL"));

	json_decref(root);
	if (lease == 0 || ttl_s == 0)
		return -1;
	*ret_lease = lease;
	*ret_ttl_s = ttl_s;
	return 0;
}

int xm_answer_renew(const char *text, size_t size, uint64_t *ret_ttl_s)
{
	json_t *root = object_of(text, size);
	json_t *result = json_object_get(root, "result");
	int rc = number_of(json_object_get(result, "ID")) != 0 ? 0 : -1;

	/* A lease that is not there has no TTL: protobuf leaves zeros out. */
	if (rc == 0)
		*ret_ttl_s = number_of(json_object_get(result, "TTL"));
	json_decref(root);
	return rc;
}

static bool copy_text(const json_t *object, const char *key, char *to, size_t size)
{
	const char *text = json_string_value(json_object_get(object, key));

	if (text == NULL || strlen(text) >= size)
		return false;
	for (const char *c = text; *c != '\0'; c++)
		if (*c < ' ' || *c > '~')
			return false;
	strcpy(to, text);
	return true;
}

static bool read_entry(const json_t *kv, struct xm_entry *ret)
{
	const json_t *value = json_object_get(kv, "value");
	char text[VALUE_MAX];
	json_t *root;
	long size;
	bool ok;

	if (!json_is_string(value))
		return false;
	size = xm_base64_read(json_string_value(value), json_string_length(value), text,
			      sizeof(text));
	root = size >= 0 ? object_of(text, (size_t)size) : NULL;
	memset(ret, 0, sizeof(*ret));
	ok = copy_text(root, "address", ret->address, sizeof(ret->address)) &&
	     copy_text(root, "name", ret->name, sizeof(ret->name)) &&
	     copy_text(root, "zone", ret->zone, sizeof(ret->zone)) &&
	     xm_etcd_address_suits(ret->address);
	ret->memory = number_of(json_object_get(root, "memory"));
	ret->free = number_of(json_object_get(root, "free"));
	json_decref(root);
	return ok;
}

static int by_free(const void *a, const void *b)
{
	const struct xm_entry *x = a, *y = b;

	if (x->free != y->free)
		return x->free > y->free ? -1 : 1;
	return strcmp(x->address, y->address);
}

int xm_answer_range(const char *text, size_t size, struct xm_entry *ret, uint32_t *ret_odd)
{
	json_t *root = object_of(text, size);
	json_t *kvs = json_object_get(root, "kvs");
	size_t all = json_array_size(kvs), count = 0, seen = 0;
	/* An answer without keys has a header, and no "kvs". */
	bool ok = json_is_object(json_object_get(root, "header")) &&
		  (kvs == NULL || json_is_array(kvs));

	for (; ok && seen < all && count < XM_ENTRIES_MAX; seen++)
		count += read_entry(json_array_get(kvs, seen), &ret[count]);
	json_decref(root);
	if (!ok)
		return -1;
	*ret_odd = (uint32_t)(seen - count);
	qsort(ret, count, sizeof(*ret), by_free);
	return (int)count;
}

void xm_answer_error(const char *text, size_t size, struct xm_words *words)
{
	json_t *root = object_of(text, size);
	char said[200];

	if (copy_text(root, "error", said, sizeof(said)))
		xm_words_add(words, said);
	json_decref(root);
}
