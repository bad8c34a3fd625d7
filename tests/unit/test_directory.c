/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Tests of the directory's parts without I/O: its address and base64 (common/etcd.c), the
 * machine that keeps an entry (directory/keep.c), requests and answers
 * (directory/messages.c).
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/rand.h"
#include "directory/keep.h"
#include "directory/messages.h"
#include "tests/support/cunit.h"

/* --- the address -------------------------------------------------------------- */

static struct xm_etcd_url url;
static char said[1024];

static int read_url(const char *text)
{
	struct xm_words words;

	xm_words_begin(&words, said, sizeof(said));
	return xm_etcd_url_read(text, &url, &words);
}

static void a_directory_has_members_and_a_prefix(void)
{
	CU_ASSERT_EQUAL(read_url("etcd://127.0.0.1:2379/extmem"), 0);
	CU_ASSERT_EQUAL(url.count, 1);
	CU_ASSERT_STRING_EQUAL(url.endpoints[0], "127.0.0.1:2379");
	CU_ASSERT_STRING_EQUAL(url.prefix, "extmem");
	CU_ASSERT_EQUAL(read_url("etcd://a.b-c_d:1,[fd00::1]:65535/room/1//"), 0);
	CU_ASSERT_EQUAL(url.count, 2);
	CU_ASSERT_STRING_EQUAL(url.endpoints[1], "[fd00::1]:65535");
	CU_ASSERT_STRING_EQUAL(url.prefix, "room/1");
	CU_ASSERT_TRUE(xm_etcd_is("etcd://"));
	CU_ASSERT_FALSE(xm_etcd_is("etcd:/"));
	CU_ASSERT_FALSE(xm_etcd_is(""));
}

static void others_are_refused_in_words(void)
{
	static const char *const wrong[][2] = {
		{ "", "does not begin" },
		{ "http://a:1/x", "does not begin" },
		{ "etcd://", "HOST:PORT" },
		{ "etcd:///x", "HOST:PORT" },
		{ "etcd://a/x", "HOST:PORT" },
		{ "etcd://:1/x", "HOST:PORT" },
		{ "etcd://a:/x", "HOST:PORT" },
		{ "etcd://a:0/x", "HOST:PORT" },
		{ "etcd://a:65536/x", "HOST:PORT" },
		{ "etcd://a:1x/x", "HOST:PORT" },
		{ "etcd://u@a:1/x", "HOST:PORT" },
		{ "etcd://a b:1/x", "HOST:PORT" },
		{ "etcd://a:1,/x", "HOST:PORT" },
		{ "etcd://[a/b]:1/x", "HOST:PORT" },
		{ "etcd://fd00::1:2379/x", "HOST:PORT" },
		{ "etcd://a:1", "below which key" },
		{ "etcd://a:1/", "below which key" },
		{ "etcd://a:1///", "below which key" },
		{ "etcd://a:1/x y", "other characters" },
		{ "etcd://a:1/x?y", "other characters" },
		{ "etcd://a:1,a:1,a:1,a:1,a:1,a:1,a:1,a:1,a:1/x", "more than 8" },
	};
	char text[400];

	for (size_t i = 0; i < XM_COUNT(wrong); i++) {
		CU_ASSERT_EQUAL(read_url(wrong[i][0]), -1);
		CU_ASSERT_PTR_NOT_NULL(strstr(said, wrong[i][1]));
		CU_ASSERT_PTR_NOT_NULL(strstr(said, "write etcd://HOST:PORT/PREFIX"));
	}
	/* At each limit, and one past it. */
	for (int size = 77; size <= 78; size++) {
		snprintf(text, sizeof(text), "etcd://%0*d:1/x", size, 0);
		CU_ASSERT_EQUAL(read_url(text), size == 77 ? 0 : -1);
	}
	for (int size = 127; size <= 128; size++) {
		snprintf(text, sizeof(text), "etcd://a:1/%0*d", size, 0);
		CU_ASSERT_EQUAL(read_url(text), size == 127 ? 0 : -1);
	}
}

