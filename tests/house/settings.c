/* SPDX-License-Identifier: BSD-3-Clause */
/* Prints the settings of a client, "name default" a line, as its table has
 * them: tests/house/man.sh looks for them in extmem(5). */
#include <stdio.h>

#include "core/client/settings.h"

int main(void)
{
	const struct xm_option_table *table = &xm_client_options;

	for (size_t i = 0; i < table->count; i++) {
		const struct xm_option *option = &table->options[i];

		if (!option->hidden)
			printf("%s %s\n", option->name,
			       option->value != NULL ? option->value : "");
	}
	return 0;
}
