/* SPDX-License-Identifier: BSD-3-Clause */
/* Tests of core/pure/wire.c: totality, bounds, the canonical form, the limits. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/cunit.h"
#include "tests/unit/wire_sample.h"
#include "core/pure/wire.h"

#define ROUNDS 200

/* Decodes from memory of exactly this size, so that a sanitizer or valgrind
 * sees a step past its end, and checks that a refusal leaves *ret alone. */
static int decode(const uint8_t *bytes, size_t size, struct xm_message *ret)
{
	uint8_t *exact = malloc(size ? size : 1);
	static struct xm_message before, after;
	int r;

	CU_ASSERT_PTR_NOT_NULL_FATAL(exact);
	memcpy(exact, bytes, size);
	memset(&before, 0x5a, sizeof(before));
	memset(&after, 0x5a, sizeof(after));
	r = xm_wire_decode(exact, size, &after);
	free(exact);
	if (r < 0) {
		CU_ASSERT_EQUAL(r, -EPROTO);
		CU_ASSERT_EQUAL(memcmp(&before, &after, sizeof(after)), 0);
	} else {
		CU_ASSERT_EQUAL(r, 0);
		memcpy(ret, &after, sizeof(after));
	}
	return r;
}

static void every_kind_comes_back_as_it_went(void)
{
	uint8_t bytes[XM_MESSAGE_SIZE_MAX], again[XM_MESSAGE_SIZE_MAX];
	struct xm_message sent, got;
	struct xm_rand r;
	size_t size;

	xm_rand_seed(&r, 1);
	for (int kind = 1; kind < XM_MESSAGE_KINDS; kind++)
		for (int round = 0; round < ROUNDS; round++) {
			sample_message(&r, (enum xm_message_kind)kind, &sent);
			size = xm_wire_encode(&sent, bytes);
			CU_ASSERT_TRUE_FATAL(size >= 8 &&
					     size <= XM_MESSAGE_SIZE_MAX);
			CU_ASSERT_EQUAL_FATAL(decode(bytes, size, &got), 0);
			CU_ASSERT_EQUAL(memcmp(&sent, &got, sizeof(got)), 0);
			CU_ASSERT_EQUAL(xm_wire_encode(&got, again), size);
			CU_ASSERT_EQUAL(memcmp(bytes, again, size), 0);
		}
}

static void every_truncation_and_every_extension_is_refused(void)
{
	uint8_t bytes[XM_MESSAGE_SIZE_MAX + 1] = { 0 };
	struct xm_message message;
	struct xm_rand r;
	size_t size;

	xm_rand_seed(&r, 2);
	for (int kind = 1; kind < XM_MESSAGE_KINDS; kind++)
		for (int round = 0; round < 4; round++) {
			sample_message(&r, (enum xm_message_kind)kind,
				       &message);
			size = xm_wire_encode(&message, bytes);
			for (size_t cut = 0; cut < size; cut++)
				CU_ASSERT_EQUAL(decode(bytes, cut, &message),
						-EPROTO);
			bytes[size] = 0;
			CU_ASSERT_EQUAL(decode(bytes, size + 1, &message),
					-EPROTO);
		}
}

/* As above, but with a head that says what the size now is. */
static void a_body_cut_short_or_too_long_is_refused_whatever_the_head_says(void)
{
	uint8_t bytes[XM_MESSAGE_SIZE_MAX + 1] = { 0 };
	struct xm_message message;
	struct xm_rand r;
	size_t size;

	xm_rand_seed(&r, 3);
	for (int kind = 1; kind < XM_MESSAGE_KINDS; kind++)
		for (int round = 0; round < 4; round++) {
			sample_message(&r, (enum xm_message_kind)kind,
				       &message);
			size = xm_wire_encode(&message, bytes);
			bytes[size] = 0;
			for (size_t s = 8; s <= size + 1; s++) {
				if (s == size)
					continue;
				bytes[2] = (uint8_t)(s - 8);
				bytes[3] = (uint8_t)((s - 8) >> 8);
				CU_ASSERT_EQUAL(decode(bytes, s, &message),
						-EPROTO);
			}
		}
}