static void an_address_in_it_is_one_of_an_appliance(void)
{
	static const char *const wrong[] = {
		"", "a", "://a", "ofi+tcp:/a:1", "ofi+tcp://", "ofi tcp://a", "x://a b",
		"x://a,y://b", "x://a\n", "etcd://a:1/x", "x\x80://a", "x://\xc3\xa4",
	};
	char text[200];

	CU_ASSERT_TRUE(xm_etcd_address_suits("ofi+tcp://[::1]:7470"));
	CU_ASSERT_TRUE(xm_etcd_address_suits("ofi+shm://a"));
	for (size_t i = 0; i < XM_COUNT(wrong); i++)
		CU_ASSERT_FALSE(xm_etcd_address_suits(wrong[i]));
	for (int size = 123; size <= 124; size++) {
		snprintf(text, sizeof(text), "x://%0*d", size, 0);
		CU_ASSERT_EQUAL(xm_etcd_address_suits(text), size == 123);
	}
}

static void base64_is_that_of_the_rfc(void)
{
	static const char *const known[][2] = { /* RFC 4648, section 10 */
		{ "", "" }, { "f", "Zg==" }, { "fo", "Zm8=" }, { "foo", "Zm9v" },
		{ "foob", "Zm9vYg==" }, { "fooba", "Zm9vYmE=" }, { "foobar", "Zm9vYmFy" },
	};
	static const char *const wrong[] = {
		"Z", "Zg", "Zg=", "Zg=A", "=g==", "Zh==", "Zm9=", "====", "Zg==Zg==", "Zm 9",
		"Zm9\n", "Z===", "Zm8-",
	};
	struct xm_rand r;
	uint8_t bytes[64], back[64];
	char text[XM_BASE64_SIZE(64)];

	for (size_t i = 0; i < XM_COUNT(known); i++) {
		size_t size = strlen(known[i][0]);

		xm_base64_write(known[i][0], size, text);
		CU_ASSERT_STRING_EQUAL(text, known[i][1]);
		CU_ASSERT_EQUAL(xm_base64_read(text, strlen(text), back, size), (long)size);
		CU_ASSERT_EQUAL(memcmp(back, known[i][0], size), 0);
		if (size > 0)
			CU_ASSERT_EQUAL(xm_base64_read(text, strlen(text), back, size - 1), -1);
	}
	for (size_t i = 0; i < XM_COUNT(wrong); i++)
		CU_ASSERT_EQUAL(xm_base64_read(wrong[i], strlen(wrong[i]), back, 64), -1);
	xm_rand_seed(&r, 1);
	for (int i = 0; i < 10000; i++) {
		size_t size = xm_rand_below(&r, 65);

		for (size_t k = 0; k < size; k++)
			bytes[k] = (uint8_t)xm_rand_below(&r, 256);
		xm_base64_write(bytes, size, text);
		CU_ASSERT_EQUAL(xm_base64_read(text, strlen(text), back, 64), (long)size);
		CU_ASSERT_EQUAL(memcmp(back, bytes, size), 0);
	}
}

/* --- the machine ---------------------------------------------------------------- */

static struct xm_keep k;
static struct xm_keep_effects did;
static uint64_t now_ns;

static void step(enum xm_keep_event_kind kind)
{
	struct xm_keep_event e = { .kind = kind, .now_ns = now_ns, .lease = 7, .ttl_s = 15 };

	xm_keep_step(&k, &e, &did);
}

static void begin(uint32_t endpoints)
{
	now_ns = 1000 * XM_SECOND;
	xm_keep_init(&k, endpoints);
	step(XM_KEEP_TIME);
	CU_ASSERT_EQUAL(did.request, XM_KEEP_GRANT);
}

