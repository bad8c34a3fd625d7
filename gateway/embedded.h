/* SPDX-License-Identifier: BSD-3-Clause */
/* Files that the program carries within it; embed.sh makes the arrays. */
#ifndef EXTMEM_GATEWAY_EMBEDDED_H
#define EXTMEM_GATEWAY_EMBEDDED_H

#include <stddef.h>

extern const char gateway_page[], gateway_script[], gateway_style[],
	gateway_openapi[];
extern const size_t gateway_page_size, gateway_script_size, gateway_style_size,
	gateway_openapi_size;

#endif