static void random_bytes_decode_to_a_canonical_message_or_to_eproto(void)
{
	uint8_t bytes[512], again[XM_MESSAGE_SIZE_MAX];
	struct xm_message message;
	struct xm_rand r;
	size_t size;
	int decoded = 0;

	xm_rand_seed(&r, 4);
	for (int round = 0; round < 200000; round++) {
		size = xm_rand_below(&r, 48);
		xm_rand_fill(&r, bytes, size);
		/* Half of them with a plausible head, or hardly one in a
		 * million would get past it. */
		if (size >= 8 && xm_rand_chance(&r, 500)) {
			bytes[0] = (uint8_t)xm_rand_below(&r,
							  XM_MESSAGE_KINDS + 1);
			bytes[1] = 0;
			bytes[2] = (uint8_t)(size - 8);
			bytes[3] = 0;
		}
		if (decode(bytes, size, &message) < 0)
			continue;
		decoded++;
		CU_ASSERT_EQUAL(xm_wire_encode(&message, again), size);
		CU_ASSERT_EQUAL(memcmp(bytes, again, size), 0);
	}
	CU_ASSERT_TRUE(decoded > 100);
}

static void the_bytes_are_those_of_the_table(void)
{
	static const uint8_t expected[] = {
		6, 0, 46, 0,		  /* ALLOC, flags, body size */
		0x04, 0x03, 0x02, 0x01,	  /* request */
		0x88, 0x77, 0x66, 0x55, 0x44, 0x33, 0x22, 0x11, /* size */
		16, 0, 'a', 'b', 'c', 'd', 'e', 'f', 'g', 'h',	/* id */
		'i', 'j', 'k', 'l', 'm', 'n', 'o', 'p',
		6, 0, 'm', 'a', 't', 'r', 'i', 'x',		/* region */
		2, 1,		  /* member */
		1, 0,		  /* bank */
		5, 0, 0, 0,	  /* flags */
		0xe8, 3, 0, 0,	  /* keep_ms */
	};
	uint8_t bytes[XM_MESSAGE_SIZE_MAX];
	struct xm_message m = { .kind = XM_ALLOC, .request = 0x01020304 };

	m.u.alloc.size = UINT64_C(0x1122334455667788);
	memcpy(m.u.alloc.id.bytes, "abcdefghijklmnop", XM_REGION_ID_SIZE);
	strcpy(m.u.alloc.region, "matrix");
	m.u.alloc.member = 0x0102;
	m.u.alloc.bank = XM_BANK_FILE;
	m.u.alloc.flags = XM_FEATURE_KEEP | XM_FEATURE_DURABLE;
	m.u.alloc.keep_ms = 1000;
	CU_ASSERT_EQUAL_FATAL(xm_wire_encode(&m, bytes), sizeof(expected));
	CU_ASSERT_EQUAL(memcmp(bytes, expected, sizeof(expected)), 0);
}

static void the_head_admits_known_kinds_and_no_flags(void)
{
	struct xm_message ping = { .kind = XM_PING }, message;
	uint8_t bytes[XM_MESSAGE_SIZE_MAX];
	size_t size = xm_wire_encode(&ping, bytes);

	CU_ASSERT_EQUAL(size, 8);
	CU_ASSERT_EQUAL(decode(bytes, size, &message), 0);
	bytes[0] = 0;
	CU_ASSERT_EQUAL(decode(bytes, size, &message), -EPROTO);
	bytes[0] = XM_MESSAGE_KINDS;
	CU_ASSERT_EQUAL(decode(bytes, size, &message), -EPROTO);
	bytes[0] = 255;
	CU_ASSERT_EQUAL(decode(bytes, size, &message), -EPROTO);
	bytes[0] = XM_PING;
	for (int bit = 0; bit < 8; bit++) {
		bytes[1] = (uint8_t)(1 << bit);
		CU_ASSERT_EQUAL(decode(bytes, size, &message), -EPROTO);
	}
}

static void more_than_a_message_may_hold_is_refused(void)
{
	static uint8_t bytes[70000];
	struct xm_message message;

	bytes[0] = XM_PING;
	bytes[2] = (uint8_t)(XM_MESSAGE_SIZE_MAX - 7);
	bytes[3] = (uint8_t)((XM_MESSAGE_SIZE_MAX - 7) >> 8);
	CU_ASSERT_EQUAL(decode(bytes, XM_MESSAGE_SIZE_MAX + 1, &message),
			-EPROTO);
	bytes[2] = bytes[3] = 0;
	/* 65,536 more than the head says: a size kept in 16 bits would agree. */
	CU_ASSERT_EQUAL(decode(bytes, 8 + 65536, &message), -EPROTO);
}