static void stand(uint32_t endpoints)
{
	begin(endpoints);
	step(XM_KEEP_ANSWERED);
	CU_ASSERT_EQUAL(did.request, XM_KEEP_PUT);
	CU_ASSERT_EQUAL(did.lease, 7);
	step(XM_KEEP_ANSWERED);
	CU_ASSERT_EQUAL(did.say, XM_KEEP_HERE);
	CU_ASSERT_EQUAL(did.request, XM_KEEP_NONE);
	CU_ASSERT_EQUAL(did.wake_ns, now_ns + 5 * XM_SECOND);
}

/* Time passes until it asks. */
static void wake(void)
{
	CU_ASSERT_EQUAL(did.request, XM_KEEP_NONE);
	now_ns = did.wake_ns;
	step(XM_KEEP_TIME);
}

static void an_entry_is_put_under_a_lease_that_is_renewed(void)
{
	stand(1);
	step(XM_KEEP_TIME); /* not yet */
	CU_ASSERT_EQUAL(did.request, XM_KEEP_NONE);
	for (int i = 0; i < 100; i++) {
		wake();
		CU_ASSERT_EQUAL(did.request, XM_KEEP_RENEW);
		step(XM_KEEP_ANSWERED);
		CU_ASSERT_EQUAL(did.say, XM_KEEP_NOTHING);
		CU_ASSERT_EQUAL(did.wake_ns, now_ns + 5 * XM_SECOND);
	}
}

static void a_changed_entry_is_put_again(void)
{
	stand(1);
	step(XM_KEEP_CHANGED);
	wake();
	CU_ASSERT_EQUAL(did.request, XM_KEEP_PUT);
	step(XM_KEEP_CHANGED); /* while it is under way */
	CU_ASSERT_EQUAL(did.request, XM_KEEP_NONE);
	step(XM_KEEP_ANSWERED);
	wake();
	CU_ASSERT_EQUAL(did.request, XM_KEEP_PUT);
	step(XM_KEEP_FAILED); /* then it is not put */
	wake();
	CU_ASSERT_EQUAL(did.request, XM_KEEP_PUT);
	step(XM_KEEP_ANSWERED);
	wake();
	CU_ASSERT_EQUAL(did.request, XM_KEEP_RENEW);
}

static void a_lease_that_is_gone_is_granted_anew(void)
{
	stand(1);
	wake();
	step(XM_KEEP_LAPSED);
	CU_ASSERT_EQUAL(did.request, XM_KEEP_GRANT);
	step(XM_KEEP_ANSWERED);
	CU_ASSERT_EQUAL(did.request, XM_KEEP_PUT);
	/* One that is gone each time is no reason to ask without end. */
	step(XM_KEEP_LAPSED);
	CU_ASSERT_EQUAL(did.request, XM_KEEP_NONE);
	CU_ASSERT_EQUAL(did.say, XM_KEEP_AWAY);
	CU_ASSERT(did.wake_ns > now_ns);
}

static void the_next_member_is_asked_then_there_is_a_pause(void)
{
	uint64_t pause_ns = XM_KEEP_PAUSE_MIN;

	begin(3);
	CU_ASSERT_EQUAL(did.endpoint, 0);
	for (int round = 0; round < 20; round++) {
		for (uint32_t i = 1; i < 3; i++) {
			step(XM_KEEP_FAILED);
			CU_ASSERT_EQUAL(did.request, XM_KEEP_GRANT);
			CU_ASSERT_EQUAL(did.endpoint, i);
			CU_ASSERT_EQUAL(did.say, XM_KEEP_NOTHING);
		}
		step(XM_KEEP_FAILED);
		CU_ASSERT_EQUAL(did.wake_ns, now_ns + pause_ns);
		/* Said once. */
		CU_ASSERT_EQUAL(did.say, round == 0 ? XM_KEEP_AWAY : XM_KEEP_NOTHING);
		pause_ns = xm_min(2 * pause_ns, XM_KEEP_PAUSE_MAX);
		wake();
		CU_ASSERT_EQUAL(did.endpoint, 0);
	}
	CU_ASSERT_EQUAL(pause_ns, XM_KEEP_PAUSE_MAX);
	step(XM_KEEP_ANSWERED);
	step(XM_KEEP_ANSWERED);
	CU_ASSERT_EQUAL(did.say, XM_KEEP_HERE);
	/* Who has answered is asked again; and it is said anew when all are away. */
	wake();
	CU_ASSERT_EQUAL(did.endpoint, 0);
	for (int i = 0; i < 3; i++)
		step(XM_KEEP_FAILED);
	CU_ASSERT_EQUAL(did.say, XM_KEEP_AWAY);
	CU_ASSERT_EQUAL(did.wake_ns, now_ns + XM_KEEP_PAUSE_MIN);
	wake();
	CU_ASSERT_EQUAL(did.request, XM_KEEP_RENEW);
	step(XM_KEEP_ANSWERED);
	CU_ASSERT_EQUAL(did.say, XM_KEEP_HERE);
}

