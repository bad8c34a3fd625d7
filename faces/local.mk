# SPDX-License-Identifier: BSD-3-Clause
# faces: a region as something else than memory; each on extmem.h alone, and on the
# library that its users know.

include faces/bank/local.mk
include faces/disk/local.mk
include faces/file/local.mk
include faces/machine/local.mk
include faces/python/local.mk
