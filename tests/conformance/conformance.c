/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The contract of core/pure/transport.h as tests, run against every transport and
 * every libfabric provider that is here. `conformance [SCHEME]...` runs some.
 *
 * The target lives in a process of its own (far_side.c) and shares the pool
 * with this one; for loop both ends are here. Every wait has a deadline.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <CUnit/Basic.h>

#include "tests/conformance/far_side.h"
#include "core/pure/transport.h"

#define TOKENS_MAX 8192
#define PEERS_MAX 256
#define DEADLINE_NS (10 * XM_SECOND)
#define KEY UINT64_C(0x7bcd3f0912e45a61)

/* 1.17's net leaks an fi_info per endpoint. Ours are found nevertheless: the
 * rest of what a transport holds is allocated by extmem. */
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void)
{
	return "leak:libfabric.so\n";
}

const char *__lsan_default_options(void);
const char *__lsan_default_options(void)
{
	return "print_suppressions=0";
}

/* --- the near side, and both together ------------------------------------- */

struct near_side {
	struct xm_transport *t;
	uint32_t up[PEERS_MAX], down[PEERS_MAX];
	int down_status[PEERS_MAX];
	uint8_t done[TOKENS_MAX];
	int status[TOKENS_MAX];
	uint32_t finished;
};

struct world {
	const struct xm_transport_ops *ops;
	struct xm_transport_limits limits;
	struct far_side here; /* loop */
	bool loop;
	int fd;
	pid_t pid;
	struct answer answer; /* to the last command */
	struct xm_locator locator;
	struct xm_remote_mr remote;
	struct near_side local, other;
	uint32_t peer;
};

static struct world w;
static const uint8_t ticket[XM_TICKET_SIZE] = "a good ticket 1";

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * XM_SECOND + (uint64_t)now.tv_nsec;
}

static int far_call(const struct command *c)
{
	struct pollfd fd = { w.fd, POLLIN, 0 };

	if (w.loop) {
		far_obey(&w.here, c, &w.answer);
		return w.answer.error;
	}
	if (send(w.fd, c, sizeof(*c), 0) != (ssize_t)sizeof(*c) ||
	    poll(&fd, 1, (int)(DEADLINE_NS / XM_MS)) != 1 ||
	    recv(w.fd, &w.answer, sizeof(w.answer), 0) !=
		    (ssize_t)sizeof(w.answer))
		return -EPIPE;
	return w.answer.error;
}

static int far_do(enum verb verb)
{
	return far_call(&(struct command){ .verb = verb });
}

static void near_poll(struct near_side *local)
{
	struct xm_transport_event events[16];
	int n = local->t ? w.ops->poll(local->t, events, 16) : 0;

	for (int i = 0; i < n; i++) {
		struct xm_transport_event *e = &events[i];

		switch (e->kind) {
		case XM_TRANSPORT_DONE:
			CU_ASSERT_FATAL(e->token < TOKENS_MAX);
			local->done[e->token]++;
			local->status[e->token] = e->status;
			local->finished++;
			break;
		case XM_TRANSPORT_UP:
			local->up[e->peer]++;
			break;
		case XM_TRANSPORT_DOWN:
			local->down[e->peer]++;
			local->down_status[e->peer] = e->status;
			break;
		default:
			CU_FAIL("a target's event at an initiator");
		}
	}
}

static void pump(void)
{
	near_poll(&w.local);
	near_poll(&w.other);
	if (w.loop)
		far_poll(&w.here);
	else
		sched_yield();
}

#define PUMP_UNTIL(condition)                                                 \
	do {                                                                  \
		uint64_t end_ = now_ns() + DEADLINE_NS;                       \
		while (!(condition) && now_ns() < end_)                       \
			pump();                                               \
		CU_ASSERT(condition);                                         \
	} while (0)

static void pump_for(uint64_t ns)
{
	uint64_t end = now_ns() + ns;

	while (now_ns() < end)
		pump();
}

static int near_open(struct near_side *local, const char *provider,
		     char *words)
{
	char address[64];
	struct xm_transport_options options = { .address = address,
						.provider = provider };

	memset(local, 0, sizeof(*local));
	address_make(w.ops->scheme, address, sizeof(address));
	return w.ops->open(&options, words, 256, &local->t);
}

static int expose_for(uint32_t rights, uint64_t client, uint64_t offset,
		      uint64_t size, uint64_t key, struct xm_remote_mr *ret)
{
	int error = far_call(&(struct command){ .verb = EXPOSE,
						.client = client,
						.offset = offset,
						.size = size,
						.rights = rights,
						.key = key });

	if (!error)
		*ret = w.answer.remote;
	return error;
}

static int expose(uint64_t client, uint64_t offset, uint64_t size,
		  uint64_t key, struct xm_remote_mr *ret)
{
	return expose_for(XM_RIGHTS_ALL, client, offset, size, key, ret);
}

static int admit_on(uint64_t client, uint32_t lane, const uint8_t *bytes)
{
	struct command c = { .verb = ADMIT, .client = client, .lane = lane };

	memcpy(c.ticket, bytes, XM_TICKET_SIZE);
	return far_call(&c);
}

/* On a lane of its own. */
static int admit(uint64_t client, const uint8_t *bytes)
{
	static uint32_t lane;

	return admit_on(client, ++lane, bytes);
}

/* A pool that nobody has written to, a target, and an initiator. */
static bool world_open(void)
{
	struct command open = { .verb = OPEN };
	char words[256];

	memset(&w, 0, sizeof(w));
	w.ops = ops_find(CU_get_current_suite()->pName);
	w.loop = strcmp(w.ops->scheme, "loop") == 0;
	w.fd = w.loop ? -1 : nursery_ask();
	memset(far_pool, 0x11, 2 * XM_MIB);
	snprintf(open.scheme, sizeof(open.scheme), "%s", w.ops->scheme);
	words[0] = '\0';
	if (far_call(&open) || near_open(&w.local, NULL, words)) {
		printf("(%s: far: %s %s; near: %s) ", open.scheme,
		       strerror(-w.answer.error), w.answer.words, words);
		CU_FAIL("the transport does not open");
		return false;
	}
	w.pid = w.answer.pid;
	w.locator = w.answer.locator;
	w.ops->limits(w.local.t, &w.limits);
	return true;
}

static void world_close(void)
{
	if (w.local.t)
		w.ops->close(w.local.t);
	if (w.other.t)
		w.ops->close(w.other.t);
	far_do(CLOSE);
	if (w.fd >= 0)
		close(w.fd);
	memset(&w, 0, sizeof(w));
	w.fd = -1;
}

static bool near_connect(struct near_side *local, const uint8_t *bytes,
			 uint32_t *ret)
{
	if (w.ops->connect(local->t, &w.locator, bytes, ret))
		return false;
	PUMP_UNTIL(local->up[*ret] || local->down[*ret]);
	return local->up[*ret] && !local->down[*ret];
}

/* The usual beginning: client 1 is up and may touch the pool's first part. */
static bool world_ready(uint64_t span)
{
	if (!world_open())
		return false;
	if (admit(1, ticket) || expose(1, 4096, span, KEY, &w.remote) ||
	    !near_connect(&w.local, ticket, &w.peer)) {
		CU_FAIL("no connection");
		world_close();
		return false;
	}
	return true;
}

