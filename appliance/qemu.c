/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * An appliance in QEMU's own process, as a plugin of its TCG:
 *
 *	qemu-system-x86_64 -plugin qemu-extmem.so,listen=ofi+tcp://127.0.0.1:7470,memory=1G
 *
 * It lends memory of that process, as much as is stated: what guests leave free is for the
 * operator to know. With give_back=SIZE it lends less while the machine has less than so
 * much available. It instruments no code of the guest, so it costs the guest nothing.
 *
 * The declarations are QEMU's documented interface for plugins, as much of it as is needed.
 *
 * Floor: programs (on extmem_appliance.h alone).
 */
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "appliance/extmem_appliance.h"

#define API 1 /* of QEMU 4.2 to 8.1 */
#define SETTINGS_MAX 60
#define VISIBLE __attribute__((visibility("default")))

typedef uint64_t qemu_plugin_id_t;
typedef void (*qemu_plugin_udata_cb_t)(qemu_plugin_id_t, void *);
void qemu_plugin_register_atexit_cb(qemu_plugin_id_t, qemu_plugin_udata_cb_t, void *);

extern int qemu_plugin_version;
VISIBLE int qemu_plugin_version = API;

static struct extmem_appliance *appliance;

static void at_exit(qemu_plugin_id_t id, void *context)
{
	(void)id;
	(void)context;
	(void)extmem_appliance_stop(appliance, 0);
	appliance = NULL;
}

/* Where QEMU writes its own errors; what is well is said once, with the address. */
static void say(void *context, int level, const char *words)
{
	(void)context;
	if (level <= 4 || strncmp(words, "ready at ", 9) == 0)
		fprintf(stderr, "qemu-extmem: %s\n", words);
}

VISIBLE int qemu_plugin_install(qemu_plugin_id_t id, const void *info, int argc, char **argv);

int qemu_plugin_install(qemu_plugin_id_t id, const void *info, int argc, char **argv)
{
	const char *settings[SETTINGS_MAX + 1];

	(void)info;
	if (argc > SETTINGS_MAX)
		return -1;
	for (int i = 0; i < argc; i++)
		settings[i] = argv[i];
	settings[argc] = NULL;
	if (extmem_appliance_start(settings, say, NULL, &appliance) != 0)
		return -1;
	qemu_plugin_register_atexit_cb(id, at_exit, NULL);
	return 0;
}
