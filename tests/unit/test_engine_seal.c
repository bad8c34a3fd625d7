/* SPDX-License-Identifier: BSD-3-Clause */
/* Sealed segments (core/pure/seal.h) through one lane, and the plain code. */
#include "tests/unit/engine_rig.h"

#include "core/pure/code.h"

/* --- a toy seal: bytes xor a key that is the version; the tag is their sum ------ */

struct xm_seal {
	uint64_t version; /* of the last one */
	unsigned seals, opens, bad;
};

static const struct xm_region_id region_id = { { 0xaa, 0x55 } };
static struct xm_seal toy;

static void toy_tag(const struct xm_seal_page *at, const uint8_t *bytes,
		    size_t size, uint8_t tag[XM_SEAL_TAG_SIZE])
{
	uint64_t sum = at->page * 31 + at->version;

	for (size_t i = 0; i < size; i++)
		sum = sum * 31 + bytes[i];
	memset(tag, 0, XM_SEAL_TAG_SIZE);
	memcpy(tag, &sum, sizeof(sum));
}

static void change(uint64_t version, uint8_t *bytes, size_t size)
{
	for (size_t i = 0; i < size; i++)
		bytes[i] ^= (uint8_t)version | 0x80;
}

static void toy_seal(struct xm_seal *s, const struct xm_seal_page *at,
		     uint8_t *bytes, size_t size, uint8_t tag[XM_SEAL_TAG_SIZE])
{
	CU_ASSERT_FATAL(at->page < PAGES);
	CU_ASSERT_EQUAL(memcmp(&at->region, &region_id, sizeof(region_id)), 0);
	CU_ASSERT_TRUE(at->version > s->version);
	s->version = at->version;
	s->seals++;
	change(at->version, bytes, size);
	toy_tag(at, bytes, size, tag);
}

static int toy_open(struct xm_seal *s, const struct xm_seal_page *at,
		    uint8_t *bytes, size_t size,
		    const uint8_t tag[XM_SEAL_TAG_SIZE])
{
	uint8_t right[XM_SEAL_TAG_SIZE];

	CU_ASSERT_FATAL(at->page < PAGES);
	CU_ASSERT_EQUAL(memcmp(&at->region, &region_id, sizeof(region_id)), 0);
	s->opens++;
	toy_tag(at, bytes, size, right);
	if (memcmp(tag, right, sizeof(right)) != 0) {
		s->bad++;
		return -EBADMSG;
	}
	change(at->version, bytes, size);
	return 0;
}

static const struct xm_seal_ops toy_ops = {
	.name = "toy", .seal = toy_seal, .open = toy_open,
};

/* Pages 0..31 are plain; 32..95 are the sealed region's from its page 8 on. */
static void open_sealed(void)
{
	memset(&toy, 0, sizeof(toy));
	memset(seal_table, 0, sizeof(seal_table));
	seal_ops = &toy_ops;
	seal_state = &toy;
	open_and_up();
	for (uint32_t i = 0; i < volume.layout.count; i++) {
		struct xm_segment *s = &volume.layout.segments[i];

		s->sealed = s->page == 32;
		s->region_id = region_id;
		s->region_page = 8;
	}
}

/* Where the byte of a sealed page lies. */
static uint8_t *at_appliance(uint64_t page)
{
	return &remote[1].remote[(page - 32 + 16) * PAGE];
}

/* A page that was written, stored, and is not present any more. */
static void put_away(uint64_t page, uint8_t byte)
{
	write_byte(page, byte);
	CU_ASSERT_EQUAL(event(XM_PAGER_EVICT, page, page + 1),
			XM_VERDICT_DONE);
	complete(1, 0);
	CU_ASSERT_EQUAL(flushed(page, page + 1), XM_VERDICT_DONE);
	CU_ASSERT_EQUAL(mapper.how[page], GONE);
}

/* --- paging ----------------------------------------------------------------- */

