/* SPDX-License-Identifier: BSD-3-Clause */
/* What a broken promise does in a program without the skin (core/skin/os.c). */
#include <stdio.h>
#include <stdlib.h>

#include "common/base.h"

_Noreturn void xm_assert_failed(const char *condition, const char *file,
				int line)
{
	fprintf(stderr, "%s:%d: broken promise: %s\n", file, line, condition);
	abort();
}