static void a_list_holds_its_most_and_not_one_more(void)
{
	uint8_t bytes[XM_MESSAGE_SIZE_MAX];
	static struct xm_message listed, got;
	size_t size;

	memset(&listed, 0, sizeof(listed));
	listed.kind = XM_LISTED;
	listed.u.listed.count = XM_LIST_MAX;
	for (int i = 0; i < XM_LIST_MAX; i++) {
		memset(listed.u.listed.entries[i].region, 'r',
		       XM_NAME_SIZE - 1);
		memset(listed.u.listed.entries[i].owner, 'o',
		       XM_NAME_SIZE - 1);
	}
	size = xm_wire_encode(&listed, bytes);
	CU_ASSERT_EQUAL(size, 2932);
	CU_ASSERT_EQUAL(decode(bytes, size, &got), 0);
	CU_ASSERT_EQUAL(memcmp(&listed, &got, sizeof(got)), 0);

	/* The same bytes, an entry of zeros more, and a count to match. */
	memset(bytes + size, 0, 56);
	bytes[size] = XM_REGION_ID_SIZE;
	bytes[16] = XM_LIST_MAX + 1;
	size += 56;
	bytes[2] = (uint8_t)(size - 8);
	bytes[3] = (uint8_t)((size - 8) >> 8);
	CU_ASSERT_EQUAL(decode(bytes, size, &got), -EPROTO);
	memset(bytes + 16, 0xff, 4);
	CU_ASSERT_EQUAL(decode(bytes, size, &got), -EPROTO);
}

/* Encodes a WELCOME and puts these bytes in place of its zone, which comes
 * last. */
static int decode_named(const char *name, size_t length)
{
	uint8_t bytes[XM_MESSAGE_SIZE_MAX];
	static struct xm_message welcome = { .kind = XM_WELCOME }, got;
	size_t size = xm_wire_encode(&welcome, bytes);

	memcpy(bytes + size, name, length);
	bytes[size - 2] = (uint8_t)length;
	bytes[size - 1] = (uint8_t)(length >> 8);
	bytes[2] = (uint8_t)(size + length - 8);
	bytes[3] = (uint8_t)((size + length - 8) >> 8);
	return decode(bytes, size + length, &got);
}

static void a_text_may_fill_its_field_and_no_more(void)
{
	char name[XM_ZONE_SIZE + 1];

	memset(name, 'n', sizeof(name));
	CU_ASSERT_EQUAL(decode_named(name, XM_ZONE_SIZE - 1), 0);
	CU_ASSERT_EQUAL(decode_named(name, XM_ZONE_SIZE), -EPROTO);
	CU_ASSERT_EQUAL(decode_named(name, XM_ZONE_SIZE + 1), -EPROTO);
}

static void a_text_is_printable_utf8_or_refused(void)
{
	static const char *const good[] = {
		"", "~", " ", "\xc2\xa0", "\xdf\xbf", "\xe0\xa0\x80",
		"\xed\x9f\xbf", "\xee\x80\x80", "\xef\xbf\xbf",
		"\xf0\x90\x80\x80", "\xf4\x8f\xbf\xbf", "a\xc3\xa9z",
	};
	static const char *const bad[] = {
		"\x01",	 "\n",	 "\x1b[31m", "\x1f", "\x7f", /* controls */
		"\xc2\x80", "\xc2\x9f",			     /* and C1 */
		"\x80", "\xbf", "\xff", "\xfe",		     /* no lead */
		"\xc3", "\xe2\x82", "\xf0\x9f\x90",	     /* cut off */
		"\xc3(", "\xe2\x82(", "\xf0\x9f\x90(",	     /* broken */
		"\xc0\xaf", "\xc1\xbf", "\xe0\x9f\xbf",	     /* overlong */
		"\xf0\x8f\xbf\xbf",
		"\xed\xa0\x80", "\xed\xbf\xbf",		     /* surrogates */
		"\xf4\x90\x80\x80", "\xf7\xbf\xbf\xbf",	     /* too far */
		"\xf8\x88\x80\x80\x80",
	};

	for (size_t i = 0; i < XM_COUNT(good); i++)
		CU_ASSERT_EQUAL(decode_named(good[i], strlen(good[i])), 0);
	for (size_t i = 0; i < XM_COUNT(bad); i++)
		CU_ASSERT_EQUAL(decode_named(bad[i], strlen(bad[i])), -EPROTO);
	CU_ASSERT_EQUAL(decode_named("a\0b", 3), -EPROTO);
	CU_ASSERT_EQUAL(decode_named("\0", 1), -EPROTO);
}