static void an_appliance_gets_sealed_bytes_and_the_pager_plain_ones(void)
{
	open_sealed();
	put_away(40, 0x5a);
	CU_ASSERT_EQUAL(toy.seals, 1);
	CU_ASSERT_EQUAL(seal_table[40].version, 1);
	CU_ASSERT_NOT_EQUAL(*at_appliance(40), 0x5a);
	CU_ASSERT_EQUAL(fault(40, false), XM_VERDICT_WAIT);
	complete(1, 0);
	CU_ASSERT_EQUAL(toy.opens, 1);
	CU_ASSERT_EQUAL(fault(40, false), XM_VERDICT_DONE);
	CU_ASSERT_EQUAL(mapper.byte[40], 0x5a);
}

static void a_segment_that_is_not_sealed_is_left_alone(void)
{
	open_sealed();
	write_byte(5, 9);
	CU_ASSERT_EQUAL(event(XM_PAGER_EVICT, 5, 6), XM_VERDICT_DONE);
	complete(0, 0);
	CU_ASSERT_EQUAL(remote[0].remote[5 * PAGE], 9);
	CU_ASSERT_EQUAL(fault(5, false), XM_VERDICT_WAIT);
	complete(0, 0);
	CU_ASSERT_EQUAL(fault(5, false), XM_VERDICT_DONE);
	CU_ASSERT_EQUAL(mapper.byte[5], 9);
	CU_ASSERT_EQUAL(toy.seals + toy.opens, 0);
}

static void a_plain_seal_is_not_called_and_changes_nothing(void)
{
	open_sealed();
	seal_ops = &xm_seal_plain;
	seal_state = NULL;
	open_and_up();
	CU_ASSERT_FALSE(engine.sealing);
	volume.layout.segments[1].sealed = true;
	put_away(40, 0x5a);
	CU_ASSERT_EQUAL(*at_appliance(40), 0x5a);
	CU_ASSERT_EQUAL(fault(40, false), XM_VERDICT_WAIT);
	complete(1, 0);
	CU_ASSERT_EQUAL(fault(40, false), XM_VERDICT_DONE);
	CU_ASSERT_EQUAL(mapper.byte[40], 0x5a);
}

/* A fault on page 40 whose bytes are wrong: its fetch has failed, and the mender reads it
 * again. */
static void fetch_badly(void)
{
	uint64_t progress_ns;

	now += XM_MS;
	turn(0);
	progress_ns = engine.peers[1].progress_ns;
	turn(XM_MS);
	CU_ASSERT_EQUAL(fault(40, false), XM_VERDICT_WAIT);
	CU_ASSERT_EQUAL_FATAL(remote[1].ops_count, 1);
	complete(1, 0);
	CU_ASSERT_EQUAL(toy.bad, 1);
	CU_ASSERT_EQUAL(mapper.how[40], GONE);
	/* Nor is it a sign that the page will come. */
	CU_ASSERT_EQUAL(engine.peers[1].progress_ns, progress_ns);
	CU_ASSERT_EQUAL(fault(40, false), XM_VERDICT_WAIT);
	CU_ASSERT_EQUAL_FATAL(remote[1].ops_count, 1);
	CU_ASSERT_FALSE(remote[1].ops[0].write);
}

static void a_bad_tag_is_a_failed_fetch_and_never_a_value(void)
{
	open_sealed();
	put_away(40, 0x5a);
	*at_appliance(40) ^= 1;
	fetch_badly();
	*at_appliance(40) ^= 1;
	complete(1, 0);
	/* It was right this time, and is written again. */
	turn(0);
	CU_ASSERT_EQUAL_FATAL(remote[1].ops_count, 1);
	CU_ASSERT_TRUE(remote[1].ops[0].write);
	CU_ASSERT_EQUAL(fault(40, false), XM_VERDICT_WAIT);
	complete(1, 0);
	turn(0);
	CU_ASSERT_EQUAL(fault(40, false), XM_VERDICT_WAIT);
	complete(1, 0);
	CU_ASSERT_EQUAL(fault(40, false), XM_VERDICT_DONE);
	CU_ASSERT_EQUAL(mapper.byte[40], 0x5a);
	CU_ASSERT_EQUAL(engine.counters.tampered, 0);
}

