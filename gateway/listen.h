/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The socket at which the gateway listens, and the files that it reads once.
 */
#ifndef EXTMEM_GATEWAY_LISTEN_H
#define EXTMEM_GATEWAY_LISTEN_H

#include <stdbool.h>
#include <stddef.h>

#define GATEWAY_FILE_MAX 65536

/* Looks the address up: HOST:PORT, [HOST]:PORT. Binds, and listens. *ret_loopback: no
 * other machine can reach it. *ret_name: the numeric address with the port. -errno with
 * words. */
int gateway_listen(const char *address, bool *ret_loopback, char *ret_name,
		   size_t name_size, int *ret_fd, char *words, size_t words_size);

/* A file as text on the heap. `secret`: only its owner, us or root, may have rights on it.
 * NULL with words, in which nothing of its contents is. */
char *gateway_file_read(const char *path, bool secret, char *words,
			size_t words_size);

#endif
