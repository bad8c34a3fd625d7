/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the file face says while nobody looks: on standard error in the foreground, to the
 * system's log in the background. Any thread.
 */
#ifndef XM_FACE_LOG_H
#define XM_FACE_LOG_H

#include <stdbool.h>

/* `background`: from now on to the system's log. */
void face_log_begin(bool background);
void face_say(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* What a call of extmem.h returned. Of a failure it says extmem_error(), once a second at
 * most, and how many were not said; and makes it one that a file's user knows: memory
 * out of reach is -EIO. */
int face_complain(int rc);

#endif
