/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Makes a failing run small: fewer clients, threads, operations and events of
 * the weather, as long as the same law breaks.
 *
 * Sets are shrunk by delta debugging (Zeller and Hildebrandt, "Simplifying and
 * Isolating Failure-Inducing Input", IEEE TSE 28:2, 2002): a half of them, then
 * what is left without a quarter, an eighth, ... down to single ones, until no
 * single one can be left out. Numbers are tried from 1 upwards by doubling.
 * The whole is repeated until nothing gets smaller: the result is minimal in
 * that no one step of these makes it smaller, which is not the smallest of all.
 *
 * Every try is a process of its own, so that a crash is one more law that can
 * break, and an endless loop ends after a while.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "sim/notes.h"
#include "sim/plan.h"
#include "sim/run.h"
#include "sim/shape.h"
#include "sim/weather.h"

#define TRY_S 60 /* longer is endless */

struct outcome {
	bool held;
	char law[64], why[512];
	uint64_t weather;
	struct sim_shape shape;
};

static struct {
	uint64_t seed, tries;
	struct outcome first;
	bool quiet;
} m;

/* --- one try ---------------------------------------------------------------------- */

static _Noreturn void try_here(int out)
{
	struct sim_result result;
	struct outcome o;
	const char *from = (const char *)&o;
	size_t left = sizeof(o);

	alarm(TRY_S);
	if (freopen("/dev/null", "w", stderr) == NULL)
		_exit(3);
	sim_run(m.seed, &result);
	memset(&o, 0, sizeof(o));
	o.held = result.held;
	o.weather = result.weather;
	o.shape = sim_shape;
	snprintf(o.law, sizeof(o.law), "%s", world_law());
	snprintf(o.why, sizeof(o.why), "%s", world_why());
	while (left > 0) {
		ssize_t n = write(out, from, left);

		if (n <= 0)
			_exit(3);
		from += n;
		left -= (size_t)n;
	}
	_exit(0);
}

static void try_plan(struct outcome *ret)
{
	size_t got = 0;
	int ends[2], status = 0;
	pid_t child;

	memset(ret, 0, sizeof(*ret));
	XM_ASSERT(pipe(ends) == 0);
	fflush(NULL);
	child = fork();
	XM_ASSERT(child >= 0);
	if (child == 0)
		try_here(ends[1]);
	close(ends[1]);
	while (got < sizeof(*ret)) {
		ssize_t n = read(ends[0], (char *)ret + got,
				 sizeof(*ret) - got);

		if (n <= 0)
			break;
		got += (size_t)n;
	}
	close(ends[0]);
	waitpid(child, &status, 0);
	m.tries++;
	if (got == sizeof(*ret))
		return;
	ret->held = false;
	snprintf(ret->law, sizeof(ret->law), "the process ends by signal %d",
		 WIFSIGNALED(status) ? WTERMSIG(status) : 0);
}

/* The same law; of a broken promise, the same promise. */
static bool still_fails(void)
{
	struct outcome o;

	try_plan(&o);
	return !o.held && strcmp(o.law, m.first.law) == 0 &&
	       (strcmp(o.law, "a promise of our own") != 0 ||
		strcmp(o.why, m.first.why) == 0);
}

/* Keeps a change of the plan if it fails as before. */
static bool keep(const struct sim_plan *changed)
{
	struct sim_plan before = sim_plan;

	sim_plan = *changed;
	if (still_fails())
		return true;
	sim_plan = before;
	return false;
}

/* --- numbers, kinds, sets ------------------------------------------------------------ */

/* `*number` is a field of sim_plan. */
static bool try_number(uint64_t *number, uint64_t value)
{
	struct sim_plan changed = sim_plan;
	size_t at = (size_t)((char *)number - (char *)&sim_plan);

	*(uint64_t *)(void *)((char *)&changed + at) = value;
	return keep(&changed);
}

static bool shrink_number(uint64_t *number, uint64_t now)
{
	uint64_t before = *number != 0 ? *number : now;

	for (uint64_t n = 1; n < before; n *= 2) {
		if (try_number(number, n))
			return true;
	}
	return before > 2 && (try_number(number, before * 3 / 4) ||
			      try_number(number, before - 1));
}

static bool shrink_time(void)
{
	uint64_t now = m.first.shape.safety_ns;

	if (sim_plan.safety_ns != 0)
		now = sim_plan.safety_ns;
	for (uint64_t ns = now / 64; ns < now * 15 / 16; ns += ns / 2) {
		struct sim_plan changed = sim_plan;

		changed.safety_ns = xm_max(ns / XM_MS, 1) * XM_MS;
		if (keep(&changed))
			return true;
	}
	return false;
}

static bool shrink_kinds(void)
{
	bool smaller = false;

	for (uint32_t k = 0; sim_kind_name(k) != NULL; k++) {
		struct sim_plan changed = sim_plan;

		changed.without |= UINT64_C(1) << k;
		if (!sim_without(k) && keep(&changed))
			smaller = true;
	}
	return smaller;
}

/* Without the part-th of `parts` of what the mask holds; false: no change. */
static bool cut(struct sim_mask *mask, uint64_t held, uint64_t part,
		uint64_t parts)
{
	uint64_t first = held * part / parts, last = held * (part + 1) / parts;
	uint64_t seen = 0;

	for (uint64_t i = 0; i < SIM_MASK_MAX; i++) {
		if (!sim_mask_has(mask, i))
			continue;
		if (seen >= first && seen < last)
			sim_mask_set(mask, i, false);
		seen++;
	}
	return last > first;
}

static uint64_t held_by(const struct sim_mask *mask)
{
	uint64_t held = 0;

	for (uint64_t i = 0; i < SIM_MASK_MAX; i++)
		held += sim_mask_has(mask, i);
	return held;
}

/* Delta debugging, of the complements alone: a subset that fails is reached
 * by them too, in a few steps more. */
static bool shrink_mask(struct sim_mask *mask, uint64_t numbered)
{
	size_t at = (size_t)((char *)mask - (char *)&sim_plan);
	uint64_t parts = 1;
	bool smaller = false;

	if (!mask->some) {
		mask->some = true;
		for (uint64_t i = 0; i < xm_min(numbered, SIM_MASK_MAX); i++)
			sim_mask_set(mask, i, true);
		if (!still_fails()) { /* more is numbered than a mask holds */
			memset(mask, 0, sizeof(*mask));
			return false;
		}
	}
	for (;;) {
		uint64_t held = held_by(mask), part = 0;

		if (held == 0 || parts > held)
			return smaller;
		while (part < parts) {
			struct sim_plan changed = sim_plan;

			if (cut((void *)((char *)&changed + at), held, part,
				parts) &&
			    keep(&changed))
				break;
			part++;
		}
		if (part < parts) {
			smaller = true;
			parts = xm_max(parts - 1, 1);
		} else if (parts == held) {
			return smaller;
		} else {
			parts = xm_min(parts * 2, held);
		}
	}
}

/* --- the whole ------------------------------------------------------------------------- */

static void print_number(const char *name, uint64_t value, const char *unit)
{
	if (value > 0)
		printf(" --%s %llu%s", name, (unsigned long long)value, unit);
}

static void print_mask(const char *name, const struct sim_mask *mask)
{
	char text[8192];

	sim_mask_format(mask, text, sizeof(text));
	if (mask->some)
		printf(" --%s %s", name, text);
}

static void print_command(void)
{
	const char *between = " --without ";

	printf("extmem-sim --seed %llu", (unsigned long long)m.seed);
	print_number("appliances", sim_plan.appliances, "");
	print_number("clients", sim_plan.clients, "");
	print_number("threads", sim_plan.threads, "");
	print_number("lanes", sim_plan.lanes, "");
	print_number("operations", sim_plan.operations, "");
	print_number("safety", sim_plan.safety_ns / XM_MS, "ms");
	print_number("weather", sim_plan.weather_ms, "ms");
	printf("%s%s%s%s", sim_plan.model ? " --interface model" : "",
	       sim_plan.plain ? " --plain" : "",
	       sim_plan.unsealed ? " --unsealed" : "",
	       sim_plan.one_tenant ? " --one-tenant" : "");
	for (uint32_t k = 0; sim_kind_name(k) != NULL; k++) {
		if (!sim_without(k))
			continue;
		printf("%s%s", between, sim_kind_name(k));
		between = ",";
	}
	print_mask("only-weather", &sim_plan.weather);
	print_mask("only-operations", &sim_plan.operations_of);
	if (sim_plan.fail_on != NULL)
		printf(" --fail-on '%s'", sim_plan.fail_on);
	putchar('\n');
}

/* What never happened need not be named. */
static void forget_idle_kinds(void)
{
	for (uint32_t k = 0; sim_kind_name(k) != NULL; k++) {
		struct sim_plan changed = sim_plan;

		changed.without &= ~(UINT64_C(1) << k);
		if (sim_without(k))
			keep(&changed);
	}
}

static void progress(const char *what)
{
	if (!m.quiet)
		fprintf(stderr, "%5llu tries: %s\n",
			(unsigned long long)m.tries, what);
}

static bool shrink_once(void)
{
	const struct sim_shape *s = &m.first.shape;
	bool smaller = false;

	smaller |= shrink_number(&sim_plan.clients, s->clients);
	smaller |= shrink_number(&sim_plan.threads, s->threads);
	smaller |= shrink_number(&sim_plan.appliances, s->appliances);
	smaller |= shrink_number(&sim_plan.lanes, s->lanes);
	progress("fewer of all");
	smaller |= shrink_time();
	smaller |= shrink_number(&sim_plan.operations, s->operations);
	progress("shorter");
	smaller |= shrink_mask(&sim_plan.weather, m.first.weather);
	progress("less weather");
	smaller |= shrink_mask(&sim_plan.operations_of, s->operations);
	progress("fewer operations");
	smaller |= shrink_kinds();
	progress("fewer kinds");
	return smaller;
}

int sim_minimize(uint64_t seed, bool quiet)
{
	m.seed = seed;
	m.quiet = quiet;
	try_plan(&m.first);
	if (m.first.held) {
		fprintf(stderr, "seed %llu breaks no law\n",
			(unsigned long long)seed);
		return 2;
	}
	if (!quiet)
		fprintf(stderr, "seed %llu breaks a law: %s: %s\n",
			(unsigned long long)seed, m.first.law, m.first.why);
	for (unsigned i = 0; i < 4 && shrink_once(); i++)
		;
	forget_idle_kinds();
	progress("done");
	print_command();
	return 0;
}
