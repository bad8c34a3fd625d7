/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Sizes, assertions and small arithmetic that every room of extmem may use.
 *
 * Nothing here calls the operating system, with one exception: a broken assertion ends
 * in xm_assert_failed(), which the program supplies (core/skin/os.c in production, the
 * simulator in simulation).
 *
 * Floor: ground.
 */
#ifndef XM_BASE_H
#define XM_BASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* For promises of our own; if one is broken, the program ends. Never compiled out. Input
 * of a peer and refusals of the system are not asserted but returned as -errno: see
 * "Three kinds of wrong" in HACKING.md. */
#define XM_ASSERT(condition)                                                  \
	((condition) ? (void)0                                                \
		     : xm_assert_failed(#condition, __FILE__, __LINE__))

/* Prints the broken promise and ends the process. Defined by the program. */
_Noreturn void xm_assert_failed(const char *condition, const char *file,
				int line);

#define XM_COUNT(array) (sizeof(array) / sizeof((array)[0]))

#define XM_CONTAINER(pointer, type, member)                                   \
	((type *)((char *)(pointer) - offsetof(type, member)))

#define XM_KIB (UINT64_C(1) << 10)
#define XM_MIB (UINT64_C(1) << 20)
#define XM_GIB (UINT64_C(1) << 30)
#define XM_PAGE UINT64_C(4096) /* bytes in a page of a mapping */

/* All times are nanoseconds on a clock that never goes back. */
#define XM_US UINT64_C(1000)
#define XM_MS UINT64_C(1000000)
#define XM_SECOND UINT64_C(1000000000)
#define XM_NEVER UINT64_MAX

static inline uint64_t xm_min(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static inline uint64_t xm_max(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

static inline bool xm_is_power_of_two(uint64_t n)
{
	return n != 0 && (n & (n - 1)) == 0;
}

/* The next multiple of `unit` (a power of two) at or above n. The caller
 * makes sure that n + unit does not overflow. */
static inline uint64_t xm_align_up(uint64_t n, uint64_t unit)
{
	return (n + unit - 1) & ~(unit - 1);
}

static inline bool xm_is_aligned(uint64_t n, uint64_t unit)
{
	return (n & (unit - 1)) == 0;
}

/* True when [offset, offset + size) lies in [0, limit), without overflow. */
static inline bool xm_span_fits(uint64_t offset, uint64_t size, uint64_t limit)
{
	return offset <= limit && size <= limit - offset;
}

/* a + b, or XM_NEVER where the sum does not fit. For deadlines. */
static inline uint64_t xm_time_after(uint64_t a, uint64_t b)
{
	return a > XM_NEVER - b ? XM_NEVER : a + b;
}

#endif
