/* SPDX-License-Identifier: BSD-3-Clause */
/* program.c: clients and the programs they run, as the rest of the simulator sees
 * them. */
#ifndef XM_SIM_PROGRAMS_H
#define XM_SIM_PROGRAMS_H

#include "common/base.h"
#include "common/rand.h"
#include "core/extmem.h"
#include "sim/outcomes.h"

struct process;

void program_open(uint32_t client);
void program_close(uint32_t client);
/* Its handle, or NULL. */
extmem *program_client(uint32_t client);
struct process *program_process(uint32_t client);
/* Ends the client's process; it begins anew after `pause_ns`. */
void program_kill(uint32_t client, uint64_t pause_ns);
/* The mapper is at work for a thread of this process, on a page of the arena that
 * is open: another thread may store into it, without a fault. */
void program_races(const struct process *, uint64_t page);
/* From now on clients do this once, and end; NULL: random operations. One
 * that is killed does not come back. */
void programs_script(void (*)(uint32_t client, extmem *));
/* No new operations: what is under way ends. */
void programs_finish(void);
bool programs_ended(void);
/* Asks whether any of their calls is past its deadline. */
void programs_ask(void);
/* Says what the ones that have not ended are doing. */
void programs_stuck(char *ret, size_t size);
/* Something begins, for so long, that has a name among outcomes. */
void programs_trouble(enum outcome_trouble, uint64_t ns);
const char *program_operation_name(uint32_t operation); /* NULL: none */
/* All kinds of operations, or for some runs a part of them. */
uint64_t program_kinds_draw(struct xm_rand *);

#endif
