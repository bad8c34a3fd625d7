/* SPDX-License-Identifier: BSD-3-Clause */
/* Signal handlers that libraries of providers install; see provider_signals.h. Skin. */
#include "core/skin/provider_signals.h"

#include <dlfcn.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>

#include "common/base.h"

void xm_provider_signals_undo(void)
{
	static const int numbers[] = { SIGBUS, SIGSEGV, SIGILL, SIGABRT,
				       SIGINT, SIGTERM };
	const struct sigaction plain = { .sa_handler = SIG_DFL };

	for (unsigned i = 0; i < XM_COUNT(numbers); i++) {
		struct sigaction now;
		Dl_info where;

		if (sigaction(numbers[i], NULL, &now) != 0 ||
		    now.sa_handler == SIG_DFL || now.sa_handler == SIG_IGN ||
		    dladdr((void *)(uintptr_t)now.sa_handler, &where) == 0 ||
		    where.dli_fname == NULL)
			continue;
		if (strstr(where.dli_fname, "libinfinipath") != NULL ||
		    strstr(where.dli_fname, "libpsm") != NULL)
			sigaction(numbers[i], &plain, NULL);
	}
}
