/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A guest on this machine: QEMU, whose memory is a file of `extmem mount`, and both of their
 * processes, which end with this one. One thread.
 */
#ifndef XM_MACHINE_GUEST_H
#define XM_MACHINE_GUEST_H

#include <limits.h>
#include <stdint.h>
#include <sys/types.h>

#include "faces/machine/lines.h"

#define GUEST_NAME_MAX 31
#define GUEST_FOLDER_MAX 64 /* a socket's path is short */
#define GUEST_WORDS 512
#define VM_STATUS_UNKNOWN 3 /* an exit status: where the guest is, if anywhere */

struct guest {
	char name[GUEST_NAME_MAX + 1];
	char folder[GUEST_FOLDER_MAX];
	uint64_t size; /* of its memory */
	json_t *line;  /* QEMU's, as it was given: strings */
	json_t *settings; /* of the client: "name=value" */
	pid_t mount, qemu; /* 0: not there */
	int lock, memory;
	struct lines qmp;
	json_int_t commands; /* that QEMU has had: its answers name them */
	char words[GUEST_WORDS]; /* of what failed last */
};

/* What is left to somebody else: a name of letters, digits, ".", "_" and "-". */
bool guest_name_is_good(const char *name);
/* The folder of the guest of this name, which need not be there. -ENAMETOOLONG. -EPERM:
 * what it is to lie in is not this user's alone. */
int guest_folder(const char *name, char ret[GUEST_FOLDER_MAX]);
/* How much memory QEMU's line asks for; 0: that cannot be read. */
uint64_t guest_memory(const json_t *line);

/* There is none: guest_close() has nothing to do. */
void guest_none(struct guest *);
/* Takes the name, the line and the settings over. -EEXIST: a guest of this name is here;
 * or -errno, with words. guest_close() in any case. */
int guest_open(struct guest *, const char *name, uint64_t size, json_t *line,
	       json_t *settings);
/* Its memory, which is not here yet if `awaits`. */
int guest_mount(struct guest *, bool awaits);
/* QEMU; if `awaits` it waits for a guest at the socket "incoming" of the folder. */
int guest_start(struct guest *, bool awaits);
/* Ends both processes, and takes the folder away. */
void guest_close(struct guest *);

/* A command of QEMU's, which takes `arguments` over; *ret may be NULL. -EREMOTEIO: it
 * refused, and words say why. -EPIPE, -ETIMEDOUT. */
int guest_do(struct guest *, const char *command, json_t *arguments, json_t **ret);
/* The status of its migration, or "". */
void guest_migration(struct guest *, char *ret, size_t size);
/* Its memory, as faces/file/machine.h says: asks, and returns at once. -errno. */
int guest_ask(struct guest *, const char *command);
/* False: it is at work still. */
bool guest_answer(struct guest *, char *ret, size_t size);
/* Everything that the guest stored is at the appliances. -errno. */
int guest_write_back(struct guest *);

#endif
