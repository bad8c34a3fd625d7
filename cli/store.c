/* SPDX-License-Identifier: BSD-3-Clause */
/* `extmem store`: executes extmemd, which knows what a durable store is. */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "cli/command.h"
#include "cli/program.h"

int command_store(int argc, char *argv[])
{
	static char name[] = "extmem-store"; /* XM_STORE_TOOL */
	char path[PROGRAM_PATH_SIZE];

	(void)argc;
	if (!program_beside("extmemd", path)) {
		command_say("store", "extmemd is not beside this program: look at a "
				     "store where its appliance is");
		return COMMAND_NO;
	}
	argv[0] = name;
	execv(path, argv);
	command_say("store", "%s: %s", path, strerror(errno));
	return COMMAND_NO;
}
