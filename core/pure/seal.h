/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The seal contract: how the bytes of pages are encrypted and authenticated before
 * they leave the client, so that an appliance can neither read nor change them.
 *
 * An implementation is a cipher and its keys. Which version of a page is right, and what
 * its tag was, is kept by the table of seals (seals.h), which calls it:
 *
 *	seal()	after each XM_COPY of a page into a write-back buffer, and before an
 *		explicit write is posted. The buffer holds sealed bytes from then on, so
 *		a store that failed is repeated with the same bytes.
 *	open()	when a read has ended well, before the pager hears FETCHED or the caller
 *		its completion; for each page that was asked for, and for no page
 *		that the read brought along. Also on a copy of a write-back buffer, when
 *		a fault is served from there.
 *
 * Bytes are changed in place and keep their size and offset: mirrors, stripes, parity
 * and rebuilding move sealed bytes as they move plain ones. So versions and tags stay in
 * the client, and not beside the page at the appliance.
 *
 * What an implementation must keep, with AES-256-GCM for example:
 *
 *	- All of struct xm_seal_page but the lane, and a number that names this format, are
 *	  associated data, so that one page's bytes are not accepted for another page, or
 *	  for another version of it.
 *	- The nonce is the version. The table never uses one twice, whatever fails, as long
 *	  as the client's keys are: these are derived from random bytes of its process.
 *	- Keys have numbers. A page is opened under the key of its number, for as long as a
 *	  page may have it; which two numbers, one after the other, are in use at a time is the
 *	  caller's to keep.
 *	- open() gives plain text only if the tag is right; otherwise it wipes the bytes, or
 *	  leaves them sealed.
 *	- Another thread may store to a page while it is copied, but not to the buffer: the
 *	  tag is that of the bytes that seal() leaves.
 *
 * Errors: open() returns 0 or -EBADMSG, the tag does not match. seal() cannot fail: the
 * implementation obtains what it needs when it is opened.
 *
 * Threads and locks: calls are made with the page's lane locked, on any thread, in a
 * signal handler too. So neither function allocates memory, takes a lock or makes a
 * system call, on success or on failure. Calls for two lanes overlap.
 *
 * Ownership: the struct xm_seal is the implementation's and outlives the engines; `bytes`
 * are the caller's, one page, aligned to 8.
 *
 * Floor: ground.
 */
#ifndef XM_SEAL_H
#define XM_SEAL_H

#include "common/base.h"
#include "core/pure/region_id.h"

#define XM_SEAL_TAG_SIZE 16

/* Which page the bytes are, and which version of it. */
struct xm_seal_page {
	struct xm_region_id region;
	uint64_t page; /* from 0, the region's first */
	uint64_t version; /* 48 bits, not 0 */
	uint16_t key; /* whose number in the client it is */
	uint32_t lane; /* the caller's: whose state may be used */
};

struct xm_seal;

/* Every function is required. */
struct xm_seal_ops {
	const char *name; /* "plain", ... */
	/* The bytes stay as they are. The engine then calls neither function. */
	bool plain;

	void (*seal)(struct xm_seal *, const struct xm_seal_page *,
		     uint8_t *bytes, size_t size,
		     uint8_t ret_tag[XM_SEAL_TAG_SIZE]);
	int (*open)(struct xm_seal *, const struct xm_seal_page *,
		    uint8_t *bytes, size_t size,
		    const uint8_t tag[XM_SEAL_TAG_SIZE]);
};

/* Seals nothing; its struct xm_seal is NULL. */
extern const struct xm_seal_ops xm_seal_plain;

#endif
