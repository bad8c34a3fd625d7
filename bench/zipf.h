/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Ranks 1 .. n, rank r with a probability in proportion to r^-s, without
 * a table and without the sum of all of them: rejection-inversion (Hoermann
 * and Derflinger, "Rejection-inversion to generate variates from monotone
 * discrete distributions", ACM TOMACS 6:3, 1996). One in some hundreds of the
 * draws is rejected and made again. Exact but for rounding; 0 < s, s != 1.
 *
 * H is the integral of x^-s, up to a constant; H_inverse its inverse. The area
 * under the curve from 1/2 on is drawn from, and each rank k has there the strip
 * from k - 1/2 to k + 1/2, which is a little larger than k^-s.
 */
#ifndef XM_BENCH_ZIPF_H
#define XM_BENCH_ZIPF_H

#include <math.h>
#include <stdint.h>

#include "bench/kernel.h"

struct xm_zipf {
	double n, s;
	double begin, end; /* H where ranks begin and end */
	double sure;	   /* x this close below its rank is never rejected */
};

/* (exp(x) - 1) / x and log(1 + x) / x, also near 0. */
static inline double xm_zipf_exp(double x)
{
	return fabs(x) > 1e-8 ? expm1(x) / x : 1 + x / 2;
}

static inline double xm_zipf_log(double x)
{
	return fabs(x) > 1e-8 ? log1p(x) / x : 1 - x / 2;
}

static inline double xm_zipf_H(const struct xm_zipf *z, double x)
{
	double log_x = log(x);

	return xm_zipf_exp((1 - z->s) * log_x) * log_x;
}

static inline double xm_zipf_H_inverse(const struct xm_zipf *z, double h)
{
	double t = h * (1 - z->s);

	if (t < -1)
		t = -1;
	return exp(xm_zipf_log(t) * h);
}

static inline void xm_zipf_init(struct xm_zipf *z, uint64_t n, double s)
{
	z->n = (double)n;
	z->s = s;
	z->begin = xm_zipf_H(z, 1.5) - 1;
	z->end = xm_zipf_H(z, z->n + 0.5);
	z->sure = 2 - xm_zipf_H_inverse(z, xm_zipf_H(z, 2.5) - pow(2, -s));
}

/* `state` is any number, and is moved on. */
static inline uint64_t xm_zipf_draw(const struct xm_zipf *z, uint64_t *state)
{
	for (;;) {
		double u = (double)(xm_kernel_mix((*state)++) >> 11) * 0x1p-53;
		double h = z->end + u * (z->begin - z->end);
		double x = xm_zipf_H_inverse(z, h);
		double k = floor(x + 0.5);

		k = k < 1 ? 1 : k > z->n ? z->n : k;
		if (k - x <= z->sure ||
		    h >= xm_zipf_H(z, k + 0.5) - pow(k, -z->s))
			return (uint64_t)k;
	}
}

#endif
