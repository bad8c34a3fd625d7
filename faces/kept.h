/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The region of a face: one of its own, one that waits under a token, or one that is kept
 * under a name of this machine's. The latter two outlive the process: from its end on
 * they wait under the same token, which is written down in a file.
 */
#ifndef XM_FACE_KEPT_H
#define XM_FACE_KEPT_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>

#include "core/extmem.h"

struct face_kept {
	/* The name of a file in the folder of tokens, or, with a slash, its path; made with
	 * the region if it is not there. "": none. */
	const char *region;
	const char *token; /* "": none */
	bool durable; /* beyond the end of its appliances, too */
};

/* The file that has the token of a region: a name without a slash is looked up in
 * $XDG_STATE_HOME/extmem, ~/.local/state/extmem, or root's /var/lib/extmem. -ENOENT: there
 * is no such folder. -ENAMETOOLONG. -EINVAL: the name is "." or "..". */
int face_kept_path(const char *name, char ret[PATH_MAX]);

/* Opens it. The request's size: of a region that is to be made; one that is there has this
 * size, to the granule (64 KiB), or any if it is 0. 0, or -errno with words of at most
 * `size` bytes. */
int face_kept_open(extmem *, const struct face_kept *, const struct extmem_request *,
		   extmem_region **ret, char *words, size_t size);

/* The file that has a token gets another name in its folder, and `path` is that then.
 * -EEXIST: there is such a file; or -errno. */
int face_kept_rename(char path[PATH_MAX], const char *name);
/* The region is kept no more, and its file is gone: it ends with extmem_region_free(), or
 * with its client. `path` "": there is no file. Errors: as extmem_region_keep(). */
int face_kept_end(extmem_region *, const char *path);

#endif
