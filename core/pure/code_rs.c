/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The code with one or two parities in GF(2^8): Reed-Solomon as RAID 6 has it; see code.h.
 *
 * With g = 2 and the polynomial x^8 + x^4 + x^3 + x^2 + 1 (0x11d), of data D[j]:
 *
 *	P = sum of D[j]		Q = sum of g^j D[j]
 *
 * (H. P. Anvin, The mathematics of RAID-6. ISA-L's gf_gen_rs_matrix() has the same
 * coefficients, so its bytes are these.) Products are computed 8 bytes at a time, without
 * tables: a product by a constant is at most 8 doublings. Any two fragments can be lost for
 * up to 255 columns. It has no state: its struct xm_code is NULL.
 */
#include "core/pure/code.h"

#include <errno.h>
#include <string.h>

#include "core/pure/plant.h"

#define ONES UINT64_C(0x0101010101010101)

/* Each of the 8 bytes, times 2. */
static inline uint64_t twice(uint64_t x)
{
	uint64_t high = x >> 7 & ONES;

	return (x & ONES * 0x7f) << 1 ^ high * 0x1d;
}

static uint8_t product(uint8_t a, uint8_t b)
{
	uint64_t x = a, sum = 0;

	for (; b != 0; b >>= 1, x = twice(x))
		sum ^= (b & 1) != 0 ? x : 0;
	return (uint8_t)sum;
}

/* g to the power of n. */
static uint8_t power(uint32_t n)
{
	uint64_t x = 1;

	while (n-- > 0)
		x = twice(x);
	return (uint8_t)x;
}

/* a * inverse(a) = 1: a^254, as the order of each a divides 255. */
static uint8_t inverse(uint8_t a)
{
	uint8_t x = 1;

	for (uint32_t n = 0; n < 254; n++)
		x = product(x, a);
	return x;
}

/* to += factor * from. */
static void add(uint8_t *to, uint8_t factor, const uint8_t *from, size_t size)
{
	for (size_t i = 0; i < size; i += 8) {
		uint64_t x, sum;

		memcpy(&x, from + i, 8);
		memcpy(&sum, to + i, 8);
		for (uint8_t b = factor; b != 0; b >>= 1, x = twice(x))
			sum ^= (b & 1) != 0 ? x : 0;
		memcpy(to + i, &sum, 8);
	}
}

static void scale(uint8_t *bytes, uint8_t factor, size_t size)
{
	add(bytes, factor ^ 1, bytes, size);
}

/* The coefficient of a column in a parity. */
static uint8_t coefficient(uint32_t parity, uint32_t column)
{
	return parity == 0 ? 1 : power(column);
}

/* A parity of the columns whose bit is set. */
static void sum(const struct xm_code_shape *shape, uint32_t parity,
		uint32_t columns, uint8_t *const *fragments, uint8_t *to, size_t size)
{
	memset(to, 0, size);
	for (uint32_t j = 0; j < shape->columns; j++) {
		if ((columns & 1u << j) != 0)
			add(to, coefficient(parity, j), fragments[j], size);
	}
}

static void rs_encode(const struct xm_code *code,
		      const struct xm_code_shape *shape,
		      uint8_t *const *fragments, size_t size)
{
	(void)code;
	for (uint32_t i = 0; i < shape->parities; i++)
		sum(shape, i, UINT32_MAX, fragments, fragments[shape->columns + i],
		    size);
}

static void rs_update(const struct xm_code *code,
		      const struct xm_code_shape *shape, uint32_t column,
		      const uint8_t *old, const uint8_t *now,
		      uint8_t *const *parities, size_t size)
{
	(void)code;
	for (uint32_t i = 0; i < shape->parities; i++) {
		uint8_t factor = coefficient(i, column);

		if (XM_PLANTED(code_coefficient) && column > 0)
			factor ^= 2;
		if (parities[i] == NULL)
			continue;
		add(parities[i], factor, old, size);
		add(parities[i], factor, now, size);
	}
}

/* One column from a parity: what the other columns leave of it. */
static void solve_one(const struct xm_code_shape *shape, uint32_t parity,
		      uint32_t column, uint8_t *const *fragments, size_t size)
{
	uint8_t *to = fragments[column];

	sum(shape, parity, ~(1u << column), fragments, to, size);
	add(to, 1, fragments[shape->columns + parity], size);
	scale(to, inverse(coefficient(parity, column)), size);
}

/* Columns x < y from both. With p and q, what the others leave of P and Q:
 * p = X + Y, q = g^x X + g^y Y; so X = (q + g^y p) / (g^x + g^y). */
static void solve_two(const struct xm_code_shape *shape, uint32_t x, uint32_t y,
		      uint8_t *const *fragments, size_t size)
{
	uint32_t others = ~(1u << x | 1u << y);
	uint8_t gx = power(x), gy = power(y);

	sum(shape, 0, others, fragments, fragments[y], size);
	add(fragments[y], 1, fragments[shape->columns], size);
	sum(shape, 1, others, fragments, fragments[x], size);
	add(fragments[x], 1, fragments[shape->columns + 1], size);
	add(fragments[x], gy, fragments[y], size);
	scale(fragments[x], inverse(gx ^ gy), size);
	add(fragments[y], 1, fragments[x], size);
}

static int rs_decode(const struct xm_code *code,
		     const struct xm_code_shape *shape, uint32_t lost,
		     uint8_t *const *fragments, size_t size)
{
	uint32_t k = shape->columns, data = lost & ((1u << k) - 1);
	uint32_t count = (uint32_t)__builtin_popcount(lost);

	XM_ASSERT(lost < 1u << (k + shape->parities));
	XM_ASSERT(shape->parities <= 2);
	if (count > shape->parities)
		return -ENODATA;
	if (__builtin_popcount(data) == 1)
		solve_one(shape, (lost & 1u << k) != 0, (uint32_t)__builtin_ctz(data),
			  fragments, size);
	else if (data != 0)
		solve_two(shape, (uint32_t)__builtin_ctz(data),
			  31 - (uint32_t)__builtin_clz(data), fragments, size);
	for (uint32_t i = 0; i < shape->parities; i++) {
		if ((lost & 1u << (k + i)) != 0)
			sum(shape, i, UINT32_MAX, fragments, fragments[k + i],
			    size);
	}
	(void)code;
	return 0;
}

const struct xm_code_ops xm_code_rs = {
	.name = "reed-solomon",
	.plain = false,
	.encode = rs_encode,
	.update = rs_update,
	.decode = rs_decode,
};