static void the_end_takes_the_entry_away(void)
{
	xm_keep_init(&k, 2);
	step(XM_KEEP_END); /* there is none yet */
	CU_ASSERT_TRUE(did.over);
	stand(2);
	step(XM_KEEP_END);
	CU_ASSERT_EQUAL(did.request, XM_KEEP_REVOKE);
	CU_ASSERT_EQUAL(did.lease, 7);
	step(XM_KEEP_ANSWERED);
	CU_ASSERT_TRUE(did.over);
	/* While something else is under way; and with nobody who answers. */
	stand(2);
	wake();
	step(XM_KEEP_END);
	CU_ASSERT_EQUAL(did.request, XM_KEEP_NONE);
	step(XM_KEEP_FAILED);
	CU_ASSERT_EQUAL(did.request, XM_KEEP_REVOKE);
	CU_ASSERT_FALSE(did.over);
	step(XM_KEEP_FAILED);
	if (!did.over) {
		CU_ASSERT_EQUAL(did.request, XM_KEEP_REVOKE);
		step(XM_KEEP_FAILED);
	}
	CU_ASSERT_TRUE(did.over);
	stand(1);
	step(XM_KEEP_END);
	step(XM_KEEP_LAPSED);
	CU_ASSERT_TRUE(did.over);
}

/* Whatever comes: one request at a time; a lease exactly where it belongs; never a request
 * without a pause for long; away and here by turns; and it ends. */
static void any_events_keep_the_rules(void)
{
	for (uint64_t seed = 1; seed <= 2000; seed++) {
		struct xm_rand r;
		bool asks = false, away = false;
		int at_once = 0;

		xm_rand_seed(&r, seed);
		now_ns = 0;
		xm_keep_init(&k, 1 + (uint32_t)xm_rand_below(&r, 3));
		memset(&did, 0, sizeof(did));
		for (int i = 0; i < 300 && !did.over; i++) {
			static const enum xm_keep_event_kind answers[] = {
				XM_KEEP_ANSWERED, XM_KEEP_ANSWERED, XM_KEEP_LAPSED,
				XM_KEEP_FAILED,
			};
			enum xm_keep_event_kind kind = answers[xm_rand_below(&r, 4)];
			uint64_t before = now_ns;

			if (!asks || xm_rand_below(&r, 8) == 0)
				kind = xm_rand_below(&r, 2) ? XM_KEEP_TIME : XM_KEEP_CHANGED;
			if (i >= 250 && kind < XM_KEEP_ANSWERED)
				kind = XM_KEEP_END;
			if (!asks && kind == XM_KEEP_TIME)
				now_ns = xm_max(now_ns, did.wake_ns);
			step(kind);
			if (kind >= XM_KEEP_ANSWERED)
				asks = false;
			CU_ASSERT_FALSE(asks && did.request != XM_KEEP_NONE);
			asks |= did.request != XM_KEEP_NONE;
			CU_ASSERT(did.endpoint < k.endpoints);
			if (did.request != XM_KEEP_NONE)
				CU_ASSERT_EQUAL(did.lease != 0, did.request != XM_KEEP_GRANT);
			CU_ASSERT_FALSE(did.say == XM_KEEP_AWAY && away);
			if (did.say != XM_KEEP_NOTHING)
				away = did.say == XM_KEEP_AWAY;
			at_once = now_ns == before ? at_once + 1 : 0;
			CU_ASSERT(did.request == XM_KEEP_NONE || at_once < 60);
		}
		for (int i = 0; i < 10 && !did.over; i++)
			step(asks ? XM_KEEP_FAILED : XM_KEEP_END), asks = true;
		CU_ASSERT_TRUE(did.over);
	}
}

