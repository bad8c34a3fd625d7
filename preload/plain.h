/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Included before every file of the shim, by the command line (local.mk). Distributions build
 * with _FORTIFY_SOURCE, which makes calls of libc's functions calls of checked ones (longjmp()
 * becomes __longjmp_chk()); the shim defines functions of both names, which would then be one.
 */
#undef _FORTIFY_SOURCE
