/* SPDX-License-Identifier: BSD-3-Clause */
/* Loads and stores that may meet a lost page, or one that has not the right. */
#ifndef XM_TESTS_TOUCHING_H
#define XM_TESTS_TOUCHING_H

#include <stdint.h>

/* Signals as values: handlers are installed by touch_begin(), before any client is
 * opened. Returns the byte there, -1 when the touch got SIGBUS, or TOUCH_DENIED when it
 * got SIGSEGV with SEGV_ACCERR. */
#define TOUCH_DENIED -2
void touch_begin(void);
int touch_read(const volatile uint8_t *);
int touch_write(volatile uint8_t *, uint8_t byte);

#endif