/* --- messages ------------------------------------------------------------------- */

static void same(char *text, const char *wanted)
{
	CU_ASSERT_PTR_NOT_NULL_FATAL(text);
	CU_ASSERT_STRING_EQUAL(text, wanted);
	free(text);
}

static void requests_are_etcds(void)
{
	same(xm_message_grant(15), "{\"TTL\":\"15\"}");
	same(xm_message_lease(UINT64_C(9223372036854775807)),
	     "{\"ID\":\"9223372036854775807\"}");
	/* "a/b/" and "a/b0" */
	same(xm_message_range("a/b"), "{\"key\":\"YS9iLw==\",\"range_end\":\"YS9iMA==\","
				      "\"limit\":1024,\"serializable\":true}");
}

/* An answer to a range, with one value. */
static int range_of(const char *value, struct xm_entry *ret, uint32_t *ret_odd)
{
	char coded[XM_BASE64_SIZE(2048)], text[4096];

	xm_base64_write(value, strlen(value), coded);
	snprintf(text, sizeof(text), "{\"header\":{},\"kvs\":[{\"key\":\"eA==\",\"value\":\"%s\"}"
		 "]}", coded);
	return xm_answer_range(text, strlen(text), ret, ret_odd);
}

static struct xm_entry entries[XM_ENTRIES_MAX];

static void an_entry_comes_back_as_it_was_put(void)
{
	struct xm_entry e = { .address = "ofi+tcp://h:1", .name = "n", .zone = "z",
			      .memory = UINT64_C(1) << 46, .free = 5 };
	char *put = xm_message_put("p", &e, 3), *value, text[2048];
	uint32_t odd;

	CU_ASSERT_PTR_NOT_NULL_FATAL(put);
	value = strstr(put, "\"value\":\"");
	CU_ASSERT_PTR_NOT_NULL_FATAL(value);
	value += strlen("\"value\":\"");
	snprintf(text, sizeof(text), "{\"header\":{},\"kvs\":[{\"value\":\"%.*s\"}]}",
		 (int)strcspn(value, "\""), value);
	CU_ASSERT_PTR_NOT_NULL(strstr(put, "\"lease\":\"3\""));
	CU_ASSERT_EQUAL(xm_answer_range(text, strlen(text), entries, &odd), 1);
	CU_ASSERT_EQUAL(odd, 0);
	CU_ASSERT_STRING_EQUAL(entries[0].address, e.address);
	CU_ASSERT_STRING_EQUAL(entries[0].name, "n");
	CU_ASSERT_STRING_EQUAL(entries[0].zone, "z");
	CU_ASSERT_EQUAL(entries[0].memory, e.memory);
	CU_ASSERT_EQUAL(entries[0].free, 5);
	free(put);
}