static void a_page_that_stays_bad_is_lost(void)
{
	open_sealed();
	put_away(40, 0x5a);
	*at_appliance(40) ^= 1;
	fetch_badly();
	complete(1, 0);
	turn(0);
	CU_ASSERT_EQUAL(fault(40, false), XM_VERDICT_LOST);
	CU_ASSERT_NOT_EQUAL(mapper.how[40], CLEAN);
	CU_ASSERT_TRUE(xm_engine_is_tampered(&engine, 40));
	CU_ASSERT_FALSE(xm_engine_is_tampered(&engine, 41));
	CU_ASSERT_EQUAL(engine.counters.tampered, 1);
}

static void an_older_version_is_not_accepted(void)
{
	uint8_t old[PAGE];

	open_sealed();
	put_away(40, 0x5a);
	memcpy(old, at_appliance(40), PAGE);
	CU_ASSERT_EQUAL(fault(40, false), XM_VERDICT_WAIT);
	complete(1, 0);
	put_away(40, 0x5b);
	memcpy(at_appliance(40), old, PAGE);
	toy.bad = 0;
	fetch_badly();
}

static void bytes_of_another_page_are_not_accepted(void)
{
	open_sealed();
	put_away(40, 0x5a);
	put_away(50, 0x6b);
	memcpy(at_appliance(40), at_appliance(50), PAGE);
	CU_ASSERT_EQUAL(fault(40, false), XM_VERDICT_WAIT);
	complete(1, 0);
	CU_ASSERT_EQUAL(toy.bad, 1);
	CU_ASSERT_EQUAL(mapper.how[40], GONE);
}

static void a_repeated_store_sends_the_same_bytes(void)
{
	uint8_t first[PAGE];

	open_sealed();
	write_byte(40, 0x5a);
	CU_ASSERT_EQUAL(event(XM_PAGER_EVICT, 40, 41), XM_VERDICT_DONE);
	CU_ASSERT_EQUAL_FATAL(remote[1].ops_count, 1);
	memcpy(first, remote[1].ops[0].local, PAGE);
	CU_ASSERT_NOT_EQUAL(first[0], 0x5a);
	complete(1, -ECANCELED);
	turn(100 * XM_US);
	CU_ASSERT_EQUAL_FATAL(remote[1].ops_count, 1);
	CU_ASSERT_EQUAL(memcmp(first, remote[1].ops[0].local, PAGE), 0);
	CU_ASSERT_EQUAL(toy.seals, 1);
	complete(1, 0);
	CU_ASSERT_EQUAL(fault(40, false), XM_VERDICT_WAIT);
	complete(1, 0);
	CU_ASSERT_EQUAL(fault(40, false), XM_VERDICT_DONE);
	CU_ASSERT_EQUAL(mapper.byte[40], 0x5a);
}

static void a_fault_on_a_leaving_page_gets_its_plain_bytes(void)
{
	uint8_t sent[PAGE];

	open_sealed();
	write_byte(40, 0x5a);
	CU_ASSERT_EQUAL(event(XM_PAGER_EVICT, 40, 41), XM_VERDICT_DONE);
	CU_ASSERT_EQUAL_FATAL(remote[1].ops_count, 1);
	memcpy(sent, remote[1].ops[0].local, PAGE);
	CU_ASSERT_EQUAL(fault(40, false), XM_VERDICT_DONE);
	CU_ASSERT_EQUAL(mapper.byte[40], 0x5a);
	CU_ASSERT_EQUAL(memcmp(sent, remote[1].ops[0].local, PAGE), 0);
	complete(1, 0);
	CU_ASSERT_EQUAL(flushed(40, 41), XM_VERDICT_DONE);
	CU_ASSERT_NOT_EQUAL(*at_appliance(40), 0x5a);
}

