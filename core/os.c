/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Doors to libc. Floor: skin.
 */
#include "base.h"

#include <stdio.h>
#include <stdlib.h>

_Noreturn void xm_assert_failed(const char *condition, const char *file,
				int line)
{
	fprintf(stderr, "extmem: broken promise: %s (%s:%d)\n", condition,
		file, line);
	abort();
}
