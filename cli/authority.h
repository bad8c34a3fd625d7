/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * An authority: a folder from which the credential files of appliances and clients come
 * (transports/tls.h has what is in one).
 *
 *	authority.key	its private key; who has it can make certificates
 *	authority.pem	its certificate
 *	NAME.pem	a credential file: all that its owner's machine needs
 *	revoked.pem	signed list of what is no longer accepted; lies beside the
 *			credential file of every appliance, once it is there
 *	issued		one line for each certificate: SERIAL NAME ROLE UNTIL STATE,
 *			UNTIL in seconds since 1970, STATE good or revoked
 *
 * Or a folder of pre-shared keys (common/psk.h), for those who want no certificates:
 *
 *	appliance.psk	all keys: what every appliance needs, and the list of clients
 *	NAME.psk	one key: what this client needs
 *
 * Private keys are Ed25519, pre-shared ones random. Files are written beside their place and renamed, so that none is
 * ever half there; those with a key have mode 600.
 *
 * Every failure is -errno and a sentence in `words`. Floor: skin.
 */
#ifndef EXTMEM_AUTHORITY_H
#define EXTMEM_AUTHORITY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <time.h>

#include "common/psk.h"

#define AUTHORITY_NAME_SIZE 64	/* with its NUL */
#define AUTHORITY_SERIAL_SIZE 33 /* 16 bytes in hexadecimal */
#define AUTHORITY_ISSUED_MAX 10000
#define AUTHORITY_WORDS 512
#define AUTHORITY_BEFORE_S 600 /* others' clocks may be behind by so much */

enum authority_role { AUTHORITY_CLIENT, AUTHORITY_APPLIANCE };

/* A line of `issued`. */
struct authority_entry {
	char serial[AUTHORITY_SERIAL_SIZE];
	char name[AUTHORITY_NAME_SIZE];
	enum authority_role role;
	time_t until;
	bool revoked;
};

/* Makes the folder, if it is not there, and an authority in it. -EEXIST. */
int authority_init(const char *folder, char words[AUTHORITY_WORDS]);
/* Writes NAME.pem, valid between these times, but not for longer than the authority.
 * `again`: although there is one; else -EEXIST, also if its file is elsewhere. */
int authority_issue(const char *folder, const char *name,
		    enum authority_role, bool again, time_t from, time_t until,
		    char words[AUTHORITY_WORDS]);
/* Every certificate of this name is in revoked.pem from now on (but those that expired
 * long ago); NAME.pem is removed. Again does no harm. -ENOENT: there was none. */
int authority_revoke(const char *folder, const char *name,
		     char words[AUTHORITY_WORDS]);
/* All that was issued, oldest first; free() it. Returns how many. */
int authority_list(const char *folder, struct authority_entry **ret,
		   char words[AUTHORITY_WORDS]);
/* Looks at a credential file: name, role and end of its certificate. -EACCES others may
 * read it, -EKEYEXPIRED by the clock here it is not valid, -EINVAL it is none. */
int authority_check(const char *path, struct authority_entry *ret,
		    char words[AUTHORITY_WORDS]);
/* One line of `issued`, without its newline. Pure. */
bool authority_parse(const char *line, struct authority_entry *ret);

/* Is this a folder of pre-shared keys? */
bool authority_psk_is(const char *folder);
/* A key for a client; makes the folder, if it is not there. `again`: another key for who
 * has one; else -EEXIST. */
int authority_psk_issue(const char *folder, const char *name, bool again,
			char words[AUTHORITY_WORDS]);
int authority_psk_revoke(const char *folder, const char *name,
			 char words[AUTHORITY_WORDS]);
/* Prints a line for each key, without the key. */
int authority_psk_show(const char *folder, FILE *to, char words[AUTHORITY_WORDS]);
/* Does it begin as a file of pre-shared keys? */
bool authority_psk_begins(const char *path);
/* Looks at one: of a client its name; of an appliance how many keys, and no name. */
int authority_psk_check(const char *path, char ret_name[AUTHORITY_NAME_SIZE],
			char words[AUTHORITY_WORDS]);

/* Puts "WHAT: WHY" into words; WHY NULL: what -rc means. Returns rc. */
int authority_say(char words[AUTHORITY_WORDS], int rc, const char *what,
		  const char *why);

#endif