static void odd_entries_are_left_out(void)
{
	static const char *const wrong[] = {
		"", "x", "[]", "{}", "{\"address\":1,\"name\":\"\",\"zone\":\"\"}",
		"{\"address\":\"x://a\",\"name\":\"\"}",
		"{\"address\":\"x://a b\",\"name\":\"\",\"zone\":\"\"}",
		"{\"address\":\"etcd://a:1/x\",\"name\":\"\",\"zone\":\"\"}",
		"{\"address\":\"x://a\",\"name\":\"\\u001b[2J\",\"zone\":\"\"}",
		"{\"address\":\"x://a\",\"name\":\"\",\"zone\":"
		"\"012345678901234567890123456789012\"}",
		"{\"address\":\"x://a\",\"address\":\"x://b\",\"name\":\"\",\"zone\":\"\"}",
	};
	char huge[1500];
	uint32_t odd;

	CU_ASSERT_EQUAL(range_of("{\"address\":\"x://a\",\"name\":\"\",\"zone\":\"\"}",
				 entries, &odd), 1);
	CU_ASSERT_EQUAL(entries[0].free, 0);
	for (size_t i = 0; i < XM_COUNT(wrong); i++) {
		CU_ASSERT_EQUAL(range_of(wrong[i], entries, &odd), 0);
		CU_ASSERT_EQUAL(odd, 1);
	}
	snprintf(huge, sizeof(huge), "{\"address\":\"x://a\",\"name\":\"\",\"zone\":\"\"%1200s}",
		 "");
	CU_ASSERT_EQUAL(range_of(huge, entries, &odd), 0);
}

static int grant_of(const char *text)
{
	uint64_t lease = 0, ttl_s = 0;
	int rc = xm_answer_grant(text, strlen(text), &lease, &ttl_s);

	CU_ASSERT(rc != 0 || (lease != 0 && ttl_s != 0));
	return rc;
}

static int renew_of(const char *text, uint64_t *ret_ttl_s)
{
	return xm_answer_renew(text, strlen(text), ret_ttl_s);
}

static void answers_of_another_shape_are_refused(void)
{
	static const char *const odd[] = {
		"", "null", "1", "[]", "{", "\"x\"", "{}", "{\"ID\":\"1\"}", "{\"TTL\":\"1\"}",
		"{\"ID\":\"0\",\"TTL\":\"15\"}", "{\"ID\":\"-1\",\"TTL\":\"15\"}",
		"{\"ID\":\"9223372036854775808\",\"TTL\":\"15\"}",
		"{\"ID\":\"99999999999999999999\",\"TTL\":\"15\"}", "{\"ID\":{},\"TTL\":[]}",
		"{\"ID\":\"1\",\"TTL\":\"15s\"}", "{\"ID\":1.5,\"TTL\":15}", "<html></html>",
		"{\"kvs\":[]}", "{\"header\":{},\"kvs\":{}}", "{\"header\":{},\"kvs\":1}",
	};
	uint64_t ttl_s = 99;
	uint32_t count;

	CU_ASSERT_EQUAL(grant_of("{\"header\":{},\"ID\":\"9223372036854775807\","
				 "\"TTL\":\"15\"}"), 0);
	CU_ASSERT_EQUAL(grant_of("{\"ID\":1,\"TTL\":15}"), 0);
	CU_ASSERT_EQUAL(renew_of("{\"result\":{\"ID\":\"1\",\"TTL\":\"15\"}}", &ttl_s), 0);
	CU_ASSERT_EQUAL(ttl_s, 15);
	CU_ASSERT_EQUAL(renew_of("{\"result\":{\"ID\":\"1\"}}", &ttl_s), 0);
	CU_ASSERT_EQUAL(ttl_s, 0);
	CU_ASSERT_EQUAL(xm_answer_range("{\"header\":{}}", 13, entries, &count), 0);
	for (size_t i = 0; i < XM_COUNT(odd); i++) {
		CU_ASSERT_EQUAL(grant_of(odd[i]), -1);
		CU_ASSERT_EQUAL(renew_of(odd[i], &ttl_s), -1);
		CU_ASSERT_EQUAL(xm_answer_range(odd[i], strlen(odd[i]), entries, &count), -1);
	}
}