static void our_own_texts_are_made_fit_and_cut_at_their_nul(void)
{
	struct xm_message hello, got;
	uint8_t bytes[XM_MESSAGE_SIZE_MAX];
	size_t size;

	memset(&hello, 0, sizeof(hello));
	hello.kind = XM_HELLO;
	memcpy(hello.u.hello.name, "a\nb\xff\xc3\xa9\xc3", 8);
	memcpy(hello.u.hello.transport, "tcp\0left over", 14);
	/* No NUL at all: the last byte is where it would have been. */
	memset(hello.u.hello.library, 'L', sizeof(hello.u.hello.library));
	size = xm_wire_encode(&hello, bytes);
	CU_ASSERT_EQUAL_FATAL(decode(bytes, size, &got), 0);
	CU_ASSERT_STRING_EQUAL(got.u.hello.name, "a?b?\xc3\xa9?");
	CU_ASSERT_STRING_EQUAL(got.u.hello.transport, "tcp");
	CU_ASSERT_EQUAL(got.u.hello.transport[4], 0);
	CU_ASSERT_EQUAL(strlen(got.u.hello.library),
			sizeof(got.u.hello.library) - 1);
}

static void byte_strings_have_the_size_they_must(void)
{
	static struct xm_message ticketed, got;
	uint8_t bytes[XM_MESSAGE_SIZE_MAX + 2];
	size_t size;

	memset(&ticketed, 0, sizeof(ticketed));
	ticketed.kind = XM_TICKETED;
	ticketed.u.ticketed.locator.size = XM_LOCATOR_SIZE;
	memset(ticketed.u.ticketed.locator.bytes, 0xee, XM_LOCATOR_SIZE);
	size = xm_wire_encode(&ticketed, bytes);
	CU_ASSERT_EQUAL(decode(bytes, size, &got), 0);
	CU_ASSERT_EQUAL(got.u.ticketed.locator.size, XM_LOCATOR_SIZE);

	/* A locator of one byte more. */
	bytes[26] = XM_LOCATOR_SIZE + 1;
	bytes[size] = 0;
	bytes[2]++;
	CU_ASSERT_EQUAL(decode(bytes, size + 1, &got), -EPROTO);
	bytes[2]--;
	bytes[26] = XM_LOCATOR_SIZE;
	CU_ASSERT_EQUAL(decode(bytes, size, &got), 0);

	/* A ticket of 15 and of 17. */
	bytes[8] = XM_TICKET_SIZE - 1;
	CU_ASSERT_EQUAL(decode(bytes, size, &got), -EPROTO);
	bytes[8] = XM_TICKET_SIZE + 1;
	CU_ASSERT_EQUAL(decode(bytes, size, &got), -EPROTO);
}

/* A PONG of these figures, as bytes. */
static size_t put_figures(uint8_t *bytes, const uint16_t *tags, uint16_t count)
{
	size_t size = 8;

	memset(bytes, 0, XM_MESSAGE_SIZE_MAX);
	bytes[0] = XM_PONG;
	bytes[size++] = (uint8_t)count;
	bytes[size++] = (uint8_t)(count >> 8);
	for (uint16_t i = 0; i < count; i++) {
		bytes[size] = (uint8_t)tags[i];
		bytes[size + 1] = (uint8_t)(tags[i] >> 8);
		bytes[size + 2] = (uint8_t)(i + 1);
		size += 10;
	}
	bytes[2] = (uint8_t)(size - 8);
	bytes[3] = (uint8_t)((size - 8) >> 8);
	return size;
}

static void figures_that_we_do_not_know_are_kept_and_not_looked_at(void)
{
	static const uint16_t tags[] = { XM_FIGURE_FREE, XM_FIGURE_LOAD, 1000,
					 UINT16_MAX };
	uint8_t bytes[XM_MESSAGE_SIZE_MAX], again[XM_MESSAGE_SIZE_MAX];
	size_t size = put_figures(bytes, tags, XM_COUNT(tags));
	static struct xm_message got;
	const struct xm_figures *f = &got.u.pong.figures;

	CU_ASSERT_EQUAL_FATAL(decode(bytes, size, &got), 0);
	CU_ASSERT_EQUAL(xm_figures_get(f, XM_FIGURE_FREE), 1);
	CU_ASSERT_EQUAL(xm_figures_get(f, XM_FIGURE_LOAD), 2);
	/* It was not sent. */
	CU_ASSERT_EQUAL(xm_figures_get(f, XM_FIGURE_LEAVING), 0);
	CU_ASSERT_EQUAL(xm_wire_encode(&got, again), size);
	CU_ASSERT_EQUAL(memcmp(bytes, again, size), 0);
}

