/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The seal contract: how the bytes of pages are encrypted and authenticated before
 * they leave the client, so that an appliance can neither read nor change them.
 *
 * The engine calls it for the pages of segments that are marked as sealed:
 *
 *	seal()	once after each XM_COPY of a page into a write-back buffer, and before an
 *		explicit write is posted. The buffer holds sealed bytes from then on, so
 *		a store that failed is repeated with the same bytes.
 *	open()	when a read has ended well, before the pager hears FETCHED or the caller
 *		its completion; for each page that was asked for, and for no page
 *		that the read brought along. Also on a copy of a write-back buffer, when
 *		a fault is served from there.
 *
 * If open() fails, the read has failed with its error. The pager drops what came, and
 * the fault is repeated: bytes with a bad tag are never installed. Reads that end so
 * do not count as progress of the appliance.
 *
 * Bytes are changed in place and keep their size and offset: mirrors, stripes, parity
 * and rebuilding move sealed bytes as they move plain ones. So nonces and tags are kept
 * by the implementation, in the client, and not beside the page at the appliance.
 *
 * An implementation with AES-GCM must keep these rules:
 *
 *	- The region's id and the page's number in the region (struct xm_seal_page) are
 *	  associated data, so that one page's bytes are not accepted for another page.
 *	- Each seal() uses a new nonce, even for bytes that did not change. A later seal()
 *	  of the page replaces its tag, so that older bytes are not accepted any more.
 *	- Another thread may store to a page while it is copied, but not to the buffer: the
 *	  tag is that of the bytes that seal() leaves.
 *	- After open() has failed, the bytes are not plain text: it wipes them, or leaves
 *	  them sealed.
 *
 * Errors: open() returns 0 or -EBADMSG, the tag does not match. seal() cannot fail: the
 * implementation obtains what it needs when it is opened, and renews it ahead.
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

/* Which page the bytes are. It is the same for every client that holds the region. */
struct xm_seal_page {
	struct xm_region_id region;
	uint64_t page; /* from 0, the region's first */
	uint32_t lane; /* the caller's: whose state may be used */
};

struct xm_seal;

/* Every function is required. */
struct xm_seal_ops {
	const char *name; /* "plain", ... */
	/* The bytes stay as they are. The engine then calls neither function. */
	bool plain;

	void (*seal)(struct xm_seal *, const struct xm_seal_page *,
		     uint8_t *bytes, size_t size);
	int (*open)(struct xm_seal *, const struct xm_seal_page *,
		    uint8_t *bytes, size_t size);
};

/* Seals nothing; its struct xm_seal is NULL. */
extern const struct xm_seal_ops xm_seal_plain;

#endif
