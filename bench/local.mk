# SPDX-License-Identifier: BSD-3-Clause
# bench: programs that measure; they use extmem.h alone.