static void figures_come_by_rising_tag_or_are_refused(void)
{
	static const uint16_t same[] = { 3, 3 }, falling[] = { 3, 2 },
			      none[] = { 0 };
	uint8_t bytes[XM_MESSAGE_SIZE_MAX];
	static struct xm_message got;

	CU_ASSERT_EQUAL(decode(bytes, put_figures(bytes, same, 2), &got),
			-EPROTO);
	CU_ASSERT_EQUAL(decode(bytes, put_figures(bytes, falling, 2), &got),
			-EPROTO);
	CU_ASSERT_EQUAL(decode(bytes, put_figures(bytes, none, 1), &got),
			-EPROTO);
	CU_ASSERT_EQUAL(decode(bytes, put_figures(bytes, none, 0), &got), 0);
}

static void figures_are_as_many_as_they_may_be_and_not_one_more(void)
{
	uint16_t tags[XM_FIGURES_MAX + 1];
	uint8_t bytes[XM_MESSAGE_SIZE_MAX];
	static struct xm_message got;

	for (uint16_t i = 0; i < XM_COUNT(tags); i++)
		tags[i] = (uint16_t)(i + 1);
	CU_ASSERT_EQUAL(decode(bytes,
			       put_figures(bytes, tags, XM_FIGURES_MAX), &got),
			0);
	CU_ASSERT_EQUAL(decode(bytes,
			       put_figures(bytes, tags, XM_FIGURES_MAX + 1),
			       &got),
			-EPROTO);
}

/* Whoever speaks a version we have never heard of must still be told so. */
static void a_hello_of_any_version_can_be_read(void)
{
	static struct xm_message hello, got;
	uint8_t bytes[XM_MESSAGE_SIZE_MAX];
	size_t size;

	memset(&hello, 0, sizeof(hello));
	hello.kind = XM_HELLO;
	hello.u.hello.version_min = UINT16_MAX;
	hello.u.hello.version_max = UINT16_MAX;
	hello.u.hello.flags = UINT32_MAX;
	size = xm_wire_encode(&hello, bytes);
	CU_ASSERT_EQUAL(decode(bytes, size, &got), 0);
	CU_ASSERT_EQUAL(got.u.hello.version_min, UINT16_MAX);
	CU_ASSERT_EQUAL(got.u.hello.flags, UINT32_MAX);
}

static void every_kind_has_a_name_and_no_other_number(void)
{
	for (int kind = 1; kind < XM_MESSAGE_KINDS; kind++)
		CU_ASSERT_STRING_NOT_EQUAL(
			xm_message_name((enum xm_message_kind)kind), "?");
	CU_ASSERT_STRING_EQUAL(xm_message_name((enum xm_message_kind)0), "?");
	CU_ASSERT_STRING_EQUAL(xm_message_name(XM_MESSAGE_KINDS), "?");
	CU_ASSERT_STRING_EQUAL(xm_message_name(XM_ALLOC), "ALLOC");
	CU_ASSERT_STRING_EQUAL(xm_message_name(XM_LEAVING), "LEAVING");
	CU_ASSERT_STRING_EQUAL(xm_message_name(XM_COPY_BYTES), "COPY");
}

int main(void)
{
	static const CU_TestInfo tests[] = {
		XM_TEST(every_kind_comes_back_as_it_went),
		XM_TEST(every_truncation_and_every_extension_is_refused),
		XM_TEST(a_body_cut_short_or_too_long_is_refused_whatever_the_head_says),
		XM_TEST(random_bytes_decode_to_a_canonical_message_or_to_eproto),
		XM_TEST(the_bytes_are_those_of_the_table),
		XM_TEST(the_head_admits_known_kinds_and_no_flags),
		XM_TEST(more_than_a_message_may_hold_is_refused),
		XM_TEST(a_list_holds_its_most_and_not_one_more),
		XM_TEST(a_text_may_fill_its_field_and_no_more),
		XM_TEST(a_text_is_printable_utf8_or_refused),
		XM_TEST(our_own_texts_are_made_fit_and_cut_at_their_nul),
		XM_TEST(byte_strings_have_the_size_they_must),
		XM_TEST(figures_that_we_do_not_know_are_kept_and_not_looked_at),
		XM_TEST(figures_come_by_rising_tag_or_are_refused),
		XM_TEST(figures_are_as_many_as_they_may_be_and_not_one_more),
		XM_TEST(a_hello_of_any_version_can_be_read),
		XM_TEST(every_kind_has_a_name_and_no_other_number),
		CU_TEST_INFO_NULL,
	};

	return xm_tests_run("wire", tests);
}
