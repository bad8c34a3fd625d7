/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Explicit reads and writes: what is asked before bytes are moved, at once
 * (access.c) or asynchronously (async.c). What is moved, and how, is transfer.h's.
 */
#ifndef XM_ACCESS_H
#define XM_ACCESS_H

#include "common/base.h"
#include "core/extmem.h"

/* Whether the client can be used, and the spans lie in the region. 0, or -errno
 * with a message that begins with `call`. */
int xm_access_check(const extmem_region *, const char *call,
		    const struct extmem_iov *, size_t count);

/* Whether the bytes of this span have to go by bounce pages: its buffer is mapped
 * external memory, or is not registered and a transport wants it to be. Any other
 * buffer goes to the transport as it is. */
bool xm_access_bounces(extmem *, const struct extmem_iov *);

/* Writes these zeros to those of the pages that read as zero here, which appliances may have
 * other bytes of. What gets contents meanwhile, by whatever thread, is passed over. Of a
 * region that is tracked; whole pages. As extmem_write(). */
int xm_access_zero(extmem_region *, uint64_t offset, const void *zeros, size_t size);

/* Reads or writes these bytes, or fails by then, without words. What fails is under way no
 * more. */
int xm_access_by(extmem_region *, bool write, uint64_t offset, void *bytes, size_t size,
		 uint64_t deadline_ns);

#endif
