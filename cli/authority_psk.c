/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Pre-shared keys (common/psk.h), in a folder of their own: appliance.psk has all of them,
 * and is the list of who is let in; NAME.psk has one. Floor: skin.
 */
#include "cli/authority_parts.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/crypto.h>
#include <openssl/rand.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILE_MAX (1024 * 1024)

/* --- files -------------------------------------------------------------------- */

struct keys {
	uint32_t count;
	bool appliance;
	struct xm_psk key[XM_PSK_MAX + 1]; /* room for one that is added */
};

static void keys_free(struct keys *k)
{
	OPENSSL_cleanse(k, sizeof(*k));
	free(k);
}

static int parse(const char *path, const char *text, size_t size,
		 struct keys *ret, char words[AUTHORITY_WORDS])
{
	struct xm_psk_fault fault;
	int count = xm_psk_parse(text, size, ret->key, &ret->appliance, &fault);

	if (count < 0)
		snprintf(words, AUTHORITY_WORDS, "%.200s, line %u: %s", path,
			 fault.line, fault.why);
	else
		ret->count = (uint32_t)count;
	return count < 0 ? count : 0;
}

static int keys_read(const char *path, struct keys *ret,
		     char words[AUTHORITY_WORDS])
{
	FILE *file = fopen(path, "re");
	char *text = malloc(FILE_MAX + 1);
	struct stat status;
	size_t size;
	int rc;

	if (file == NULL || text == NULL) {
		rc = authority_say(words, -errno, path, NULL);
	} else if (fstat(fileno(file), &status) == 0 && (status.st_mode & 077) != 0) {
		rc = authority_say(words, -EACCES, path,
				   "its mode lets others at it: chmod 600");
	} else {
		size = fread(text, 1, FILE_MAX + 1, file);
		rc = ferror(file) || size > FILE_MAX
			     ? authority_say(words, -EINVAL, path,
					     "no file of pre-shared keys")
			     : parse(path, text, size, ret, words);
		OPENSSL_cleanse(text, size);
	}
	if (file != NULL)
		fclose(file);
	free(text);
	return rc;
}

static void print(FILE *to, const struct xm_psk *key)
{
	fprintf(to, "%s ", key->name);
	for (unsigned i = 0; i < XM_PSK_KEY_SIZE; i++)
		fprintf(to, "%02x", key->key[i]);
	fputc('\n', to);
}

static int write_keys(const char *folder, const char *name, const char *role,
		      const struct xm_psk *keys, uint32_t count)
{
	struct authority_draft d;
	int rc = authority_draft_open(&d, folder, name, ".psk", 0600);

	if (rc != 0)
		return rc;
	/* No copy of the keys is left in the heap. */
	(void)setvbuf(d.file, NULL, _IONBF, 0);
	fprintf(d.file, "extmem-psk %s\n", role);
	for (uint32_t i = 0; i < count; i++)
		print(d.file, &keys[i]);
	return authority_draft_close(&d, ferror(d.file) == 0);
}

static int write_all(const char *folder, const struct keys *k)
{
	return write_keys(folder, "appliance", "appliance", k->key, k->count);
}

/* --- a folder --------------------------------------------------------------------- */

bool authority_psk_is(const char *folder)
{
	char path[PATH_MAX];

	authority_path(folder, "appliance", ".psk", path);
	return access(path, F_OK) == 0;
}

/* The list of a folder; an empty one if there is none yet. */
static int list_open(const char *folder, struct keys **ret,
		     char words[AUTHORITY_WORDS])
{
	struct keys *k = calloc(1, sizeof(*k));
	char path[PATH_MAX];
	int rc = 0;

	authority_path(folder, "appliance", ".psk", path);
	if (k == NULL)
		return authority_say(words, -ENOMEM, folder, NULL);
	if (access(path, F_OK) == 0)
		rc = keys_read(path, k, words);
	if (rc == 0 && access(path, F_OK) == 0 && !k->appliance)
		rc = authority_say(words, -EINVAL, path,
				   "this is a client's file");
	if (rc != 0)
		keys_free(k);
	else
		*ret = k;
	return rc;
}

static struct xm_psk *find(struct keys *k, const char *name)
{
	const struct xm_psk *found = xm_psk_find(k->key, k->count, name, strlen(name));

	return found == NULL ? NULL : &k->key[found - k->key];
}

/* First the list: a key that is in it alone lets nobody in. */
static int write_key(const char *folder, const struct keys *k,
		     const struct xm_psk *key, char words[AUTHORITY_WORDS])
{
	int rc = write_all(folder, k);

	if (rc == 0)
		rc = write_keys(folder, key->name, "client", key, 1);
	return rc == 0 ? 0 : authority_say(words, rc, folder, NULL);
}