/* Posts until it is taken. */
static int post(struct near_side *local, uint32_t peer,
		const struct xm_remote_mr *remote, bool write, uint64_t offset,
		void *bytes, size_t size, uint64_t token)
{
	uint64_t end = now_ns() + DEADLINE_NS;
	int error;

	do {
		error = write ? w.ops->write(local->t, peer, remote, offset, bytes,
					     size, token)
			      : w.ops->read(local->t, peer, remote, offset, bytes,
					    size, token);
		if (error == -EAGAIN)
			pump();
	} while (error == -EAGAIN && now_ns() < end);
	return error;
}

/* One operation to its end; its status, or the error of the post. */
static int move(bool write, uint64_t offset, void *bytes, size_t size)
{
	int error;

	w.local.done[0] = 0;
	error = post(&w.local, w.peer, &w.remote, write, offset, bytes, size, 0);
	if (error)
		return error;
	PUMP_UNTIL(w.local.done[0]);
	return w.local.done[0] ? w.local.status[0] : -ETIMEDOUT;
}

/* Until it ended one way or the other: a refusal may also be a dead peer, and
 * where death is not reported, no answer at all. Then disconnect() ends it,
 * as a caller's deadline would. */
static int move_refused(struct near_side *local, uint32_t peer,
			const struct xm_remote_mr *remote, bool write, uint64_t offset,
			void *bytes, size_t size)
{
	int error;

	local->done[1] = 0;
	error = post(local, peer, remote, write, offset, bytes, size, 1);
	if (error)
		return error;
	if (!w.limits.reports_death) {
		for (uint64_t end = now_ns() + XM_SECOND / 2;
		     !local->done[1] && now_ns() < end;)
			pump();
		if (!local->done[1]) {
			w.ops->disconnect(local->t, peer);
			local->down[peer]++;
		}
	}
	PUMP_UNTIL(local->done[1]);
	return local->done[1] ? local->status[1] : -ETIMEDOUT;
}

static bool filled(const uint8_t *bytes, uint8_t with, size_t size)
{
	for (size_t i = 0; i < size; i++)
		if (bytes[i] != with)
			return false;
	return true;
}

