/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * How the userfaultfd mapper delivers faults: inline by SIGBUS (sigbus.c), or as messages
 * that are read from the userfaultfd. And the library's own loads and stores, which
 * fault like a program's.
 *
 * Skin.
 */
#include "config.h"

#include <string.h>
#include <unistd.h>

#include "core/skin/provider_signals.h"
#include "core/skin/uffd_parts.h"

int xm_uffd_begin(struct xm_mapper *m, const struct xm_fault_handler *handler,
		  char *words, size_t words_size)
{
	/* The transports are open: handlers of their libraries are installed. */
	xm_provider_signals_undo();
	m->handler = *handler;
	m->span = (struct xm_sigbus_span){
		.base = m->base,
		.size = m->pages * m->page_size,
		.page_size = m->page_size,
		.handler = &m->handler,
	};
	return m->threaded ? 0 : xm_sigbus_add(&m->span, words, words_size);
}

void xm_uffd_end(struct xm_mapper *m)
{
	if (!m->threaded)
		xm_sigbus_remove(&m->span);
}

int xm_uffd_faults(struct xm_mapper *m, struct xm_fault *ret, int count)
{
	struct uffd_msg messages[16];
	size_t most = xm_min((uint64_t)count, XM_COUNT(messages));
	ssize_t size;
	int got = 0;

	if (!m->threaded || count <= 0)
		return 0;
	size = read(m->fd, messages, most * sizeof(messages[0]));
	for (ssize_t i = 0; i < size / (ssize_t)sizeof(messages[0]); i++) {
		const struct uffd_msg *message = &messages[i];
		uint64_t at = message->arg.pagefault.address;
		uint64_t flags = message->arg.pagefault.flags;

		if (message->event != UFFD_EVENT_PAGEFAULT)
			continue;
		ret[got].page = (at - (uint64_t)(uintptr_t)m->base) /
				m->page_size;
		ret[got].thread = (int)message->arg.pagefault.feat.ptid;
		ret[got].write = (flags & UFFD_PAGEFAULT_FLAG_WRITE) != 0 ||
				 (flags & UFFD_PAGEFAULT_FLAG_WP) != 0;
		got++;
	}
	return got;
}

void xm_uffd_load(struct xm_mapper *m, uint64_t offset, void *ret, size_t size)
{
	memcpy(ret, m->base + offset, size);
}

void xm_uffd_store(struct xm_mapper *m, uint64_t offset, const void *bytes,
		   size_t size)
{
	memcpy(m->base + offset, bytes, size);
}
