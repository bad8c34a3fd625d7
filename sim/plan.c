/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What of a seed's run takes place: kinds that are left out, and masks over
 * what is numbered. Whatever is left out is drawn all the same, so that the
 * rest stays as it was; --minimize lives on that (minimize.c).
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "sim/counts.h"
#include "sim/plan.h"
#include "sim/programs.h"

struct sim_plan sim_plan;

const char *sim_kind_name(uint32_t kind)
{
	if (kind < SIM_FAULTS)
		return sim_fault_name((enum sim_fault)kind);
	return program_operation_name(kind - SIM_FAULTS);
}

uint32_t sim_kind_of_operation(uint32_t operation)
{
	return SIM_FAULTS + operation;
}

bool sim_without(uint32_t kind)
{
	return (sim_plan.without >> kind & 1) != 0;
}

bool sim_mask_has(const struct sim_mask *m, uint64_t number)
{
	if (!m->some)
		return true;
	return number < SIM_MASK_MAX &&
	       (m->bits[number / 64] >> number % 64 & 1) != 0;
}

void sim_mask_set(struct sim_mask *m, uint64_t number, bool on)
{
	uint64_t bit = UINT64_C(1) << number % 64;

	XM_ASSERT(number < SIM_MASK_MAX);
	if (on)
		m->bits[number / 64] |= bit;
	else
		m->bits[number / 64] &= ~bit;
}

static bool number_parse(const char **text, uint64_t *ret)
{
	char *end;

	if (**text < '0' || **text > '9')
		return false;
	*ret = strtoull(*text, &end, 10);
	*text = end;
	return *ret < SIM_MASK_MAX;
}

int sim_mask_parse(const char *text, struct sim_mask *ret)
{
	struct sim_mask m = { .some = *text != '\0' };

	if (strcmp(text, "none") == 0)
		text = "";
	while (*text != '\0') {
		uint64_t first, last;

		if (!number_parse(&text, &first))
			return -EINVAL;
		last = first;
		if (*text == '-' && (text++, !number_parse(&text, &last)))
			return -EINVAL;
		if (last < first || (*text != ',' && *text != '\0'))
			return -EINVAL;
		while (first <= last)
			sim_mask_set(&m, first++, true);
		text += *text == ',';
	}
	*ret = m;
	return 0;
}

void sim_mask_format(const struct sim_mask *m, char *ret, size_t size)
{
	size_t used = 0;

	XM_ASSERT(size >= 8);
	memcpy(ret, "none", m->some ? 5 : 1);
	if (!m->some)
		ret[0] = '\0';
	for (uint64_t i = 0; m->some && i < SIM_MASK_MAX; i++) {
		uint64_t last = i;

		if (!sim_mask_has(m, i))
			continue;
		while (sim_mask_has(m, last + 1))
			last++;
		if (used + 16 > size)
			return;
		used += (size_t)snprintf(ret + used, size - used,
					 last == i ? "%s%llu" : "%s%llu-%llu",
					 used == 0 ? "" : ",",
					 (unsigned long long)i,
					 (unsigned long long)last);
		i = last;
	}
}
