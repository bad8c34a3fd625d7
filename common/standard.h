/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Programs that are begun without descriptors 0, 1 or 2, as by some boot scripts:
 * what such a program opens first would be its standard input or output, and what
 * it prints would be written there.
 */
#ifndef XM_STANDARD_H
#define XM_STANDARD_H

#include <fcntl.h>

/* To be called before anything is opened. Each of the three that is closed is held
 * by a descriptor that can neither be read nor written: EBADF, as if it were
 * closed. exec() closes it, so a program that is executed has what this one had. */
static inline void xm_standard_hold(void)
{
	for (int fd = 0; fd <= 2; fd++)
		if (fcntl(fd, F_GETFD) < 0 &&
		    open("/", O_PATH | O_CLOEXEC) < 0)
			return; /* nothing can be opened at all */
}

#endif