static void pages_of_one_write_are_sealed_one_by_one(void)
{
	open_sealed();
	for (uint64_t page = 30; page < 36; page++)
		write_byte(page, (uint8_t)page);
	CU_ASSERT_EQUAL(event(XM_PAGER_FLUSH, 30, 36), XM_VERDICT_DONE);
	complete(0, 0);
	complete(1, 0);
	CU_ASSERT_EQUAL(flushed(30, 36), XM_VERDICT_DONE);
	CU_ASSERT_EQUAL(toy.seals, 4);
	CU_ASSERT_EQUAL(remote[0].remote[31 * PAGE], 31);
	CU_ASSERT_NOT_EQUAL(*at_appliance(35), 35);
}

static void pages_that_a_fetch_brings_along_are_not_opened(void)
{
	open_sealed();
	put_away(40, 40);
	put_away(41, 41);
	put_away(42, 42);
	/* It is present, and what its appliance has is being replaced. */
	CU_ASSERT_EQUAL(fault(41, true), XM_VERDICT_WAIT);
	complete(1, 0);
	write_byte(41, 43);
	toy.opens = 0;
	*at_appliance(41) ^= 1;
	CU_ASSERT_EQUAL(event(XM_PAGER_WILLNEED, 40, 43), XM_VERDICT_DONE);
	complete(1, 0);
	CU_ASSERT_EQUAL(toy.opens, 2);
	CU_ASSERT_EQUAL(toy.bad, 0);
	CU_ASSERT_EQUAL(fault(42, false), XM_VERDICT_DONE);
	CU_ASSERT_EQUAL(mapper.byte[42], 42);
	CU_ASSERT_EQUAL(mapper.byte[41], 43);
}

static void a_divided_segment_keeps_the_numbers_of_its_pages(void)
{
	open_sealed();
	put_away(60, 0x77);
	xm_volume_divide(&volume, 50, NULL);
	CU_ASSERT_EQUAL(fault(60, false), XM_VERDICT_WAIT);
	complete(1, 0);
	CU_ASSERT_EQUAL(toy.bad, 0);
	CU_ASSERT_EQUAL(fault(60, false), XM_VERDICT_DONE);
	CU_ASSERT_EQUAL(mapper.byte[60], 0x77);
}

/* --- explicit access --------------------------------------------------------- */

static int collect(void)
{
	struct xm_completion done;

	CU_ASSERT_TRUE_FATAL(xm_engine_completion(&engine, &done));
	return done.status;
}

static void explicit_access_moves_whole_sealed_pages(void)
{
	uint8_t local[2 * PAGE];

	open_sealed();
	memset(local, 0x3c, sizeof(local));
	CU_ASSERT_EQUAL(xm_engine_post(&engine, true, 40 * PAGE, local,
				       2 * PAGE, 1), 2 * PAGE);
	complete(1, 0);
	CU_ASSERT_EQUAL(collect(), 0);
	CU_ASSERT_NOT_EQUAL(*at_appliance(41), 0x3c);
	CU_ASSERT_EQUAL(xm_engine_post(&engine, false, 40 * PAGE, local,
				       2 * PAGE, 2), 2 * PAGE);
	complete(1, 0);
	CU_ASSERT_EQUAL(collect(), 0);
	for (unsigned i = 0; i < sizeof(local); i++)
		CU_ASSERT_EQUAL(local[i], 0x3c);
	*at_appliance(41) ^= 1;
	CU_ASSERT_EQUAL(xm_engine_post(&engine, false, 40 * PAGE, local,
				       2 * PAGE, 3), 2 * PAGE);
	complete(1, 0);
	CU_ASSERT_EQUAL(collect(), -EBADMSG);
}

static enum xm_verdict unlock(uint64_t page, bool written, bool torn)
{
	struct xm_pager_event ev = { .kind = XM_PAGER_IO_UNLOCK, .page = page,
				     .limit = page + 1, .write = written,
				     .torn = torn };

