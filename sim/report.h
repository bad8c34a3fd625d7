/* SPDX-License-Identifier: BSD-3-Clause */
/* What extmem-sim prints of its runs, on stdout. */
#ifndef XM_SIM_REPORT_H
#define XM_SIM_REPORT_H

#include "sim/ranks.h"

void report_print_json(const struct report *, double wall_s);
void report_print_text(const struct report *, double wall_s);
/* Each outcome of calls that was seen, or is in the list of outcomes.c. Returns the
 * number of those that were seen and are not in the list. */
unsigned report_print_outcomes(outcome_counts seen, outcome_counts shown);

#endif
