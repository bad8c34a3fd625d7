/* SPDX-License-Identifier: BSD-3-Clause */
/* Loads and stores that may meet a lost page. */
#ifndef XM_TESTS_TOUCHING_H
#define XM_TESTS_TOUCHING_H

#include <stdint.h>

/* SIGBUS as a value: handlers are installed by touch_begin(), before any
 * client is opened. Returns the byte there, or -1 when the touch got
 * SIGBUS. */
void touch_begin(void);
int touch_read(const volatile uint8_t *);
int touch_write(volatile uint8_t *, uint8_t byte);

#endif
