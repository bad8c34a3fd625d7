/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The door to what takes fingerprints of pages (core/pure/print.h): XXH3 of 128 bits, with a
 * random secret of this process.
 *
 * The simulator has a toy in its place (sim/printer.c).
 *
 * Floor: skin.
 */
#ifndef XM_PRINTER_H
#define XM_PRINTER_H

#include "core/pure/print.h"

/* 0, or -ENOMEM. */
int xm_printer_open(const struct xm_print_ops **ret_ops, struct xm_printer **ret);
/* NULL is ignored. */
void xm_printer_close(struct xm_printer *);

#endif
