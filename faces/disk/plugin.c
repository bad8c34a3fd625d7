/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The disk face: an nbdkit plugin, which serves one region as a block device. See
 * nbdkit-extmem-plugin(1).
 *
 * A request is one explicit call on the region, on the thread that nbdkit has for it; so
 * nothing is cached here, and what was answered lies at the appliances. The region is
 * tracked: what nobody wrote to, or was trimmed, is fresh, and is read without a transfer.
 *
 * A region that outlives this process, under a name or a token, is never discarded: an
 * appliance does not know what is fresh here, and would show old bytes to the next process.
 * So such a disk has no trim, and its zeros are written.
 *
 * If it is durable, a flush makes it so on the appliances' disks, and FUA what it comes with;
 * else both have nothing to do.
 *
 * nbdkit forks into the background between .get_ready and .after_fork, and libfabric
 * does not survive that. So the settings are checked before, while messages still reach
 * the user, and the client is opened after.
 */
#ifdef HAVE_CONFIG_H
#include <config.h>
#endif

#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NBDKIT_API_VERSION 2
#include <nbdkit-plugin.h>

#include "core/extmem.h"
#include "faces/kept.h"

#define THREAD_MODEL NBDKIT_THREAD_MODEL_PARALLEL

#define PAGE ((uint64_t)4096)
#define SETTINGS_MAX 64
#define WORDS 1024

static int64_t disk_size = -1;
static const char *disk_name; /* nbdkit keeps texts */
static struct face_kept kept = { .region = "", .token = "" };
/* "name=value", ended by NULL; each from malloc(). */
static char *settings[SETTINGS_MAX + 1];
static size_t settings_count;

static extmem *client;
static extmem_region *region;

/* --- settings ------------------------------------------------------------------------- */

/* nbdkit changes its directory before the client is opened. */
static char *setting_absolute(const char *key, const char *value)
{
	static const char file[] = "file:";
	char *path, *whole = NULL;

	if (strcmp(key, "auth") == 0 || strcmp(key, "config") == 0)
		return nbdkit_absolute_path(value);
	if ((strcmp(key, "seal_key") != 0 && strcmp(key, "seal-key") != 0) ||
	    strncmp(value, file, strlen(file)) != 0)
		return strdup(value);
	path = nbdkit_absolute_path(value + strlen(file));
	if (path != NULL && asprintf(&whole, "%s%s", file, path) < 0)
		whole = NULL;
	free(path);
	return whole;
}

static int setting_add(const char *key, const char *value)
{
	char *absolute;

	if (settings_count == SETTINGS_MAX) {
		nbdkit_error("more than %d settings", SETTINGS_MAX);
		return -1;
	}
	absolute = setting_absolute(key, value);
	if (absolute == NULL ||
	    asprintf(&settings[settings_count], "%s=%s", key, absolute) < 0) {
		settings[settings_count] = NULL;
		free(absolute);
		nbdkit_error("%s: out of memory", key);
		return -1;
	}
	free(absolute);
	settings_count++;
	return 0;
}

/* The path of its token. */
static int region_named(const char *value)
{
	static char path[PATH_MAX];
	char *absolute = NULL;
	int rc = value[0] == '\0' ? -EINVAL : face_kept_path(value, path);

	if (rc != 0) {
		nbdkit_error("region=%s: %s", value, strerror(-rc));
		return -1;
	}
	absolute = nbdkit_absolute_path(path);
	if (absolute == NULL)
		return -1;
	rc = snprintf(path, sizeof(path), "%s", absolute) < PATH_MAX ? 0 : -1;
	free(absolute);
	if (rc != 0)
		nbdkit_error("region=%s: %s", value, strerror(ENAMETOOLONG));
	kept.region = path;
	if (disk_name == NULL)
		disk_name = strrchr(value, '/') != NULL ? strrchr(value, '/') + 1
							: value;
	return rc;
}

static bool is_kept(void)
{
	return kept.region[0] != '\0' || kept.token[0] != '\0';
}

static int disk_config(const char *key, const char *value)
{
	if (strcmp(key, "label") == 0) {
		disk_name = value;
		return 0;
	}
	if (strcmp(key, "region") == 0)
		return region_named(value);
	if (strcmp(key, "token") == 0) {
		kept.token = value;
		return 0;
	}
	if (strcmp(key, "durable") == 0) {
		int flag = nbdkit_parse_bool(value);

		kept.durable = flag > 0;
		return flag < 0 ? -1 : 0;
	}
	if (strcmp(key, "size") != 0)
		return setting_add(key, value);
	disk_size = nbdkit_parse_size(value);
	if (disk_size == 0)
		nbdkit_error("size=%s: a disk without bytes; say size=1G", value);
	return disk_size > 0 ? 0 : -1;
}

