/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What test_access.c and test_explicit.c share: one appliance, clients with far
 * less local memory than their region, and a run under each way of paging
 * that is permitted here, with one lane and several.
 */
#ifndef XM_TESTS_ACCESS_RIG_H
#define XM_TESTS_ACCESS_RIG_H

#include <CUnit/Basic.h>

#include "tests/support/appliance.h"

#define REGION (8 * MIB)

extern struct appliance home;
extern const char *paging, *lanes;
extern uint8_t buffer[REGION], shadow[REGION];

/* A client with 4 MiB of local memory, and a region of REGION bytes. */
extmem *open_small(extmem_region **ret);
/* Asserts that its budget was kept and that no page was lost. */
void close_well(extmem *);
uint8_t *map_all(extmem_region *);
/* An explicit read gives the pattern of this seed. */
bool explicit_is(extmem_region *, uint64_t seed);
/* What main() returns. */
int access_run(int argc, char **argv, const CU_TestInfo *tests,
	       const struct act *acts);

#endif
