/* SPDX-License-Identifier: BSD-3-Clause */
/* The mappers that were built in; see core/pure/mapper.h. */
#include "core/pure/mapper.h"

extern const struct xm_mapper_ops xm_uffd;

const struct xm_mapper_ops *const xm_mappers[] = {
	&xm_uffd,
	NULL,
};
