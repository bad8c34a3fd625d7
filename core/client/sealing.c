/* SPDX-License-Identifier: BSD-3-Clause */
/* What a client seals pages with; see sealing.h. */
#include "core/client/sealing.h"

#include <errno.h>

#include "core/client/error.h"
#include "core/skin/cipher.h"
#include "core/skin/os.h"

int xm_sealing_open(struct xm_sealing *s, const struct xm_client_settings *c,
		    uint64_t arena_size)
{
	char words[256];
	int rc;

	s->ops = &xm_seal_plain;
	if (c->seal == XM_SEAL_NO)
		return 0;
	rc = xm_cipher_open(c->seal_key, (uint32_t)c->lanes, &s->ops, &s->seal,
			    words, sizeof(words));
	if (rc != 0) {
		s->ops = &xm_seal_plain;
		return xm_fail(rc, "extmem_open: seal: %s", words);
	}
	s->table_size = arena_size / XM_PAGE * sizeof(*s->table);
	s->table = os_memory_take(s->table_size);
	if (s->table == NULL)
		return xm_fail(-ENOMEM, "extmem_open: no memory for the seals of "
			       "%llu GiB of addresses: set a smaller arena",
			       (unsigned long long)(arena_size / XM_GIB));
	return 0;
}

void xm_sealing_close(struct xm_sealing *s)
{
	if (s->table != NULL)
		os_memory_give(s->table, s->table_size);
	xm_cipher_close(s->seal);
}
