/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A region as one file without a name: what is read from it is read from the region, what is
 * written to it is written there. Whoever is handed its descriptor may map it, and the kernel
 * (of which any 4.18 will do, without root) reads pages as they are touched, also by system
 * calls, and writes them back: it is the cache before the region, and how much it keeps is
 * its business.
 *
 * It is a file system of one file, by /dev/fuse: its root is that file. It is mounted over
 * /dev/fuse itself, in a mount namespace of this process's own, opened, and detached, so
 * nobody finds it, nothing stays, and no helper with rights is needed.
 *
 * What fails is not answered: `failed` ends the process, and with it the connection, and
 * from then on the kernel fails every touch of what it has not got. An answer that says
 * "error" would let it drop what a page was to become, and read what it had been before.
 *
 * Memory: the threads' buffers are there from the beginning. The kernel may wait for us to
 * be able to free memory.
 *
 * Floor: program.
 */
#ifndef BANK_FILE_H
#define BANK_FILE_H

#include <stddef.h>

#include "core/extmem.h"

#define BANK_THREADS 8

/* Mounts it. Before there is a second thread. 0 and the connection's descriptor; -errno and
 * words that say what to do. */
int bank_mount(char *words, size_t words_size, int *ret_connection);
/* With the threads running: opens the file, and detaches it. 0, or -errno and words. */
int bank_open(char *words, size_t words_size, int *ret_file);

/* Does not return. */
typedef void bank_failed(const char *words);

/* Begins the threads. 0, or -errno. */
int bank_serve(int connection, extmem_region *, bank_failed *);
/* Waits until none of them uses the region, and none will. */
void bank_stop(void);

#endif
