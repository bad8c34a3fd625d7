/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Fingerprints by xxHash; see printer.h. XXH3 is no cryptographic hash: what makes collisions
 * as rare as chance, also of pages that somebody chose, is that nobody outside knows the
 * secret, nor sees a fingerprint. The functions are inlined: no library is loaded.
 */
#include "config.h"

#include "core/skin/printer.h"

#include <errno.h>
#include <stdlib.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "core/skin/os.h"

struct xm_printer {
	uint8_t secret[XXH3_SECRET_SIZE_MIN + 64];
};

static void take(const struct xm_printer *p, const void *bytes, size_t size,
		 struct xm_print *ret)
{
	XXH128_hash_t hash = XXH3_128bits_withSecret(bytes, size, p->secret,
						     sizeof(p->secret));

	ret->words[0] = hash.low64;
	ret->words[1] = hash.high64;
}

static const struct xm_print_ops ops = { .name = "xxh3", .take = take };

int xm_printer_open(const struct xm_print_ops **ret_ops, struct xm_printer **ret)
{
	struct xm_printer *p = malloc(sizeof(*p));

	if (p == NULL)
		return -ENOMEM;
	os_random(p->secret, sizeof(p->secret));
	*ret_ops = &ops;
	*ret = p;
	return 0;
}

void xm_printer_close(struct xm_printer *p)
{
	free(p);
}
