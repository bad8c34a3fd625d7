/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The data path of an appliance's interface as a circuit: one access at a time, checked
 * against a memory of keys, moved word by word, ended with a status. There are two of
 * it, with the same answers and the same count of cycles: datapath.c, in C, and
 * rtl/xm_interface.v, in Verilog.
 *
 * A key names its entry by its low bits, as the keys of network cards do: so the look-up
 * reads one entry, and compares all 64 bits.
 *
 * What is asked of an access, in this order; the first that is not so is its status:
 *
 *	length		1 .. XM_PATH_LENGTH_MAX
 *	key		the entry has rights, this key, and this owner
 *	bounds		offset <= size, and length <= size - offset; nothing is added
 *			that could wrap
 *	rights		to read, or to write
 *
 * A refused access touches neither memory nor wire.
 *
 * What an access costs, in cycles, with a memory that takes `wait` more cycles for each
 * word (XM_PATH_* below):
 *
 *	accept, look-up, check, completion	1 each
 *	each word of 8 bytes of the pool	1 + wait
 *	each word of 8 bytes of the wire	1
 *
 * The wire's words begin with the first byte of the access, those of the pool where an
 * address is a multiple of 8: an access that begins in between touches one more of them,
 * if it does not end in the same.
 */
#ifndef XM_MODEL_PATH_H
#define XM_MODEL_PATH_H

#include "common/base.h"

#define XM_PATH_KEYS_LOG2 12
#define XM_PATH_KEYS (1U << XM_PATH_KEYS_LOG2)
#define XM_PATH_LENGTH_MAX (4 * XM_MIB)
#define XM_PATH_ADDRESS_BITS 40 /* of the pool: 1 TiB */

#define XM_PATH_CYCLES_CHECKED 3 /* accept, look-up, check */
#define XM_PATH_CYCLES_ENDED 1	 /* completion */

enum xm_path_status {
	XM_PATH_DONE,
	XM_PATH_NO_LENGTH,
	XM_PATH_NO_KEY,
	XM_PATH_NO_BOUNDS,
	XM_PATH_NO_RIGHT,
};

/* An entry of the key memory; without rights it is dead. */
struct xm_path_key {
	uint64_t owner, key;
	uint64_t base, size; /* bytes of the pool */
	uint32_t rights;     /* XM_RIGHT_* */
};

struct xm_path_access {
	bool write;
	uint64_t owner, key, offset, length;
	uint8_t *wire; /* the bytes' other end: `length` of them */
};

/* Every function is required. One thread at a time. */
struct xm_path_ops {
	/* `pool` is 8-byte aligned, its size a multiple of 8; both outlive the path. Its
	 * memory answers after `wait` more cycles; with `jitter`, after 0 .. wait, as
	 * drawn from a generator with this seed. NULL: no memory. */
	void *(*open)(uint8_t *pool, uint64_t size, uint32_t wait, uint64_t jitter);
	void (*close)(void *);
	/* Writes an entry. Not that of the access under way, unless it kills it: then
	 * the access goes on to its end, as it was checked. */
	void (*key)(void *, uint32_t index, const struct xm_path_key *);
	/* Begins an access; none is under way. */
	void (*begin)(void *, const struct xm_path_access *);
	/* Lets at most so many cycles pass, fewer if the access ends: returns how many.
	 * *ret_ended says whether it did, and *ret_status then how. */
	uint64_t (*clock)(void *, uint64_t cycles, bool *ret_ended,
			  enum xm_path_status *ret_status);
};

extern const struct xm_path_ops xm_path_model;

#endif
