/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The `extmem` command: one function a subcommand.
 *
 * Each is given its own arguments (argv[0] is its name) and returns the exit
 * status: 0 done, 1 the world said no, 2 the command line is wrong; `run`
 * returns the program's, or 125 when it could not begin, 126 when the program
 * cannot be executed, 127 when it cannot be found.
 */
#ifndef EXTMEM_COMMAND_H
#define EXTMEM_COMMAND_H

#include <stdbool.h>

#include "common/options.h"

enum {
	COMMAND_OK = 0,
	COMMAND_NO = 1,
	COMMAND_USAGE = 2,
	COMMAND_RUN_FAILED = 125,
	COMMAND_RUN_CANNOT = 126,
	COMMAND_RUN_NOT_FOUND = 127,
};

int command_run(int argc, char *argv[]);
int command_advise(int argc, char *argv[]);
int command_info(int argc, char *argv[]);
int command_status(int argc, char *argv[]);
int command_doctor(int argc, char *argv[]);
int command_top(int argc, char *argv[]);
int command_trace(int argc, char *argv[]);
int command_auth(int argc, char *argv[]);
int command_strategy(int argc, char *argv[]);
int command_region(int argc, char *argv[]);
int command_store(int argc, char *argv[]);
int command_drain(int argc, char *argv[]);
int command_shrink(int argc, char *argv[]);
int command_disk(int argc, char *argv[]);
int command_swap(int argc, char *argv[]);
int command_mount(int argc, char *argv[]);
int command_vm(int argc, char *argv[]);
int command_unmount(int argc, char *argv[]);

/* Reads a subcommand's options into `values`. *ret_rest: what follows them;
 * NULL: nothing may. Returns -1 to go on, or the status to exit with, having
 * said why. The options are closed by the caller, in any case. */
int command_options(const struct xm_option_table *, void *values, int argc,
		    char *argv[], struct xm_options **ret, int *ret_rest);

/* Puts the appliances that stand in directories into their places. True, also if one does
 * not answer and others are known, which is said; false: there would be none, as was said. The
 * list is valid until the process ends. */
bool command_appliances(const char *name, struct xm_option_list *appliances);

/* "extmem NAME: ..." on stderr. */
void command_say(const char *name, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

#endif