static int disk_config_complete(void)
{
	if (kept.region[0] != '\0' && kept.token[0] != '\0') {
		nbdkit_error("region=%s and a token: one of them", kept.region);
		return -1;
	}
	if (kept.durable && !is_kept()) {
		nbdkit_error("durable=yes is for a disk that is kept: give it a region=NAME");
		return -1;
	}
	if (disk_size > 0 || is_kept())
		return 0;
	nbdkit_error("how large? say size=1G");
	return -1;
}

#define DISK_HELP \
	"size=<SIZE>     Size of the disk; required where it is made.\n" \
	"region=<NAME>   Keep the disk under this name beyond this process.\n" \
	"token=<TOKEN>   Serve the region that waits under this token.\n" \
	"durable=yes     A flush reaches the disks of the appliances.\n" \
	"label=<NAME>    Name of its memory in lists of the appliances.\n" \
	"appliance=<ADDRESS>  Where its memory is; may be repeated.\n" \
	"strategy=<TEXT> How many copies, and where: \"mirror 2\".\n" \
	"seal=all        Encrypt what leaves this machine.\n" \
	"Other settings: see extmem(5)."

static int disk_get_ready(void)
{
	if (extmem_check((const char *const *)settings) == 0)
		return 0;
	nbdkit_error("%s", extmem_error());
	return -1;
}

/* --- the client ------------------------------------------------------------------------- */

static int disk_after_fork(void)
{
	const struct extmem_request request = {
		.size = sizeof(request),
		.region_size = disk_size > 0 ? (uint64_t)disk_size : 0,
		.name = disk_name != NULL ? disk_name : "disk",
		.flags = EXTMEM_TRACKED,
	};
	char words[WORDS];

	if (extmem_open((const char *const *)settings, &client) != 0) {
		nbdkit_error("%s", extmem_error());
		return -1;
	}
	if (face_kept_open(client, &kept, &request, &region, words,
			   sizeof(words)) != 0) {
		nbdkit_error("%s", words);
		return -1;
	}
	/* What is made again has the size that is found again. */
	if (is_kept())
		disk_size = (int64_t)extmem_region_size(region);
	return 0;
}

static void disk_cleanup(void)
{
	if (client != NULL)
		extmem_close(client);
	client = NULL;
}

static void disk_unload(void)
{
	for (size_t i = 0; i < settings_count; i++)
		free(settings[i]);
}

static void disk_dump(void)
{
	printf("extmem_version=%s\n", extmem_version());
}

/* --- what a client of the disk may ask for ----------------------------------------------- */

static void *disk_open(int readonly)
{
	(void)readonly;
	return NBDKIT_HANDLE_NOT_NEEDED;
}

static int64_t disk_get_size(void *handle)
{
	(void)handle;
	return disk_size;
}

static int yes(void *handle)
{
	(void)handle;
	return 1;
}

/* Otherwise nbdkit writes zeros. */
static int may_discard(void *handle)
{
	(void)handle;
	return !is_kept();
}

static int disk_can_fua(void *handle)
{
	(void)handle;
	return NBDKIT_FUA_NATIVE; /* every write has that meaning, or it is no more work */
}

/* Nothing is kept here: to read something ahead would help nobody. */
static int disk_can_cache(void *handle)
{
	(void)handle;
	return NBDKIT_CACHE_NONE;
}

static int disk_block_size(void *handle, uint32_t *minimum, uint32_t *preferred,
			   uint32_t *maximum)
{
	(void)handle;
	*minimum = 1;
	*preferred = PAGE; /* a part of a sealed page costs a read before it is written */
	*maximum = UINT32_MAX;
	return 0;
}

/* --- requests ------------------------------------------------------------------------- */

/* The protocol has few errors; the log has the sentence. */
static int answer(int rc)
{
	if (rc >= 0)
		return 0;
	nbdkit_error("%s", extmem_error());
	nbdkit_set_error(rc == -ENOMEM || rc == -EINVAL ? -rc : EIO);
	return -1;
}

static int disk_pread(void *handle, void *buffer, uint32_t count, uint64_t offset,
		      uint32_t flags)
{
	(void)handle;
	(void)flags;
	return answer(extmem_read(region, offset, buffer, count));
}