/* Parts of an answer that is right, cut, doubled and changed: each is an answer or none. */
static void changed_answers_do_no_harm(void)
{
	static const char right[] =
		"{\"header\":{},\"ID\":\"12\",\"TTL\":\"15\",\"result\":{\"ID\":\"1\"},\"kvs\":["
		"{\"key\":\"eA==\",\"value\":\"eyJhZGRyZXNzIjoib2ZpK3RjcDovLzEyNy4wLjAuMTo3NDc"
		"wIiwibmFtZSI6ImEiLCJ6b25lIjoieiIsIm1lbW9yeSI6MTAwLCJmcmVlIjo1MH0=\"}]}";
	char text[2 * sizeof(right)];

	for (uint64_t seed = 1; seed <= 20000; seed++) {
		struct xm_words words;
		struct xm_rand r;
		uint64_t a, b;
		uint32_t odd;
		size_t size;
		int count;

		xm_rand_seed(&r, seed);
		size = xm_rand_below(&r, sizeof(right));
		memcpy(text, right, sizeof(right));
		if (xm_rand_below(&r, 4) != 0)
			size = sizeof(right) - 1;
		for (uint64_t i = xm_rand_below(&r, 4); i > 0 && size > 0; i--)
			text[xm_rand_below(&r, size)] = (char)xm_rand_below(&r, 256);
		(void)xm_answer_grant(text, size, &a, &b);
		(void)xm_answer_renew(text, size, &b);
		count = xm_answer_range(text, size, entries, &odd);
		CU_ASSERT(count <= 1);
		if (count == 1)
			CU_ASSERT_TRUE(xm_etcd_address_suits(entries[0].address));
		xm_words_begin(&words, said, sizeof(said));
		xm_answer_error(text, size, &words);
	}
}

static void the_freest_come_first(void)
{
	/* a: 1 free, b: 3, c: 3 */
	static const char *const values[] = {
		"{\"address\":\"x://c\",\"name\":\"\",\"zone\":\"\",\"free\":3}",
		"{\"address\":\"x://a\",\"name\":\"\",\"zone\":\"\",\"free\":1}",
		"{\"address\":\"x://b\",\"name\":\"\",\"zone\":\"\",\"free\":3}",
	};
	char text[2048] = "{\"header\":{},\"kvs\":[";
	uint32_t odd;

	for (size_t i = 0; i < XM_COUNT(values); i++) {
		char coded[XM_BASE64_SIZE(256)];
		size_t used = strlen(text);

		xm_base64_write(values[i], strlen(values[i]), coded);
		snprintf(text + used, sizeof(text) - used, "%s{\"value\":\"%s\"}",
			 i > 0 ? "," : "", coded);
	}
	strcat(text, "]}");
	CU_ASSERT_EQUAL(xm_answer_range(text, strlen(text), entries, &odd), 3);
	CU_ASSERT_STRING_EQUAL(entries[0].address, "x://b");
	CU_ASSERT_STRING_EQUAL(entries[1].address, "x://c");
	CU_ASSERT_STRING_EQUAL(entries[2].address, "x://a");
}

int main(void)
{
	static const CU_TestInfo tests[] = {
		XM_TEST(a_directory_has_members_and_a_prefix),
		XM_TEST(others_are_refused_in_words),
		XM_TEST(an_address_in_it_is_one_of_an_appliance),
		XM_TEST(base64_is_that_of_the_rfc),
		XM_TEST(an_entry_is_put_under_a_lease_that_is_renewed),
		XM_TEST(a_changed_entry_is_put_again),
		XM_TEST(a_lease_that_is_gone_is_granted_anew),
		XM_TEST(the_next_member_is_asked_then_there_is_a_pause),
		XM_TEST(the_end_takes_the_entry_away),
		XM_TEST(any_events_keep_the_rules),
		XM_TEST(requests_are_etcds),
		XM_TEST(an_entry_comes_back_as_it_was_put),
		XM_TEST(odd_entries_are_left_out),
		XM_TEST(answers_of_another_shape_are_refused),
		XM_TEST(changed_answers_do_no_harm),
		XM_TEST(the_freest_come_first),
		CU_TEST_INFO_NULL,
	};

	return xm_tests_run("directory", tests);
}
