/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Asks a directory of appliances (etcd.h) by running extmem-directory, so that nobody else
 * needs libcurl. It is looked for beside this program, then by PATH.
 *
 * Any thread, but one at a time for each struct. Floor: skin.
 */
#ifndef XM_DIRECTORY_H
#define XM_DIRECTORY_H

#include <sys/types.h>

#include "common/etcd.h"
#include "common/options.h"

#define XM_DIRECTORY_MAX 16 /* addresses that are taken */
#define XM_DIRECTORY_LIST_MAX 64
#define XM_DIRECTORY_WORDS 768

/* Addresses, some of them out of a directory. */
struct xm_directory_list {
	char texts[XM_DIRECTORY_LIST_MAX][XM_ETCD_ADDRESS_SIZE];
	const char *items[XM_DIRECTORY_LIST_MAX + 1];
	struct xm_option_list list;
};

/* Is there a directory among them? */
bool xm_directory_named(const struct xm_option_list *addresses);
/* Puts the addresses that stand in a directory into its place, those with most free memory
 * first and XM_DIRECTORY_MAX in all, each once. (A list that commas separate has its members in
 * several items.) 0; words, if there are any, then say which directory did not answer. -errno
 * and words: there would be no address. The list points into *ret. */
int xm_directory_expand(const struct xm_option_list *addresses, uint64_t timeout_ms,
			struct xm_directory_list *ret, char *words, size_t words_size);

/* Is extmem-directory there? If not, words say what to do. */
bool xm_directory_is_there(char *words, size_t words_size);
/* Begins `extmem-directory keep`; lines go in and come out by *ret_fd, a stream socket which
 * does not block. 0, or -errno. */
int xm_directory_keep(const char *url, pid_t *ret_pid, int *ret_fd);

#endif
