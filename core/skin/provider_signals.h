/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Loading libfabric loads its providers' libraries, and one of Debian's, PSM's
 * libinfinipath, installs handlers for the signals of crashes and of ending as it is
 * loaded; they print and call exit(1). A program that merely links extmem has not asked
 * for that. Skin.
 */
#ifndef XM_PROVIDER_SIGNALS_H
#define XM_PROVIDER_SIGNALS_H

/* Sets the default action for each signal whose handler is in such a library. Handlers of
 * the program, and of any other library, stay. */
void xm_provider_signals_undo(void);

#endif