static uint64_t random_next(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

/* --- skipping, and the table ---------------------------------------------- */

#define SCHEMES_MAX 16
#define TESTS_MAX 40

static char cells[SCHEMES_MAX][TESTS_MAX];
static char reasons[SCHEMES_MAX][256];
static const char *excuses[26];
static unsigned skips;

static void cell_find(CU_pTest test, CU_pSuite suite, unsigned *ret_scheme,
		      unsigned *ret_test)
{
	*ret_scheme = 0;
	while (strcmp(xm_transports[*ret_scheme]->scheme, suite->pName))
		++*ret_scheme;
	*ret_test = 0;
	for (CU_pTest t = suite->pTest; t != test; t = t->pNext)
		++*ret_test;
}

/* The test asks for what this transport does not promise. */
static void skip(const char *why)
{
	unsigned scheme, test, i = 0;

	cell_find(CU_get_current_test(), CU_get_current_suite(), &scheme,
		  &test);
	while (i < XM_COUNT(excuses) - 1 && excuses[i] && strcmp(excuses[i], why))
		i++;
	excuses[i] = why;
	cells[scheme][test] = (char)('a' + i);
	skips++;
}

/* Skips the test and closes the world where a limit is false, says `why`. */
static bool world_has(bool limit, const char *why)
{
	if (limit)
		return true;
	skip(why);
	world_close();
	return false;
}

static void test_over(const CU_pTest test, const CU_pSuite suite,
		      const CU_pFailureRecord failure)
{
	unsigned scheme, number;

	cell_find(test, suite, &scheme, &number);
	if (failure)
		cells[scheme][number] = 'F';
	else if (!cells[scheme][number])
		cells[scheme][number] = 'P';
}

/* --- the tests ------------------------------------------------------------ */

static void bytes_go_round_unharmed_at_every_size(void)
{
	static const size_t sizes[] = { 1,    2,     7,	    64,	   4095, 4096,
					4097, 65537, 300001, 1 << 20 };
	uint64_t seed = 42;
	uint8_t *out, *in;

	if (!world_ready(40 * XM_MIB))
		return;
	out = malloc(w.limits.size_max);
	in = malloc(w.limits.size_max);
	w.ops->register_memory(w.local.t, out, w.limits.size_max);
	w.ops->register_memory(w.local.t, in, w.limits.size_max);
	for (size_t i = 0; i < w.limits.size_max; i++)
		out[i] = (uint8_t)(random_next(&seed) >> 32);
	for (size_t i = 0; i <= XM_COUNT(sizes); i++) {
		size_t size = i < XM_COUNT(sizes) ? sizes[i]
						  : w.limits.size_max;
		uint64_t offset = 2 * i + 1;
		uint8_t *at = far_pool + 4096 + offset;

		at[-1] = at[size] = 0x77;
		memset(in, 0, size);
		CU_ASSERT_EQUAL(move(true, offset, out, size), 0);
		CU_ASSERT_EQUAL(memcmp(at, out, size), 0);
		CU_ASSERT(at[-1] == 0x77 && at[size] == 0x77);
		CU_ASSERT_EQUAL(move(false, offset, in, size), 0);
		CU_ASSERT_EQUAL(memcmp(in, out, size), 0);
	}
	CU_ASSERT_EQUAL(move(true, 0, out, w.limits.size_max + 1), -EINVAL);
	CU_ASSERT_EQUAL(move(false, 0, in, 0), -EINVAL);
	world_close();
	free(out);
	free(in);
}

static void a_write_completes_only_when_its_bytes_are_far(void)
{
	static uint8_t bytes[300000];
	static const size_t sizes[] = { 1, 512, 4096, 300000 };

	if (!world_ready(XM_MIB))
		return;
	w.ops->register_memory(w.local.t, bytes, sizeof(bytes));
	CU_ASSERT_EQUAL(move(true, 0, bytes, 1), 0);
	for (size_t i = 0; i < XM_COUNT(sizes); i++) {
		memset(far_pool + 4096, 0x11, sizes[i]);
		memset(bytes, 0x20 + (int)i, sizes[i]);
		w.local.done[2] = 0;
		far_do(PAUSE);
		CU_ASSERT_EQUAL(post(&w.local, w.peer, &w.remote, true, 0, bytes,
				     sizes[i], 2), 0);
		for (uint64_t end = now_ns() + 50 * XM_MS;
		     now_ns() < end && !w.local.done[2];)
			pump();
		if (w.local.done[2])
			CU_ASSERT(filled(far_pool + 4096, 0x20 + (uint8_t)i,
					 sizes[i]));
		far_do(RESUME);
		PUMP_UNTIL(w.local.done[2]);
		CU_ASSERT_EQUAL(w.local.status[2], 0);
		CU_ASSERT(filled(far_pool + 4096, 0x20 + (uint8_t)i, sizes[i]));
	}
	world_close();
}

/* Pieces of one write lie apart, and not in the order of the local memory. */
static void a_scattered_write_reaches_each_of_its_places(void)
{
	static const uint64_t places[] = { 5, 1, 9, 3, 14, 11, 0, 7 };
	uint8_t bytes[8 * 4096];
	uint64_t offsets[8];
	uint32_t count;

	if (!world_ready(XM_MIB))
		return;
	count = (uint32_t)xm_min(w.limits.scatter_max, 8);
	CU_ASSERT_TRUE_FATAL(count >= 1);
	w.ops->register_memory(w.local.t, bytes, sizeof(bytes));
	for (uint32_t i = 0; i < count; i++) {
		memset(bytes + i * 4096, 0x40 + (int)i, 4096);
		offsets[i] = places[i] * 4096;
	}
	w.local.done[2] = 0;
	for (uint64_t end = now_ns() + DEADLINE_NS; now_ns() < end; pump()) {
		if (w.ops->scatter(w.local.t, w.peer, &w.remote, offsets, count,
				   bytes, 4096, 2) != -EAGAIN)
			break;
	}
	PUMP_UNTIL(w.local.done[2]);
	CU_ASSERT_EQUAL(w.local.status[2], 0);
	for (uint64_t place = 0; place < 16; place++) {
		uint8_t with = 0x11;

		for (uint32_t i = 0; i < count; i++) {
			if (places[i] == place)
				with = (uint8_t)(0x40 + i);
		}
		CU_ASSERT(filled(far_pool + 4096 + place * 4096, with, 4096));
	}
	world_close();
}

static void a_wrong_key_touches_nothing(void)
{
	uint8_t bytes[4096], in[4096];
	struct xm_remote_mr wrong;

	for (int write = 0; write < 2; write++) {
		if (!world_ready(XM_MIB))
			return;
		w.ops->register_memory(w.local.t, bytes, sizeof(bytes));
		w.ops->register_memory(w.local.t, in, sizeof(in));
		memset(bytes, 0x99, sizeof(bytes));
		memset(in, 0x55, sizeof(in));
		CU_ASSERT_EQUAL(move(true, XM_MIB / 2, bytes, 8), 0);
		wrong = w.remote;
		wrong.key++;
		CU_ASSERT_NOT_EQUAL(move_refused(&w.local, w.peer, &wrong, write,
						 0, write ? bytes : in, 4096),
				    0);
		CU_ASSERT(filled(far_pool + 4096, 0x11, 4096));
		if (!write)
			CU_ASSERT(filled(in, 0x55, sizeof(in)));
		CU_ASSERT(w.local.status[1] == -EACCES ||
			  w.local.down[w.peer] == 1);
		world_close();
	}
}

static void nothing_outside_the_span_is_touched(void)
{
	uint8_t bytes[4096];

	for (int write = 0; write < 2; write++) {
		if (!world_ready(8192))
			return;
		w.ops->register_memory(w.local.t, bytes, sizeof(bytes));
		memset(bytes, 0x99, sizeof(bytes));
		CU_ASSERT_EQUAL(move(true, 0, bytes, 8), 0);
		CU_ASSERT_NOT_EQUAL(move_refused(&w.local, w.peer, &w.remote,
						 write, 8192 - 64, bytes,
						 4096), 0);
		CU_ASSERT(filled(far_pool + 4096 + 8192, 0x11, 4096));
		world_close();
		if (!world_ready(8192))
			return;
		w.ops->register_memory(w.local.t, bytes, sizeof(bytes));
		CU_ASSERT_NOT_EQUAL(move_refused(&w.local, w.peer, &w.remote,
						 write, UINT64_MAX - 100,
						 bytes, 4096), 0);
		CU_ASSERT(filled(far_pool, 0x11, 4096));
		world_close();
	}
}

static void concealed_memory_cannot_be_reached(void)
{
	uint8_t bytes[4096];
	struct xm_remote_mr again;

	if (!world_ready(XM_MIB) ||
	    !world_has(w.limits.revokes, "limits.revokes is false"))
		return;
	w.ops->register_memory(w.local.t, bytes, sizeof(bytes));
	memset(bytes, 0x99, sizeof(bytes));
	CU_ASSERT_EQUAL(expose(1, 2 * XM_MIB, XM_MIB, KEY + 7, &again), 0);
	CU_ASSERT_EQUAL(move(true, 0, bytes, sizeof(bytes)), 0);
	far_call(&(struct command){ .verb = CONCEAL_FILL, .client = 1,
				    .remote = w.remote, .offset = 4096,
				    .size = XM_MIB, .fill = 0xee });
	/* What was not concealed goes on. */
	w.local.done[3] = 0;
	CU_ASSERT_EQUAL(post(&w.local, w.peer, &again, true, 5, bytes, 100, 3),
			0);
	PUMP_UNTIL(w.local.done[3]);
	CU_ASSERT_EQUAL(w.local.status[3], 0);
	CU_ASSERT(filled(far_pool + 2 * XM_MIB + 5, 0x99, 100));
	CU_ASSERT_NOT_EQUAL(move_refused(&w.local, w.peer, &w.remote, true, 0,
					 bytes, sizeof(bytes)), 0);
	CU_ASSERT(filled(far_pool + 4096, 0xee, XM_MIB));
	world_close();
}

static void without_the_right_to_write_a_write_is_refused(void)
{
	uint8_t bytes[4096], got[4096];
	struct xm_remote_mr limited;

	if (!world_ready(XM_MIB))
		return;
	CU_ASSERT_EQUAL(expose_for(0, 1, 2 * XM_MIB, 4096, KEY + 7, &limited),
			-EINVAL);
	CU_ASSERT_EQUAL(expose_for(4, 1, 2 * XM_MIB, 4096, KEY + 7, &limited),
			-EINVAL);
	if (!w.limits.restricts)
		CU_ASSERT_EQUAL(expose_for(XM_RIGHT_READ, 1, 2 * XM_MIB, 4096,
					   KEY + 7, &limited), -EOPNOTSUPP);
	if (!world_has(w.limits.restricts, "limits.restricts is false"))
		return;
	w.ops->register_memory(w.local.t, bytes, sizeof(bytes));
	w.ops->register_memory(w.local.t, got, sizeof(got));
	memset(bytes, 0x99, sizeof(bytes));
	memset(far_pool + 2 * XM_MIB, 0x42, XM_MIB);
	CU_ASSERT_EQUAL(expose_for(XM_RIGHT_READ, 1, 2 * XM_MIB, XM_MIB,
				   KEY + 7, &limited), 0);
	w.local.done[3] = 0;
	CU_ASSERT_EQUAL(post(&w.local, w.peer, &limited, false, 5, got,
			     sizeof(got), 3), 0);
	PUMP_UNTIL(w.local.done[3]);
	CU_ASSERT_EQUAL(w.local.status[3], 0);
	CU_ASSERT(filled(got, 0x42, sizeof(got)));
	CU_ASSERT_NOT_EQUAL(move_refused(&w.local, w.peer, &limited, true, 5,
					 bytes, sizeof(bytes)), 0);
	CU_ASSERT(filled(far_pool + 2 * XM_MIB, 0x42, XM_MIB));
	world_close();
}

static void a_key_in_use_is_refused(void)
{
	struct xm_remote_mr again;
	int error;

	if (!world_ready(XM_MIB))
		return;
	error = expose(1, 2 * XM_MIB, 4096, w.remote.key, &again);
	/* Where providers choose keys it is another one. */
	CU_ASSERT(error == -EINVAL || (!error && again.key != w.remote.key));
	CU_ASSERT_EQUAL(expose(1, FAR_POOL_SIZE - 4096, 4097, 5, &again),
			-EINVAL);
	CU_ASSERT_EQUAL(expose(1, UINT64_MAX, 2, 5, &again), -EINVAL);
	CU_ASSERT_EQUAL(expose(1, 0, 0, 5, &again), -EINVAL);
	CU_ASSERT_EQUAL(expose(0, 0, 4096, 5, &again), -EINVAL);
	world_close();
}

static void a_late_write_cannot_reach_the_next_owner(void)
{
	size_t size = 4 * XM_MIB;
	uint8_t *bytes = malloc(size);

	memset(bytes, 0x99, size);
	for (int round = 0; round < 4; round++) {
		if (!world_ready(16 * XM_MIB) ||
		    !world_has(w.limits.revokes, "limits.revokes is false"))
			break;
		w.ops->register_memory(w.local.t, bytes, size);
		for (uint64_t i = 0; i < 4; i++)
			CU_ASSERT_EQUAL(post(&w.local, w.peer, &w.remote, true,
					     i * size, bytes, size, 10 + i),
					0);
		/* Some of it is under way; how much is left to chance. */
		pump_for((uint64_t)round * 200 * XM_US);
		far_call(&(struct command){ .verb = CONCEAL_FILL, .client = 1,
					    .remote = w.remote, .offset = 4096,
					    .size = 16 * XM_MIB,
					    .fill = 0xee });
		pump_for(30 * XM_MS);
		CU_ASSERT(filled(far_pool + 4096, 0xee, 16 * XM_MIB));
		world_close();
	}
	free(bytes);
}

static void a_ticket_lets_one_connection_in_once(void)
{
	static const uint8_t second[XM_TICKET_SIZE] = "a good ticket 2";
	static const uint8_t bad[XM_TICKET_SIZE] = "a bad ticket";
	uint32_t peer;

	if (!world_ready(XM_MIB) ||
	    !world_has(w.limits.admits, "limits.admits is false"))
		return;
	CU_ASSERT_FALSE(near_connect(&w.local, bad, &peer));
	CU_ASSERT_EQUAL(w.local.down_status[peer], -ECONNREFUSED);
	CU_ASSERT_FALSE(near_connect(&w.local, ticket, &peer));
	/* A client has several connections, each with a ticket of its own. */
	CU_ASSERT_EQUAL(admit(1, second), 0);
	CU_ASSERT_TRUE(near_connect(&w.local, second, &peer));
	CU_ASSERT_EQUAL(w.local.down[w.peer], 0);
	PUMP_UNTIL((far_do(ASK), w.answer.joined == 2));
	CU_ASSERT_EQUAL(w.answer.left, 0);
	world_close();
}

static void a_new_connection_of_a_lane_ends_the_earlier_one(void)
{
	static const uint8_t tickets[3][XM_TICKET_SIZE] = {
		"lane 1000000: 1", "lane 1000000: 2", "lane 1000001",
	};
	uint32_t first, second, other;

	if (!world_ready(XM_MIB) ||
	    !world_has(w.limits.admits, "limits.admits is false"))
		return;
	CU_ASSERT_EQUAL(admit_on(1, 1000000, tickets[0]), 0);
	CU_ASSERT_EQUAL(admit_on(1, 1000001, tickets[2]), 0);
	CU_ASSERT_TRUE(near_connect(&w.local, tickets[0], &first));
	CU_ASSERT_TRUE(near_connect(&w.local, tickets[2], &other));
	CU_ASSERT_EQUAL(admit_on(1, 1000000, tickets[1]), 0);
	CU_ASSERT_TRUE(near_connect(&w.local, tickets[1], &second));
	PUMP_UNTIL(w.local.down[first] == 1);
	PUMP_UNTIL((far_do(ASK), w.answer.left == 1));
	CU_ASSERT_EQUAL(w.local.down[second], 0);
	CU_ASSERT_EQUAL(w.local.down[other], 0);
	CU_ASSERT_EQUAL(w.local.down[w.peer], 0);
	world_close();
}

static void nobody_comes_in_on_an_expelled_clients_ticket(void)
{
	static const uint8_t second[XM_TICKET_SIZE] = "a good ticket 2";
	uint32_t peer;

	if (!world_ready(XM_MIB) ||
	    !world_has(w.limits.admits, "limits.admits is false"))
		return;
	CU_ASSERT_EQUAL(admit(1, second), 0);
	far_call(&(struct command){ .verb = EXPEL, .client = 1 });
	PUMP_UNTIL(w.local.down[w.peer] == 1);
	PUMP_UNTIL((far_do(ASK), w.answer.left == 1));
	CU_ASSERT_FALSE(near_connect(&w.local, second, &peer));
	/* It may come back later, as anybody may. */
	CU_ASSERT_EQUAL(admit(1, second), 0);
	CU_ASSERT_TRUE(near_connect(&w.local, second, &peer));
	world_close();
}

static void disconnect_completes_what_is_outstanding(void)
{
	static uint8_t bytes[32][70000];
	uint32_t posted = 0;

	if (!world_ready(XM_MIB))
		return;
	w.ops->register_memory(w.local.t, bytes, sizeof(bytes));
	CU_ASSERT_EQUAL(move(true, 0, bytes, 1), 0);
	w.local.finished = 0;
	far_do(PAUSE);
	while (posted < 32 &&
	       (posted % 2 ? w.ops->read(w.local.t, w.peer, &w.remote, 8, bytes[posted],
					 sizeof(bytes[0]), 20 + posted)
			   : w.ops->write(w.local.t, w.peer, &w.remote, 8,
					  bytes[posted], sizeof(bytes[0]),
					  20 + posted)) == 0)
		posted++;
	CU_ASSERT(posted > 0);
	w.ops->disconnect(w.local.t, w.peer);
	memset(bytes, 0x3c, sizeof(bytes));
	CU_ASSERT_EQUAL(w.ops->read(w.local.t, w.peer, &w.remote, 0, bytes[0], 8,
				    19), -ENOTCONN);
	far_do(RESUME);
	PUMP_UNTIL(w.local.finished == posted);
	pump_for(20 * XM_MS);
	CU_ASSERT_EQUAL(w.local.finished, posted);
	for (uint32_t i = 0; i < posted; i++) {
		CU_ASSERT_EQUAL(w.local.done[20 + i], 1);
		CU_ASSERT_EQUAL(w.local.status[20 + i], -ECANCELED);
	}
	CU_ASSERT_EQUAL(w.local.down[w.peer], 0);
	CU_ASSERT(filled(bytes[0], 0x3c, sizeof(bytes)));
	world_close();
}

static void a_peer_number_is_used_again_after_disconnect(void)
{
	static const uint8_t second[XM_TICKET_SIZE] = "a good ticket 2";
	uint8_t bytes[100] = "again";
	uint32_t peer;

	if (!world_ready(XM_MIB))
		return;
	w.ops->register_memory(w.local.t, bytes, sizeof(bytes));
	w.ops->disconnect(w.local.t, w.peer);
	w.local.up[w.peer] = 0;
	CU_ASSERT_EQUAL(admit(1, second), 0);
	CU_ASSERT_TRUE(near_connect(&w.local, second, &peer));
	CU_ASSERT_EQUAL(peer, w.peer);
	CU_ASSERT_EQUAL(move(true, 3, bytes, sizeof(bytes)), 0);
	CU_ASSERT_EQUAL(memcmp(far_pool + 4099, bytes, sizeof(bytes)), 0);
	world_close();
}

static void the_end_is_told_once(bool killed)
{
	static uint8_t bytes[8][4096];
	uint32_t posted = 0;

	if (!world_ready(XM_MIB))
		return;
	if (!w.limits.reports_death || (killed && w.loop)) {
		skip(w.loop ? "both ends are one process"
			    : "limits.reports_death is false");
		world_close();
		return;
	}
	w.ops->register_memory(w.local.t, bytes, sizeof(bytes));
	CU_ASSERT_EQUAL(move(true, 0, bytes, 1), 0);
	w.local.finished = 0;
	far_do(PAUSE);
	while (posted < 8 && w.ops->read(w.local.t, w.peer, &w.remote, 0,
					 bytes[posted], 4096, 30 + posted) == 0)
		posted++;
	if (killed)
		kill(w.pid, SIGKILL);
	else
		far_do(CLOSE);
	PUMP_UNTIL(w.local.down[w.peer] == 1 && w.local.finished == posted);
	for (uint32_t i = 0; i < posted; i++) {
		CU_ASSERT_EQUAL(w.local.done[30 + i], 1);
		CU_ASSERT_EQUAL(w.local.status[30 + i], -ECANCELED);
	}
	pump_for(10 * XM_MS);
	CU_ASSERT_EQUAL(w.local.down[w.peer], 1);
	CU_ASSERT_EQUAL(w.ops->read(w.local.t, w.peer, &w.remote, 0, bytes[0], 8,
				    29), -ENOTCONN);
	w.ops->disconnect(w.local.t, w.peer);
	pump_for(5 * XM_MS);
	CU_ASSERT_EQUAL(w.local.down[w.peer], 1);
	world_close();
}

static void down_is_said_once_when_the_target_closes(void)
{
	the_end_is_told_once(false);
}

static void down_is_said_once_when_the_target_is_killed(void)
{
	the_end_is_told_once(true);
}

static void the_target_is_told_when_a_client_leaves(void)
{
	if (!world_ready(XM_MIB) ||
	    !world_has(w.limits.admits, "limits.admits is false"))
		return;
	PUMP_UNTIL((far_do(ASK), w.answer.joined == 1));
	w.ops->disconnect(w.local.t, w.peer);
	PUMP_UNTIL((far_do(ASK), w.answer.left == 1));
	CU_ASSERT_EQUAL(w.answer.joined, 1);
	world_close();
}

static void at_the_depth_limit_nothing_is_lost(void)
{
	static uint8_t bytes[5000][64];
	uint32_t posted = 0;
	int error = 0;

	if (!world_ready(XM_MIB))
		return;
	w.ops->register_memory(w.local.t, bytes, sizeof(bytes));
	CU_ASSERT_EQUAL(move(true, 0, bytes, 1), 0);
	w.local.finished = 0;
	far_do(PAUSE);
	while (posted < XM_COUNT(bytes)) {
		memset(bytes[posted], (int)posted, 64);
		error = w.ops->write(w.local.t, w.peer, &w.remote, 64 * posted,
				     bytes[posted], 64, 100 + posted);
		if (error)
			break;
		posted++;
	}
	CU_ASSERT_EQUAL(error, -EAGAIN);
	CU_ASSERT(posted > 0 && posted <= w.limits.depth_max);
	far_do(RESUME);
	PUMP_UNTIL(w.local.finished == posted);
	for (uint32_t i = 0; i < posted; i++) {
		CU_ASSERT_EQUAL(w.local.done[100 + i], 1);
		CU_ASSERT_EQUAL(w.local.status[100 + i], 0);
		CU_ASSERT(filled(far_pool + 4096 + 64 * i, (uint8_t)i, 64));
	}
	CU_ASSERT_EQUAL(w.local.done[100 + posted], 0);
	CU_ASSERT_EQUAL(move(true, 0, bytes, 64), 0);
	world_close();
}

/* Slots of 64 KiB, one operation at a time in each, beside a shadow. */
#define SLOTS 24
#define SLOT_SIZE 65536

static struct {
	uint8_t remote[SLOT_SIZE]; /* what must be there */
	uint8_t local[SLOT_SIZE];
	uint64_t offset;
	size_t size;
	bool busy, write;
} *slots;

static void slot_check(uint32_t i)
{
	if (slots[i].write)
		memcpy(slots[i].remote + slots[i].offset, slots[i].local,
		       slots[i].size);
	else
		CU_ASSERT_EQUAL(memcmp(slots[i].remote + slots[i].offset,
				       slots[i].local, slots[i].size), 0);
}

static int slot_start(uint32_t i, uint64_t *seed)
{
	uint64_t r = random_next(seed);
	int error;

	slots[i].size = 1 + random_next(seed) %
			(r % 8 ? 4096 : SLOT_SIZE - 1);
	slots[i].offset = random_next(seed) % (SLOT_SIZE - slots[i].size + 1);
	slots[i].write = r >> 40 & 1;
	if (slots[i].write)
		memset(slots[i].local, (int)(r >> 20), slots[i].size);
	error = slots[i].write
			? w.ops->write(w.local.t, w.peer, &w.remote,
				       i * SLOT_SIZE + slots[i].offset,
				       slots[i].local, slots[i].size, i)
			: w.ops->read(w.local.t, w.peer, &w.remote,
				      i * SLOT_SIZE + slots[i].offset,
				      slots[i].local, slots[i].size, i);
	slots[i].busy = error == 0;
	return error;
}

/* Keeps the slots busy until `count` operations were taken. */
static uint32_t mix_run(uint64_t seed, uint32_t count)
{
	uint32_t taken = 0, busy;
	uint64_t end = now_ns() + DEADLINE_NS;

	do {
		busy = 0;
		for (uint32_t i = 0; i < SLOTS; i++) {
			if (slots[i].busy && w.local.done[i]) {
				CU_ASSERT_EQUAL(w.local.done[i], 1);
				CU_ASSERT_EQUAL(w.local.status[i], 0);
				w.local.done[i] = 0;
				slots[i].busy = false;
				slot_check(i);
			}
			if (!slots[i].busy && taken < count)
				taken += slot_start(i, &seed) == 0;
			busy += slots[i].busy;
		}
		pump();
	} while ((taken < count || busy) && now_ns() < end);
	CU_ASSERT_EQUAL(taken, count);
	CU_ASSERT_EQUAL(busy, 0);
	return taken;
}

static bool mix_ready(void)
{
	if (!world_ready(SLOTS * SLOT_SIZE))
		return false;
	slots = calloc(SLOTS, sizeof(*slots));
	memset(far_pool + 4096, 0, SLOTS * SLOT_SIZE);
	w.ops->register_memory(w.local.t, slots, SLOTS * sizeof(*slots));
	return true;
}

static void every_token_comes_back_once_under_a_random_mix(void)
{
	if (!mix_ready())
		return;
	w.local.finished = 0;
	CU_ASSERT_EQUAL(mix_run(20260101, 3000), 3000);
	CU_ASSERT_EQUAL(w.local.finished, 3000);
	for (uint32_t i = 0; i < SLOTS; i++)
		CU_ASSERT_EQUAL(memcmp(far_pool + 4096 + i * SLOT_SIZE,
				       slots[i].remote, SLOT_SIZE), 0);
	world_close();
	free(slots);
}

static void the_interface_may_close_under_load(void)
{
	uint64_t seed = 7, end;
	uint32_t taken = 0;

	if (!mix_ready())
		return;
	mix_run(99, 50);
	w.local.finished = 0;
	memset(w.local.done, 0, sizeof(w.local.done));
	for (uint32_t i = 0; i < SLOTS; i++)
		taken += slot_start(i, &seed) == 0;
	far_do(CLOSE);
	end = now_ns() + (w.limits.reports_death ? DEADLINE_NS : XM_SECOND / 5);
	while (w.local.finished < taken && now_ns() < end)
		pump();
	if (w.limits.reports_death)
		CU_ASSERT(w.local.finished == taken);
	w.ops->disconnect(w.local.t, w.peer);
	PUMP_UNTIL(w.local.finished == taken);
	for (uint32_t i = 0; i < SLOTS; i++)
		CU_ASSERT_EQUAL(w.local.done[i], slots[i].busy ? 1 : 0);
	world_close();
	free(slots);
}

static void one_client_cannot_use_anothers_key(void)
{
	static const uint8_t second[XM_TICKET_SIZE] = "a good ticket 2";
	struct xm_remote_mr theirs;
	uint8_t bytes[4096];
	char words[256];
	uint32_t peer;

	if (!world_ready(XM_MIB) ||
	    !world_has(w.limits.admits, "limits.admits is false"))
		return;
	memset(bytes, 0x99, sizeof(bytes));
	CU_ASSERT_EQUAL_FATAL(near_open(&w.other, NULL, words), 0);
	w.ops->register_memory(w.other.t, bytes, sizeof(bytes));
	CU_ASSERT_EQUAL(admit(2, second), 0);
	CU_ASSERT_EQUAL(expose(2, 1500000, 4096, KEY + 100, &theirs), 0);
	CU_ASSERT_TRUE(near_connect(&w.other, second, &peer));
	CU_ASSERT_NOT_EQUAL(move_refused(&w.other, peer, &w.remote, true, 0,
					 bytes, 4096), 0);
	CU_ASSERT(filled(far_pool + 4096, 0x11, 4096));
	CU_ASSERT_EQUAL(w.local.down[w.peer], 0);
	w.ops->register_memory(w.local.t, bytes, sizeof(bytes));
	CU_ASSERT_EQUAL(move(true, 0, bytes, 4096), 0);
	world_close();
}

static void nobody_at_the_address_is_an_error(void)
{
	uint32_t peer;

	if (!world_ready(XM_MIB) ||
	    !world_has(w.limits.admits, "limits.admits is false"))
		return;
	far_do(CLOSE);
	PUMP_UNTIL(w.local.down[w.peer] == 1);
	CU_ASSERT_FALSE(near_connect(&w.local, ticket, &peer));
	CU_ASSERT_EQUAL(w.local.down_status[peer], -ECONNREFUSED);
	world_close();
}

/* The numbers at the end of a locator are those of a socket. */
static int stranger_connect(void)
{
	char line[XM_LOCATOR_SIZE + 1] = "";
	struct sockaddr_in to = { .sin_family = AF_INET };
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	char *port;

	memcpy(line, w.locator.bytes, w.locator.size);
	port = strrchr(line, ' ');
	to.sin_port = htons((uint16_t)atoi(port ? port : "0"));
	to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (connect(fd, (struct sockaddr *)&to, sizeof(to))) {
		close(fd);
		return -1;
	}
	return fd;
}

static void strangers_on_the_port_do_not_stop_the_interface(void)
{
	/* A connection request of libfabric's tcp that promises 16 bytes more,
	 * one of a version that never was, half a one. */
	static const uint8_t openings[][40] = { { 3, 0, 0, 16 },
						{ 3, 1, 0, 16 },
						{ 99, 99, 0xff, 0xff } };
	static const uint8_t second[XM_TICKET_SIZE] = "a good ticket 2";
	uint8_t noise[512], bytes[4096];
	int fds[64];
	uint64_t seed = 11;
	uint32_t peer;

	if (!world_ready(XM_MIB))
		return;
	if (w.loop || strcmp(w.limits.provider, "shm") == 0 ||
	    strcmp(w.limits.provider, "sockets") == 0) {
		skip(strcmp(w.limits.provider, "sockets")
			     ? "there is no port"
			     : "strangers crash 1.17's sockets provider");
		world_close();
		return;
	}
	w.ops->register_memory(w.local.t, bytes, sizeof(bytes));
	for (uint32_t i = 0; i < XM_COUNT(fds); i++) {
		fds[i] = stranger_connect();
		CU_ASSERT(fds[i] >= 0);
		for (size_t j = 0; j < sizeof(noise); j++)
			noise[j] = (uint8_t)(random_next(&seed) >> 32);
		if (i % 2 == 0)
			send(fds[i], noise, 1 + random_next(&seed) % 512,
			     MSG_NOSIGNAL);
		else if (i % 8 < 7)
			send(fds[i], openings[i % 3], i % 4 == 1 ? 32 : 7,
			     MSG_NOSIGNAL);
		memset(bytes, (int)i, sizeof(bytes));
		CU_ASSERT_EQUAL(move(true, 0, bytes, sizeof(bytes)), 0);
		CU_ASSERT(filled(far_pool + 4096, (uint8_t)i, sizeof(bytes)));
	}
	CU_ASSERT_EQUAL(admit(1, second), 0);
	CU_ASSERT_TRUE(near_connect(&w.local, second, &peer));
	for (uint32_t i = 0; i < XM_COUNT(fds); i++)
		close(fds[i]);
	CU_ASSERT_EQUAL(move(true, 0, bytes, sizeof(bytes)), 0);
	world_close();
}

static void an_interface_that_listens_everywhere_is_found(void)
{
	struct command open = { .verb = OPEN };
	char words[256];

	memset(&w, 0, sizeof(w));
	w.ops = ops_find(CU_get_current_suite()->pName);
	w.loop = strcmp(w.ops->scheme, "loop") == 0;
	if (w.loop || strcmp(w.ops->scheme, "ofi+shm") == 0) {
		skip("there is no port");
		return;
	}
	w.fd = nursery_ask();
	snprintf(open.scheme, sizeof(open.scheme), "%s", w.ops->scheme);
	open.anywhere = true;
	CU_ASSERT_EQUAL(far_call(&open), 0);
	w.locator = w.answer.locator;
	CU_ASSERT_EQUAL_FATAL(near_open(&w.local, NULL, words), 0);
	w.ops->limits(w.local.t, &w.limits);
	if (!admit(1, ticket) && !expose(1, 4096, 4096, KEY, &w.remote) &&
	    near_connect(&w.local, ticket, &w.peer)) {
		uint8_t bytes[100] = "everywhere";

		w.ops->register_memory(w.local.t, bytes, sizeof(bytes));
		CU_ASSERT_EQUAL(move(true, 3, bytes, sizeof(bytes)), 0);
		CU_ASSERT_EQUAL(memcmp(far_pool + 4099, bytes, sizeof(bytes)), 0);
	} else {
		CU_FAIL("no connection");
	}
	world_close();
}

/* Of shm: a process whose number had been another's. */
static void files_of_the_dead_are_no_obstacle(void)
{
	enum { NAMES = 1000 };
	bool ours[NAMES] = { false };
	char name[64];

	if (strcmp(CU_get_current_suite()->pName, "ofi+shm") != 0) {
		skip("no file is named after a process");
		return;
	}
	for (int i = 0; i < NAMES; i++) {
		int fd;

		snprintf(name, sizeof(name), "/%d:%d:%d", (int)getpid(),
			 (int)getuid(), i);
		fd = shm_open(name, O_CREAT | O_EXCL | O_RDWR, 0600);
		ours[i] = fd >= 0;
		if (fd < 0)
			continue;
		CU_ASSERT_EQUAL(ftruncate(fd, 4096), 0);
		close(fd);
	}
	if (world_open() && !admit(1, ticket))
		CU_ASSERT_TRUE(near_connect(&w.local, ticket, &w.peer));
	world_close();
	for (int i = 0; i < NAMES; i++) {
		snprintf(name, sizeof(name), "/%d:%d:%d", (int)getpid(),
			 (int)getuid(), i);
		if (ours[i])
			shm_unlink(name);
	}
}

static void a_malformed_locator_is_refused(void)
{
	struct xm_locator locator;
	uint64_t seed = 5;
	uint32_t peer = 77;
	int error;

	if (!world_open())
		return;
	for (uint32_t size = 0; size < XM_LOCATOR_SIZE + 8; size += 7) {
		memset(&locator, 0, sizeof(locator));
		locator.size = size;
		for (uint32_t i = 0; i < XM_LOCATOR_SIZE; i++)
			locator.bytes[i] = (uint8_t)(random_next(&seed) >> 40);
		error = w.ops->connect(w.local.t, &locator, ticket, &peer);
		/* A name made of noise is still a name: then it is DOWN. */
		if (!error)
			PUMP_UNTIL(w.local.down[peer]);
		else
			CU_ASSERT(error == -EINVAL || error == -ENOSYS);
	}
	world_close();
}

static void a_provider_that_is_not_there_is_an_error_that_lists(void)
{
	struct xm_transport *untouched;
	char words[256] = "";

	w.ops = ops_find(CU_get_current_suite()->pName);
	CU_ASSERT_EQUAL(near_open(&w.local, "nosuch", words), -ENOSYS);
	untouched = w.local.t;
	CU_ASSERT_PTR_NULL(untouched);
	CU_ASSERT(strstr(words, "nosuch") != NULL);
	memset(&w, 0, sizeof(w));
}

static void signal_handlers_stay_the_programs(void)
{
	static const int signals[] = { SIGBUS, SIGSEGV, SIGTERM, SIGINT };
	struct sigaction now;

	/* Known by what main() set. */
	if (!world_ready(XM_MIB))
		return;
	for (size_t i = 0; i < XM_COUNT(signals); i++) {
		sigaction(signals[i], NULL, &now);
		CU_ASSERT_EQUAL(now.sa_handler, SIG_DFL);
	}
	world_close();
}

static void wait_ends_for_a_descriptor_and_for_time(void)
{
	uint64_t begin;
	int ends[2];

	if (!world_ready(XM_MIB))
		return;
	if (pipe(ends) || write(ends[1], "x", 1) != 1)
		CU_FAIL("pipe");
	begin = now_ns();
	w.ops->wait(w.local.t, ends[0], 60 * XM_SECOND);
	w.ops->wait(w.local.t, -1, 1000);
	w.ops->wait(w.local.t, -1, 0);
	CU_ASSERT(now_ns() - begin < DEADLINE_NS);
	close(ends[0]);
	close(ends[1]);
	world_close();
}

static void waiting_instead_of_polling_loses_nothing(void)
{
	uint8_t bytes[4096];

	if (!world_ready(XM_MIB))
		return;
	w.ops->register_memory(w.local.t, bytes, sizeof(bytes));
	for (int i = 0; i < 50; i++) {
		uint64_t end = now_ns() + DEADLINE_NS;

		memset(bytes, i, sizeof(bytes));
		w.local.done[5] = 0;
		CU_ASSERT_EQUAL(post(&w.local, w.peer, &w.remote, true, 0, bytes,
				     sizeof(bytes), 5), 0);
		while (!w.local.done[5] && now_ns() < end) {
			w.ops->wait(w.local.t, -1, XM_SECOND);
			pump();
		}
		CU_ASSERT_EQUAL(w.local.done[5], 1);
		CU_ASSERT(filled(far_pool + 4096, (uint8_t)i, sizeof(bytes)));
	}
	world_close();
}

static void an_armed_descriptor_tells_of_what_completes(void)
{
	uint8_t bytes[4096] = "armed";
	int armed = -EAGAIN;

	if (!world_ready(XM_MIB))
		return;
	if (!w.limits.waits) {
		skip("limits.waits is false");
		CU_ASSERT_EQUAL(w.ops->arm(w.local.t), -ENOSYS);
		world_close();
		return;
	}
	w.ops->register_memory(w.local.t, bytes, sizeof(bytes));
	CU_ASSERT_EQUAL(move(true, 0, bytes, 8), 0);
	for (int i = 0; i < 20; i++) {
		uint64_t end = now_ns() + DEADLINE_NS;
		struct pollfd fd = { .events = POLLIN };

		while ((fd.fd = w.ops->arm(w.local.t)) == -EAGAIN &&
		       now_ns() < end)
			near_poll(&w.local);
		CU_ASSERT(fd.fd >= 0 && (i == 0 || fd.fd == armed));
		armed = fd.fd;
		/* Posted by somebody else, while one sleeps. */
		w.local.done[5] = 0;
		CU_ASSERT_EQUAL(post(&w.local, w.peer, &w.remote, true, 0, bytes,
				     sizeof(bytes), 5), 0);
		while (!w.local.done[5] && now_ns() < end) {
			CU_ASSERT_EQUAL(poll(&fd, 1, (int)(DEADLINE_NS /
							   XM_MS)), 1);
			near_poll(&w.local);
			while (!w.local.done[5] &&
			       w.ops->arm(w.local.t) == -EAGAIN)
				near_poll(&w.local);
		}
		CU_ASSERT_EQUAL(w.local.done[5], 1);
	}
	world_close();
}

static void a_target_that_tells_says_when_bytes_move(void)
{
	uint8_t bytes[100] = "moved";
	uint32_t before;

	if (!world_ready(XM_MIB))
		return;
	far_do(ASK);
	if (!world_has(w.answer.tells, "limits.tells is false"))
		return;
	w.ops->register_memory(w.local.t, bytes, sizeof(bytes));
	/* A hint: not of each. */
	before = w.answer.moved;
	for (int i = 0; i < 50; i++)
		CU_ASSERT_EQUAL(move(i % 2, 3, bytes, sizeof(bytes)), 0);
	far_do(ASK);
	CU_ASSERT(w.answer.moved >= before + 10);
	world_close();
}

/* Each of them is served, whoever else is talking. */
static void many_clients_have_their_bytes_moved(void)
{
	enum { CLIENTS = 100 }; /* below what a target takes by default */
	static uint8_t bytes[CLIENTS][512];
	static uint32_t peers[CLIENTS];
	static struct xm_remote_mr remote[CLIENTS];

	if (!world_open() ||
	    !world_has(w.limits.admits, "limits.admits is false"))
		return;
	if (w.loop) {
		skip("both ends are one process");
		world_close();
		return;
	}
	w.ops->register_memory(w.local.t, bytes, sizeof(bytes));
	for (uint32_t i = 0; i < CLIENTS; i++) {
		uint8_t own[XM_TICKET_SIZE] = "client ";

		own[8] = (uint8_t)i;
		CU_ASSERT_EQUAL_FATAL(admit(i + 1, own), 0);
		CU_ASSERT_EQUAL_FATAL(expose(i + 1, i * 4096, 4096, KEY + i,
					     &remote[i]), 0);
		CU_ASSERT_FATAL(near_connect(&w.local, own, &peers[i]));
	}
	for (int round = 0; round < 3; round++) {
		w.local.finished = 0;
		for (uint32_t i = 0; i < CLIENTS; i++) {
			memset(bytes[i], (int)i + round, sizeof(bytes[i]));
			CU_ASSERT_EQUAL(post(&w.local, peers[i], &remote[i], true,
					     0, bytes[i], sizeof(bytes[i]),
					     300 + i), 0);
		}
		PUMP_UNTIL(w.local.finished == CLIENTS);
		for (uint32_t i = 0; i < CLIENTS; i++) {
			CU_ASSERT_EQUAL(w.local.status[300 + i], 0);
			CU_ASSERT(filled(far_pool + i * 4096,
					 (uint8_t)((int)i + round),
					 sizeof(bytes[i])));
		}
	}
	world_close();
}

static const CU_TestInfo tests[] = {
#define T(name) { #name, name }
	T(bytes_go_round_unharmed_at_every_size),
	T(a_write_completes_only_when_its_bytes_are_far),
	T(a_scattered_write_reaches_each_of_its_places),
	T(a_wrong_key_touches_nothing),
	T(nothing_outside_the_span_is_touched),
	T(concealed_memory_cannot_be_reached),
	T(without_the_right_to_write_a_write_is_refused),
	T(a_key_in_use_is_refused),
	T(a_late_write_cannot_reach_the_next_owner),
	T(a_ticket_lets_one_connection_in_once),
	T(a_new_connection_of_a_lane_ends_the_earlier_one),
	T(nobody_comes_in_on_an_expelled_clients_ticket),
	T(disconnect_completes_what_is_outstanding),
	T(a_peer_number_is_used_again_after_disconnect),
	T(down_is_said_once_when_the_target_closes),
	T(down_is_said_once_when_the_target_is_killed),
	T(the_target_is_told_when_a_client_leaves),
	T(at_the_depth_limit_nothing_is_lost),
	T(every_token_comes_back_once_under_a_random_mix),
	T(the_interface_may_close_under_load),
	T(one_client_cannot_use_anothers_key),
	T(nobody_at_the_address_is_an_error),
	T(strangers_on_the_port_do_not_stop_the_interface),
	T(an_interface_that_listens_everywhere_is_found),
	T(files_of_the_dead_are_no_obstacle),
	T(a_malformed_locator_is_refused),
	T(a_provider_that_is_not_there_is_an_error_that_lists),
	T(signal_handlers_stay_the_programs),
	T(wait_ends_for_a_descriptor_and_for_time),
	T(waiting_instead_of_polling_loses_nothing),
	T(an_armed_descriptor_tells_of_what_completes),
	T(a_target_that_tells_says_when_bytes_move),
	T(many_clients_have_their_bytes_moved),
#undef T
};

/* Whether this transport can be had here; why not, where it cannot. A process
 * of its own asks, so that this one stays clear of libfabric until then. */
static bool present(unsigned scheme)
{
	struct command open = { .verb = OPEN };
	bool here;

	w.loop = strcmp(xm_transports[scheme]->scheme, "loop") == 0;
	if (w.loop)
		return true;
	w.fd = nursery_ask();
	snprintf(open.scheme, sizeof(open.scheme), "%s",
		 xm_transports[scheme]->scheme);
	here = far_call(&open) == 0;
	if (!here)
		snprintf(reasons[scheme], sizeof(reasons[scheme]), "%.255s",
			 w.answer.words);
	else
		far_do(CLOSE);
	close(w.fd);
	return here;
}

static void table_print(const bool *chosen)
{
	printf("\n%-55s", "");
	for (unsigned i = 0; xm_transports[i]; i++)
		if (chosen[i])
			printf(" %-11s", xm_transports[i]->scheme);
	for (unsigned j = 0; j < XM_COUNT(tests); j++) {
		printf("\n%-55s", tests[j].pName);
		for (unsigned i = 0; xm_transports[i]; i++) {
			char c = cells[i][j];

			if (!chosen[i])
				continue;
			if (c >= 'a' && c <= 'z')
				printf(" skipped (%c)", c);
			else
				printf(" %-11s", reasons[i][0] ? "absent"
						 : c == 'P'    ? "pass"
							       : "FAIL");
		}
	}
	printf("\n\n");
	for (unsigned i = 0; i < XM_COUNT(excuses) && excuses[i]; i++)
		printf("skipped (%c): %s\n", (char)('a' + i), excuses[i]);
	for (unsigned i = 0; xm_transports[i]; i++)
		if (chosen[i] && reasons[i][0])
			printf("absent: %s\n", reasons[i]);
}

int main(int argc, char **argv)
{
	bool chosen[SCHEMES_MAX] = { false };
	unsigned failed, run;

	setvbuf(stdout, NULL, _IOLBF, 0);
	/* Libraries below libfabric (psm) set handlers when they are loaded. */
	signal(SIGBUS, SIG_DFL);
	signal(SIGSEGV, SIG_DFL);
	signal(SIGTERM, SIG_DFL);
	signal(SIGINT, SIG_DFL);
	if (!nursery_start())
		return 1;

	CU_initialize_registry();
	for (unsigned i = 0; xm_transports[i]; i++) {
		const char *scheme = xm_transports[i]->scheme;

		chosen[i] = argc < 2;
		for (int j = 1; j < argc; j++)
			chosen[i] |= strcmp(argv[j], scheme) == 0;
		if (!chosen[i] || !present(i))
			continue;

		CU_pSuite suite = CU_add_suite(scheme, NULL, NULL);

		for (unsigned j = 0; j < XM_COUNT(tests); j++)
			CU_add_test(suite, tests[j].pName, tests[j].pTestFunc);
	}
	CU_set_test_complete_handler(test_over);
	CU_run_all_tests();
	table_print(chosen);
	CU_basic_show_failures(CU_get_failure_list());
	run = CU_get_number_of_tests_run();
	failed = CU_get_number_of_tests_failed();
	printf("\n%u passed, %u failed\n", run - failed - skips, failed);
	failed += CU_get_number_of_failures();
	CU_cleanup_registry();
	return failed || run == 0 ? 1 : 0;
}