static int make_key(const char *folder, const char *name, bool again,
		    struct keys *k, char words[AUTHORITY_WORDS])
{
	struct xm_psk *key = find(k, name);

	if (key != NULL && !again)
		return authority_say(words, -EEXIST, name, "it has a key already:"
				     " extmem auth renew, or revoke");
	if (key == NULL && again)
		return authority_say(words, -ENOENT, name, "no key has this name:"
				     " extmem auth psk");
	if (key == NULL && k->count == XM_PSK_MAX)
		return authority_say(words, -ENOSPC, folder, "it has as many keys"
				     " as a file can have");
	if (key == NULL) {
		key = &k->key[k->count++];
		snprintf(key->name, sizeof(key->name), "%s", name);
	}
	if (RAND_bytes(key->key, sizeof(key->key)) != 1)
		return authority_say(words, -EIO, name, "there are no random bytes");
	return write_key(folder, k, key, words);
}

static int locked_folder(const char *folder, bool make, char words[AUTHORITY_WORDS])
{
	char path[PATH_MAX];
	int fd;

	if (make && mkdir(folder, 0700) != 0 && errno != EEXIST)
		return authority_say(words, -errno, folder, NULL);
	fd = authority_lock(folder, words);
	authority_path(folder, "issued", "", path);
	if (fd >= 0 && access(path, F_OK) == 0) {
		close(fd);
		return authority_say(words, -EEXIST, folder, "an authority of"
				     " certificates is there: pre-shared keys need"
				     " a folder of their own");
	}
	return fd;
}

int authority_psk_issue(const char *folder, const char *name, bool again,
			char words[AUTHORITY_WORDS])
{
	struct keys *k = NULL;
	int fd, rc;

	if (!xm_psk_is_name(name, strlen(name)) || strcmp(name, "appliance") == 0)
		return authority_say(words, -EINVAL, name, "no name for a client's"
				     " key: up to 63 letters, digits, and . _ -");
	fd = locked_folder(folder, !again, words);
	if (fd < 0)
		return fd;
	rc = list_open(folder, &k, words);
	if (rc == 0) {
		rc = make_key(folder, name, again, k, words);
		keys_free(k);
	}
	close(fd);
	return rc;
}

static int remove_key(const char *folder, const char *name, struct keys *k,
		      char words[AUTHORITY_WORDS])
{
	struct xm_psk *key = find(k, name);
	char path[PATH_MAX];
	int rc;

	if (key == NULL)
		return authority_say(words, -ENOENT, name, "no key has this name;"
				     " see extmem auth show");
	memmove(key, key + 1, sizeof(*key) * (size_t)(&k->key[k->count] - key - 1));
	k->count--;
	rc = write_all(folder, k);
	if (rc != 0)
		return authority_say(words, rc, folder, NULL);
	authority_path(folder, name, ".psk", path);
	(void)unlink(path);
	return 0;
}

int authority_psk_revoke(const char *folder, const char *name,
			 char words[AUTHORITY_WORDS])
{
	struct keys *k = NULL;
	int fd = locked_folder(folder, false, words), rc;

	if (fd < 0)
		return fd;
	rc = list_open(folder, &k, words);
	if (rc == 0) {
		rc = remove_key(folder, name, k, words);
		keys_free(k);
	}
	close(fd);
	return rc;
}

int authority_psk_show(const char *folder, FILE *to, char words[AUTHORITY_WORDS])
{
	struct keys *k = NULL;
	int rc = list_open(folder, &k, words);

	if (rc != 0)
		return rc;
	for (uint32_t i = 0; i < k->count; i++)
		fprintf(to, "%-24s %-10s %-11s %s\n", k->key[i].name, "client", "-",
			"good");
	keys_free(k);
	return 0;
}

int authority_psk_check(const char *path, char ret_name[AUTHORITY_NAME_SIZE],
			char words[AUTHORITY_WORDS])
{
	struct keys *k = calloc(1, sizeof(*k));
	int rc = k == NULL ? authority_say(words, -ENOMEM, path, NULL)
			   : keys_read(path, k, words);

	if (rc == 0) {
		snprintf(ret_name, AUTHORITY_NAME_SIZE, "%s",
			 k->appliance ? "" : k->key[0].name);
		rc = k->appliance ? (int)k->count : 0;
	}
	if (k != NULL)
		keys_free(k);
	return rc;
}

bool authority_psk_begins(const char *path)
{
	char text[16];
	FILE *file = fopen(path, "re");
	size_t size = file == NULL ? 0 : fread(text, 1, sizeof(text), file);

	if (file != NULL)
		fclose(file);
	return xm_psk_is_file(text, size);
}