static int disk_pwrite(void *handle, const void *buffer, uint32_t count,
		       uint64_t offset, uint32_t flags)
{
	int rc = extmem_write(region, offset, buffer, count);

	(void)handle;
	if (rc == 0 && count > 0 && kept.durable && (flags & NBDKIT_FLAG_FUA) != 0)
		rc = extmem_sync_level(region, offset, count, EXTMEM_DURABLE);
	return answer(rc);
}

static int disk_flush(void *handle, uint32_t flags)
{
	(void)handle;
	(void)flags;
	/* A write was answered when the appliances had it in their memory. */
	return kept.durable
		       ? answer(extmem_sync_level(region, 0, 0, EXTMEM_DURABLE))
		       : 0;
}

/* The whole pages of a range. The last page is the disk's, also what lies behind its
 * end. False: there is none. */
static bool pages_within(uint64_t offset, uint64_t end, uint64_t *ret_first,
			 uint64_t *ret_limit)
{
	if (end == (uint64_t)disk_size)
		end += PAGE - 1;
	*ret_first = (offset + PAGE - 1) & ~(PAGE - 1);
	*ret_limit = end & ~(PAGE - 1);
	return *ret_first < *ret_limit;
}

static int write_zeros(uint64_t offset, uint64_t end)
{
	static const uint8_t zeros[2 * PAGE];

	return offset >= end ? 0
			     : extmem_write(region, offset, zeros, end - offset);
}

/* Whole pages become fresh, which takes no transfer; the ends are written. */
static int disk_zero(void *handle, uint32_t count, uint64_t offset, uint32_t flags)
{
	uint64_t end = offset + count, first, limit;
	int rc;

	(void)handle;
	(void)flags;
	if (!pages_within(offset, end, &first, &limit))
		return answer(write_zeros(offset, end));
	rc = write_zeros(offset, first);
	if (rc == 0)
		rc = write_zeros(limit, end);
	if (rc == 0)
		rc = extmem_advise(region, first, limit - first, EXTMEM_DONTNEED);
	return answer(rc);
}

/* What was trimmed reads as zero; parts of pages stay as they are. */
static int disk_trim(void *handle, uint32_t count, uint64_t offset, uint32_t flags)
{
	uint64_t first, limit;

	(void)handle;
	(void)flags;
	if (!pages_within(offset, offset + count, &first, &limit))
		return 0;
	return answer(extmem_advise(region, first, limit - first,
				    EXTMEM_DONTNEED));
}

static int disk_extents(void *handle, uint32_t count, uint64_t offset,
			uint32_t flags, struct nbdkit_extents *extents)
{
	uint64_t end = offset + count;

	(void)handle;
	while (offset < end) {
		int fresh;
		int64_t run = extmem_region_fresh(region, offset, end - offset,
						  &fresh);

		if (run < 0)
			return answer((int)run);
		if (nbdkit_add_extent(extents, offset, (uint64_t)run,
				      fresh ? NBDKIT_EXTENT_HOLE |
						      NBDKIT_EXTENT_ZERO
					    : 0) < 0)
			return -1;
		offset += (uint64_t)run;
		if ((flags & NBDKIT_FLAG_REQ_ONE) != 0)
			break;
	}
	return 0;
}

static struct nbdkit_plugin plugin = {
	.name = "extmem",
	.longname = "extmem: the memory of other machines",
	.version = PACKAGE_VERSION,
	.description = "A disk in the memory of other machines.",
	.unload = disk_unload,
	.config = disk_config,
	.config_complete = disk_config_complete,
	.config_help = DISK_HELP,
	.magic_config_key = "size",
	.dump_plugin = disk_dump,
	.get_ready = disk_get_ready,
	.after_fork = disk_after_fork,
	.cleanup = disk_cleanup,
	.open = disk_open,
	.get_size = disk_get_size,
	.block_size = disk_block_size,
	.can_write = yes,
	.can_flush = yes,
	.can_trim = may_discard,
	.can_zero = may_discard,
	.can_fast_zero = may_discard,
	.can_extents = yes,
	.can_multi_conn = yes, /* there is one region, and no cache before it */
	.can_fua = disk_can_fua,
	.can_cache = disk_can_cache,
	.pread = disk_pread,
	.pwrite = disk_pwrite,
	.flush = disk_flush,
	.zero = disk_zero,
	.trim = disk_trim,
	.extents = disk_extents,
};

NBDKIT_REGISTER_PLUGIN(plugin)