	return xm_engine_event(&engine, &ev);
}

static enum xm_verdict lock(uint64_t page)
{
	struct xm_pager_event ev = { .kind = XM_PAGER_IO_LOCK, .page = page,
				     .limit = page + 1, .write = true,
				     .whole = true };

	return xm_engine_event(&engine, &ev);
}

/* An explicit write of page 40 that fails; its bytes have reached the appliance, or not. */
static void write_unknown(bool reached)
{
	uint8_t local[PAGE];

	memset(local, 0x6b, sizeof(local));
	CU_ASSERT_EQUAL(lock(40), XM_VERDICT_DONE);
	CU_ASSERT_EQUAL(xm_engine_post(&engine, true, 40 * PAGE, local, PAGE,
				       1), PAGE);
	if (reached)
		memcpy(at_appliance(40), local, PAGE);
	complete(1, -ECANCELED);
	CU_ASSERT_EQUAL(collect(), -ECANCELED);
	unlock(40, false, true);
	CU_ASSERT_EQUAL(engine.seals.formers_count, 1);
	/* No other write begins before it is known. */
	CU_ASSERT_EQUAL(lock(40), XM_VERDICT_WAIT);
	turn(XM_MS);
	complete(1, 0); /* read */
	turn(0);
	CU_ASSERT_EQUAL(engine.seals.formers_count, 1);
	complete(1, 0); /* written */
	turn(0);
	CU_ASSERT_EQUAL(engine.seals.formers_count, 0);
	CU_ASSERT_EQUAL(fault(40, false), XM_VERDICT_WAIT);
	complete(1, 0);
	CU_ASSERT_EQUAL(fault(40, false), XM_VERDICT_DONE);
	CU_ASSERT_EQUAL(mapper.byte[40], reached ? 0x6b : 0x5a);
}

static void a_write_of_unknown_end_leaves_one_of_two_versions(void)
{
	open_sealed();
	put_away(40, 0x5a);
	write_unknown(false);
	open_sealed();
	put_away(40, 0x5a);
	write_unknown(true);
}

static void explicit_access_to_part_of_a_sealed_page_is_refused(void)
{
	uint8_t local[PAGE] = { 0 };

	open_sealed();
	CU_ASSERT_EQUAL(xm_engine_post(&engine, true, 40 * PAGE + 8, local, 8,
				       1), -EINVAL);
	CU_ASSERT_EQUAL(xm_engine_post(&engine, false, 40 * PAGE, local, 8, 1),
			-EINVAL);
	CU_ASSERT_EQUAL(xm_engine_flying(&engine), 0);
	CU_ASSERT_EQUAL(toy.seals, 0);
}

static void a_write_that_was_not_posted_leaves_its_bytes_plain(void)
{
	uint8_t local[PAGE];

	open_sealed();
	memset(local, 0x3c, sizeof(local));
	remote[1].post_status = -EAGAIN;
	CU_ASSERT_EQUAL(xm_engine_post(&engine, true, 40 * PAGE, local, PAGE,
				       1), -EAGAIN);
	for (unsigned i = 0; i < sizeof(local); i++)
		CU_ASSERT_EQUAL(local[i], 0x3c);
}

/* --- the plain code ------------------------------------------------------------ */

