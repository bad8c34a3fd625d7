// SPDX-License-Identifier: BSD-3-Clause
//
// The Verilog as a data path of transports/model/datapath.h: what lies around it on a board,
// a memory that takes some cycles for a word and a wire that is always ready, in C++.
//
// A key is written in a cycle of its own, as the Verilog has one clock. If an access is under
// way it goes on meanwhile, and the next call of clock() counts those cycles first.

#include <cstring>

#include "Vxm_interface.h"
#include "verilated.h"

extern "C" {
#define _Noreturn
#define _Static_assert static_assert
#include "transports/model/datapath.h"
extern const struct xm_path_ops xm_path_rtl;
}

namespace {

struct rtl {
	Vxm_interface top;
	uint8_t *pool;
	uint64_t pool_size;
	uint32_t wait;
	uint64_t jitter;
	bool jitters;
	bool waiting; // a word of memory was asked for
	uint64_t waits; // so many cycles more
	struct xm_path_access access;
	uint64_t left; // of the access's bytes on the wire
	bool under_way, ended;
	enum xm_path_status status;
	uint64_t ahead; // cycles that passed while keys were written
};

// The memory: true in the cycle in which it answers.
bool memory_answers(struct rtl *x)
{
	if (!x->top.memory_request)
		return false;
	if (!x->waiting) {
		x->waiting = true;
		x->jitter = x->jitter * 6364136223846793005u + 1442695040888963407u;
		x->waits = x->jitters ? (x->jitter >> 33) % (x->wait + 1) : x->wait;
	}
	if (x->waits > 0) {
		x->waits--;
		return false;
	}
	x->waiting = false;
	return true;
}

void memory_move(struct rtl *x)
{
	uint64_t at = (uint64_t)x->top.memory_address << 3, out = x->top.memory_out;

	XM_ASSERT(xm_span_fits(at, 8, x->pool_size));
	if (!x->top.memory_write) {
		memcpy(&x->top.memory_in, x->pool + at, 8);
		return;
	}
	for (unsigned i = 0; i < 8; i++)
		if (x->top.memory_enable >> i & 1)
			x->pool[at + i] = (uint8_t)(out >> (8 * i));
}

void wire_move(struct rtl *x)
{
	uint64_t size = x->left < 8 ? x->left : 8, word = ~(uint64_t)0;

	x->top.in_valid = x->under_way && x->access.write && x->left > 0;
	x->top.out_ready = 1;
	if (x->top.in_valid && x->top.in_ready) {
		memcpy(&word, x->access.wire, size);
	} else if (x->top.out_valid) {
		XM_ASSERT(!x->access.write && x->left > 0);
		word = x->top.out_data;
		memcpy(x->access.wire, &word, size);
	} else {
		return;
	}
	x->top.in_data = word;
	x->access.wire += size;
	x->left -= size;
}

void tick(struct rtl *x)
{
	bool accepted = x->top.access_valid && x->top.access_ready;

	x->top.memory_ack = memory_answers(x);
	if (x->top.memory_ack)
		memory_move(x);
	wire_move(x);
	x->top.end_ready = 1;
	if (x->under_way && x->top.end_valid) {
		x->ended = true;
		x->status = (enum xm_path_status)x->top.end_status;
	}
	x->top.clock = 1;
	x->top.eval();
	x->top.clock = 0;
	x->top.eval();
	if (accepted)
		x->top.access_valid = 0;
}

void rtl_key(void *path, uint32_t index, const struct xm_path_key *key)
{
	struct rtl *x = (struct rtl *)path;

	XM_ASSERT(index == key->key % XM_PATH_KEYS || key->rights == 0);
	x->top.key_write = 1;
	x->top.key_value = (key->key & ~(uint64_t)(XM_PATH_KEYS - 1)) | index;
	x->top.key_owner = key->owner;
	x->top.key_base = key->base;
	x->top.key_size = key->size;
	x->top.key_rights = key->rights;
	if (x->under_way && !x->ended)
		x->ahead++;
	tick(x);
	x->top.key_write = 0;
}

// Little endian, as all that this runs on: a word's first byte is its lowest.
void *rtl_open(uint8_t *pool, uint64_t size, uint32_t wait, uint64_t jitter)
{
	struct rtl *x = new struct rtl();
	struct xm_path_key dead = {};

	XM_ASSERT(((uintptr_t)pool | size) % 8 == 0);
	XM_ASSERT(size <= (uint64_t)1 << XM_PATH_ADDRESS_BITS);
	x->pool = pool;
	x->pool_size = size;
	x->wait = wait;
	x->jitter = jitter;
	x->jitters = jitter != 0;
	x->top.reset = 1;
	tick(x);
	tick(x);
	x->top.reset = 0;
	for (uint32_t i = 0; i < XM_PATH_KEYS; i++)
		rtl_key(x, i, &dead);
	return x;
}

void rtl_close(void *path)
{
	struct rtl *x = (struct rtl *)path;

	x->top.final();
	delete x;
}

void rtl_begin(void *path, const struct xm_path_access *access)
{
	struct rtl *x = (struct rtl *)path;

	XM_ASSERT(!x->under_way && x->top.access_ready);
	x->access = *access;
	x->left = access->length;
	x->under_way = true;
	x->ended = false;
	x->ahead = 0;
	x->top.access_valid = 1;
	x->top.access_write = access->write;
	x->top.access_owner = access->owner;
	x->top.access_key = access->key;
	x->top.access_offset = access->offset;
	x->top.access_length = access->length;
}

uint64_t rtl_clock(void *path, uint64_t cycles, bool *ret_ended,
		   enum xm_path_status *ret_status)
{
	struct rtl *x = (struct rtl *)path;
	uint64_t passed = x->ahead < cycles ? x->ahead : cycles;

	x->ahead -= passed;
	while (passed < cycles && !x->ended) {
		tick(x);
		passed++;
	}
	*ret_ended = x->ended && x->ahead == 0;
	if (!*ret_ended)
		return passed;
	*ret_status = x->status;
	x->under_way = false;
	return passed;
}

} // namespace

const struct xm_path_ops xm_path_rtl = {
	rtl_open, rtl_close, rtl_key, rtl_begin, rtl_clock,
};

double sc_time_stamp()
{
	return 0;
}
