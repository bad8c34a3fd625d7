/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * STREAM, by the rules of J. D. McCalpin ("Memory bandwidth and machine
 * balance in current high performance computers", IEEE TCCA Newsletter, 1995;
 * https://www.cs.virginia.edu/stream): three arrays of doubles a, b, c,
 * at first 1, 2, 0, and a doubled once; then, so many times,
 *
 *	copy	c = a		16 bytes counted an element
 *	scale	b = 3 c		16
 *	add	c = a + b	24
 *	triad	a = b + 3 c	24
 *
 * each timed by itself. Its speed is that of the best time but the first. The
 * arrays shall each be at least four times the last cache; the caller chooses
 * the size. Validation: every element must be within 1e-13, relative, of
 * what the same operations give on three plain numbers (the rule asks that of
 * the average of the errors; ours is stricter).
 *
 * Scratch: none to speak of. A round: copy, scale, add and triad once.
 */
#include "bench/kernel.h"

#define SCALAR 3.0
#define ROUNDS_MAX 200 /* a grows by 15 each time */
#define PAGE_ELEMENTS (XM_KERNEL_PAGE / sizeof(double))

struct stream {
	uint64_t elements; /* of one array, whole pages */
	double *a, *b, *c;
};

static bool stream_plan(const struct xm_kernel_wishes *w,
			struct xm_kernel_plan *ret)
{
	uint64_t elements = w->size / (3 * XM_KERNEL_PAGE) * PAGE_ELEMENTS;

	if (w->size < xm_kernel_stream.size_min || w->threads == 0 ||
	    w->threads > XM_KERNEL_THREADS_MAX || w->rounds > ROUNDS_MAX)
		return false;
	*ret = (struct xm_kernel_plan) {
		.memory_size = elements * 3 * sizeof(double),
		.scratch_size = sizeof(struct stream),
		.rounds = w->rounds > 0 ? w->rounds : 10,
		.part_work = { elements * 16, elements * 16, elements * 24,
			       elements * 24 },
		.prepare_steps = 1,
		.exact = true,
	};
	ret->run_steps = (uint32_t)ret->rounds * 4;
	ret->work = elements * 80 * ret->rounds;
	return true;
}

static void stream_lay_out(struct xm_kernel_job *job)
{
	struct stream *s = job->scratch;

	s->elements = job->plan.memory_size / (3 * sizeof(double));
	s->a = job->memory;
	s->b = s->a + s->elements;
	s->c = s->b + s->elements;
}

static void stream_step(struct xm_kernel_job *job, enum xm_kernel_stage stage,
			uint32_t step, uint32_t thread)
{
	struct stream *s = job->scratch;
	double *restrict a = s->a, *restrict b = s->b, *restrict c = s->c;
	uint64_t begin, end;

	xm_kernel_share(s->elements / PAGE_ELEMENTS, thread,
			job->wishes.threads, &begin, &end);
	begin *= PAGE_ELEMENTS;
	end *= PAGE_ELEMENTS;
	if (stage == XM_KERNEL_PREPARE) {
		for (uint64_t i = begin; i < end; i++) {
			a[i] = 1.0;
			b[i] = 2.0;
			c[i] = 0.0;
		}
		for (uint64_t i = begin; i < end; i++)
			a[i] = 2.0 * a[i];
		return;
	}
	switch (step % 4) {
	case 0:
		for (uint64_t i = begin; i < end; i++)
			c[i] = a[i];
		break;
	case 1:
		for (uint64_t i = begin; i < end; i++)
			b[i] = SCALAR * c[i];
		break;
	case 2:
		for (uint64_t i = begin; i < end; i++)
			c[i] = a[i] + b[i];
		break;
	default:
		for (uint64_t i = begin; i < end; i++)
			a[i] = b[i] + SCALAR * c[i];
		break;
	}
}

/* Elements further from the expected value than the rule allows; what is not
 * a number is far from everything. */
static uint64_t far_off(const double *values, uint64_t count, double expected)
{
	uint64_t errors = 0;

	for (uint64_t i = 0; i < count; i++) {
		double off = values[i] - expected;

		errors += !((off < 0 ? -off : off) <= 1e-13 * expected);
	}
	return errors;
}

static void stream_verify(struct xm_kernel_job *job,
			  struct xm_kernel_verdict *ret)
{
	struct stream *s = job->scratch;
	double a = 2.0, b = 2.0, c = 0.0;

	for (uint64_t i = 0; i < job->plan.rounds; i++) {
		c = a;
		b = SCALAR * c;
		c = a + b;
		a = b + SCALAR * c;
	}
	*ret = (struct xm_kernel_verdict) {
		.checked = 3 * s->elements,
		.errors = far_off(s->a, s->elements, a) +
			  far_off(s->b, s->elements, b) +
			  far_off(s->c, s->elements, c),
		.digest = xm_kernel_digest(s->a, job->plan.memory_size),
	};
	if (ret->errors > 0)
		ret->wrong = "elements are not what the operations give";
}

const struct xm_kernel xm_kernel_stream = {
	.name = "stream",
	.help = "McCalpin's STREAM: copy, scale, add, triad on three arrays of "
		"doubles; a round is each of them once, 10 are usual.",
	.unit = "bytes",
	.rate = "MBps",
	.rate_scale = 1e6,
	.parts = 4,
	.part_names = { "copy", "scale", "add", "triad" },
	.size_min = 3 * XM_KERNEL_PAGE,
	.plan = stream_plan,
	.lay_out = stream_lay_out,
	.step = stream_step,
	.verify = stream_verify,
};
