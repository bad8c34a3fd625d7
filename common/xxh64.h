/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * XXH64 of bytes (Yann Collet, xxHash, 2014): a 64-bit checksum, 3 to 4 bytes a cycle in
 * plain C. It is no proof against who means harm.
 *
 * Why not CRC32C: a CRC of bytes that end in their own CRC does not depend on them. Of a
 * page whose sectors have checksums (a database's, a file system's) it would not tell half
 * of the old page and half of the new one from either.
 *
 * Floor: ground.
 */
#ifndef XM_XXH64_H
#define XM_XXH64_H

#include "common/base.h"

uint64_t xm_xxh64(const void *bytes, size_t size, uint64_t seed);

#endif
