/* SPDX-License-Identifier: BSD-3-Clause */
/* `extmem advise`: executes extmem-advise, which has the pager in it. */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "cli/command.h"
#include "cli/program.h"

int command_advise(int argc, char *argv[])
{
	static char name[] = "extmem-advise";
	char path[PROGRAM_PATH_SIZE];

	(void)argc;
	if (!program_beside(name, path)) {
		command_say("advise", "extmem-advise is not beside this program: "
				      "install extmem again");
		return COMMAND_RUN_FAILED;
	}
	argv[0] = name;
	execv(path, argv);
	command_say("advise", "%s: %s", path, strerror(errno));
	return COMMAND_RUN_FAILED;
}