/* What is right next may be the former version: its key is needed until it is not. */
static void a_former_version_keeps_its_key(void)
{
	static _Alignas(8) uint8_t bytes[PAGE];
	static struct xm_seals seals;
	struct xm_seal_page at = { .region = region_id, .page = 8 };

	memset(&toy, 0, sizeof(toy));
	memset(seal_table, 0, sizeof(seal_table));
	xm_seals_init(&seals, &toy_ops, &toy, seal_table, 0);
	CU_ASSERT_FALSE(xm_seals_is_old(&seals, 40, true));
	xm_seals_seal(&seals, 40, &at, false, bytes, PAGE);
	CU_ASSERT_FALSE(xm_seals_is_old(&seals, 40, true));
	xm_seals_renew(&seals, 1);
	CU_ASSERT_TRUE(xm_seals_is_old(&seals, 40, false));
	xm_seals_seal(&seals, 40, &at, true, bytes, PAGE);
	CU_ASSERT_EQUAL(at.key, 1);
	CU_ASSERT_TRUE(xm_seals_is_old(&seals, 40, true));
	CU_ASSERT_FALSE(xm_seals_is_old(&seals, 40, false));
	xm_seals_restore(&seals, 40);
	CU_ASSERT_TRUE(xm_seals_is_old(&seals, 40, false));
	xm_seals_seal(&seals, 40, &at, true, bytes, PAGE);
	xm_seals_settle(&seals, 40);
	CU_ASSERT_FALSE(xm_seals_is_old(&seals, 40, true));
}

static void the_plain_code_keeps_copies(void)
{
	static const struct xm_code_shape shape = { .columns = 1,
						    .parities = 2 };
	static const uint8_t now_bytes[PAGE] = { 2, 2, 2 };
	uint8_t bytes[3][PAGE] = { { 1, 1, 1 } };
	uint8_t *fragments[3] = { bytes[0], bytes[1], bytes[2] };

	xm_code_plain.encode(NULL, &shape, fragments, PAGE);
	CU_ASSERT_EQUAL(memcmp(bytes[2], bytes[0], PAGE), 0);
	xm_code_plain.update(NULL, &shape, 0, bytes[0], now_bytes,
			     fragments + 1, PAGE);
	CU_ASSERT_EQUAL(memcmp(bytes[1], now_bytes, PAGE), 0);
	/* Fragments 0 and 1 are lost. */
	memset(bytes[1], 0, PAGE);
	CU_ASSERT_EQUAL(xm_code_plain.decode(NULL, &shape, 3, fragments, PAGE),
			0);
	CU_ASSERT_EQUAL(memcmp(bytes[0], now_bytes, PAGE), 0);
	CU_ASSERT_EQUAL(memcmp(bytes[1], now_bytes, PAGE), 0);
	CU_ASSERT_EQUAL(xm_code_plain.decode(NULL, &shape, 7, fragments, PAGE),
			-ENODATA);
}

int main(void)
{
	static const CU_TestInfo tests[] = {
		XM_TEST(an_appliance_gets_sealed_bytes_and_the_pager_plain_ones),
		XM_TEST(a_segment_that_is_not_sealed_is_left_alone),
		XM_TEST(a_plain_seal_is_not_called_and_changes_nothing),
		XM_TEST(a_bad_tag_is_a_failed_fetch_and_never_a_value),
		XM_TEST(a_page_that_stays_bad_is_lost),
		XM_TEST(an_older_version_is_not_accepted),
		XM_TEST(bytes_of_another_page_are_not_accepted),
		XM_TEST(a_repeated_store_sends_the_same_bytes),
		XM_TEST(a_fault_on_a_leaving_page_gets_its_plain_bytes),
		XM_TEST(pages_of_one_write_are_sealed_one_by_one),
		XM_TEST(pages_that_a_fetch_brings_along_are_not_opened),
		XM_TEST(a_divided_segment_keeps_the_numbers_of_its_pages),
		XM_TEST(explicit_access_moves_whole_sealed_pages),
		XM_TEST(a_write_of_unknown_end_leaves_one_of_two_versions),
		XM_TEST(explicit_access_to_part_of_a_sealed_page_is_refused),
		XM_TEST(a_write_that_was_not_posted_leaves_its_bytes_plain),
		XM_TEST(a_former_version_keeps_its_key),
		XM_TEST(the_plain_code_keeps_copies),
		CU_TEST_INFO_NULL,
	};
	int rc = xm_tests_run("engine_seal", tests);

	free(stage);
	free(memory);
	return rc;
}
