/* SPDX-License-Identifier: BSD-3-Clause */
/* usage: hello ADDRESS. Writes into external memory, and reads it back. */
#include <err.h>
#include <stdio.h>
#include <string.h>

#include <extmem.h>

int main(int argc, char *argv[])
{
	char appliance[160];
	const char *const settings[] = { appliance, "local=4M", NULL };
	extmem *x;
	extmem_region *region;
	void *memory;
	char copy[6];

	if (argc != 2)
		errx(2, "usage: hello ofi+tcp://HOST:PORT");
	snprintf(appliance, sizeof(appliance), "appliance=%s", argv[1]);
	if (extmem_open(settings, &x) < 0 ||
	    extmem_region_alloc(x, "hello", 16 << 20, &region) < 0 ||
	    extmem_map(region, 0, 0, &memory) < 0)
		errx(1, "%s", extmem_error());
	for (int page = 0; page < 4096; page++)
		strcpy((char *)memory + page * 4096, "hello");
	if (extmem_sync(region, 0, 0) < 0 ||
	    extmem_read(region, 4095 * 4096, copy, sizeof(copy)) < 0)
		errx(1, "%s", extmem_error());
	printf("%s from far away\n", copy);
	return extmem_close(x) < 0;
}
