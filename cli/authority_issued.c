/* SPDX-License-Identifier: BSD-3-Clause */
/* The list of what an authority has issued; see authority.h. Pure. Floor: ground. */
#include <string.h>

#include "cli/authority.h"

/* The next word of a line, of these characters; its length, or 0. */
static size_t word(const char **at, const char *characters, size_t most)
{
	size_t length = strspn(*at, characters);
	const char *end = *at + length;

	if (length == 0 || length > most || (*end != ' ' && *end != '\0'))
		return 0;
	*at = *end == ' ' ? end + 1 : end;
	return length;
}

static bool take(const char **at, const char *text)
{
	size_t length = strlen(text);

	if (strncmp(*at, text, length) != 0 ||
	    ((*at)[length] != ' ' && (*at)[length] != '\0'))
		return false;
	*at += length + ((*at)[length] == ' ');
	return true;
}

bool authority_parse(const char *line, struct authority_entry *ret)
{
	struct authority_entry e = { .until = 0 };
	const char *at = line, *begin = at;
	size_t length = word(&at, "0123456789abcdef", sizeof(e.serial) - 1);

	if (length != sizeof(e.serial) - 1)
		return false;
	memcpy(e.serial, begin, length);
	begin = at;
	length = word(&at, "abcdefghijklmnopqrstuvwxyz"
			   "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-",
		      sizeof(e.name) - 1);
	if (length == 0)
		return false;
	memcpy(e.name, begin, length);
	if (take(&at, "appliance"))
		e.role = AUTHORITY_APPLIANCE;
	else if (take(&at, "client"))
		e.role = AUTHORITY_CLIENT;
	else
		return false;
	begin = at;
	length = word(&at, "0123456789", 12);
	if (length == 0)
		return false;
	for (size_t i = 0; i < length; i++)
		e.until = 10 * e.until + (begin[i] - '0');
	if (take(&at, "revoked"))
		e.revoked = true;
	else if (!take(&at, "good"))
		return false;
	if (*at != '\0' || at[-1] == ' ')
		return false;
	*ret = e;
	return true;
}
