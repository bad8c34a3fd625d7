/* SPDX-License-Identifier: BSD-3-Clause */
/* The tenants file; see tenants_file.h. Floor: skin. */
#include "config.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "appliance/tenants_file.h"
#include "common/options.h"

#ifdef HAVE_INIH
#include <ini.h>

enum { BYTES = 1, CLIENTS = 2, EXTENTS = 4, REQUESTS = 8, ADMIN = 16 };

struct reading {
	const char *path, *text;
	size_t size, at;
	uint32_t line;
	uint32_t lines[XM_TENANTS_MAX]; /* where each tenant was named first */
	uint32_t given[XM_TENANTS_MAX]; /* what was said of each */
	struct xm_tenants *tenants;
	int status; /* of the first failure */
	char *words;
	size_t words_size;
};

__attribute__((format(printf, 4, 5)))
static int fail(struct reading *r, int status, uint32_t line, const char *format, ...)
{
	va_list arguments;
	size_t used;

	if (r->status != 0)
		return 0;
	r->status = status;
	snprintf(r->words, r->words_size, "%.200s:%u: ", r->path, line);
	used = strlen(r->words);
	va_start(arguments, format);
	vsnprintf(r->words + used, r->words_size - used, format, arguments);
	va_end(arguments);
	return 0;
}

/* One line for inih, without what it would make of the blanks at its start: a
 * continuation of the line before. */
static char *read_line(char *buffer, int size, void *context)
{
	struct reading *r = context;
	int length = 0;
	bool blank = true;

	if (r->status != 0 || r->at == r->size)
		return NULL;
	r->line++;
	while (r->at < r->size) {
		char c = r->text[r->at++];

		if (blank && (c == ' ' || c == '\t'))
			continue;
		blank = false;
		if (c == '\0' || length + 2 > size) {
			fail(r, -EINVAL, r->line, c == '\0'
				? "there is a zero byte; this is not a text file"
				: "the line is too long");
			return NULL;
		}
		buffer[length++] = c;
		if (c == '\n')
			break;
	}
	buffer[length] = '\0';
	return buffer;
}

/* What may stand in a sentence of what stands in a file. */
static const char *show(const char *text, char ret[48])
{
	snprintf(ret, 48, "%.40s", text);
	for (char *c = ret; *c != '\0'; c++)
		if (*c < ' ' || *c > '~')
			*c = '?';
	return ret;
}

static int match(struct reading *r, uint32_t tenant, const char *pattern)
{
	uint32_t other = 0;
	char shown[48];

	switch (xm_tenants_match(r->tenants, tenant, pattern, &other)) {
	case 0:
		return 1;
	case -EEXIST:
		return fail(r, -EINVAL, r->line, "identity %s is tenant %s's already",
			    show(pattern, shown), r->tenants->list[other].name);
	case -ENOSPC:
		return fail(r, -ENOSPC, r->line, "more than %d identities",
			    XM_TENANT_PATTERNS_MAX);
	default:
		return fail(r, -EINVAL, r->line, "identity %s: write the name of a "
			    "certificate or uid:N, with an asterisk at its end for "
			    "all that begin so", show(pattern, shown));
	}
}

static int match_list(struct reading *r, uint32_t tenant, const char *value)
{
	bool any = false;

	for (const char *at = value;;) {
		char pattern[XM_IDENTITY_SIZE + 1];
		size_t length;

		at += strspn(at, ", \t");
		length = strcspn(at, ", \t");
		if (length == 0)
			break;
		any = true;
		snprintf(pattern, sizeof(pattern), "%.*s", (int)length, at);
		if (match(r, tenant, pattern) == 0)
			return 0;
		at += length;
	}
	return any ? 1 : fail(r, -EINVAL, r->line, "identity has no name");
}

/* A number of things, or of bytes. */
static int number(struct reading *r, const char *name, const char *value, bool bytes,
		  uint64_t most, uint64_t *ret)
{
	uint64_t n = 0;
	int rc = bytes ? xm_parse_size(value, &n) : xm_parse_count(value, &n);
	char shown[48];

	if (rc != 0 || n > most)
		return fail(r, -EINVAL, r->line, "%s = %s: write %s, up to %" PRIu64,
			    name, show(value, shown),
			    bytes ? "a size such as 512M or 40G" : "a number", most);
	*ret = n;
	return 1;
}

static int admin(struct reading *r, const char *value, bool *ret)
{
	char shown[48];

	*ret = strcmp(value, "yes") == 0;
	if (*ret || strcmp(value, "no") == 0)
		return 1;
	return fail(r, -EINVAL, r->line, "admin = %s: write yes or no",
		    show(value, shown));
}

static bool once(struct reading *r, uint32_t tenant, uint32_t what, const char *name)
{
	if ((r->given[tenant] & what) == 0) {
		r->given[tenant] |= what;
		return true;
	}
	fail(r, -EINVAL, r->line, "%s is given twice for tenant %s", name,
	     r->tenants->list[tenant].name);
	return false;
}

static int set(struct reading *r, uint32_t tenant, const char *name, const char *value)
{
	static const struct {
		const char *name;
		uint32_t what;
		uint64_t most;
	} quotas[] = {
		{ "bytes", BYTES, UINT64_C(1) << 60 },
		{ "clients", CLIENTS, UINT32_MAX },
		{ "extents", EXTENTS, UINT32_MAX },
		{ "requests", REQUESTS, XM_TENANT_REQUESTS_MAX },
	};
	struct xm_tenant *t = &r->tenants->list[tenant];
	uint64_t *const places[] = { &t->bytes, &t->clients, &t->extents,
				     &t->requests };
	char shown[48];

	if (strcmp(name, "identity") == 0)
		return match_list(r, tenant, value);
	if (strcmp(name, "admin") == 0)
		return once(r, tenant, ADMIN, name) ? admin(r, value, &t->admin) : 0;
	for (size_t i = 0; i < XM_COUNT(quotas); i++)
		if (strcmp(name, quotas[i].name) == 0)
			return once(r, tenant, quotas[i].what, name)
				? number(r, name, value, i == 0, quotas[i].most,
					 places[i])
				: 0;
	return fail(r, -EINVAL, r->line, "%s is nothing that a tenant has: there are "
		    "identity, bytes, clients, extents, requests and admin",
		    show(name, shown));
}

static int read_pair(void *context, const char *section, const char *name,
		     const char *value)
{
	struct reading *r = context;
	uint32_t tenant = xm_tenants_named(r->tenants, section);
	char shown[48];
	int added;

	if (r->status != 0)
		return 0;
	if (section[0] == '\0')
		return fail(r, -EINVAL, r->line, "%s stands in no section: begin a "
			    "tenant with a line [NAME]", show(name, shown));
	if (tenant == XM_TENANT_NONE) {
		added = xm_tenants_add(r->tenants, section);
		if (added == -ENOSPC)
			return fail(r, -ENOSPC, r->line, "more than %d tenants",
				    XM_TENANTS_MAX);
		if (added < 0)
			return fail(r, -EINVAL, r->line, "[%s] is no name for a "
				    "tenant: write letters, digits and signs, no "
				    "blanks, %d at most", show(section, shown),
				    XM_TENANT_NAME_SIZE - 1);
		tenant = (uint32_t)added;
		r->lines[tenant] = r->line;
	}
	return set(r, tenant, name, value);
}

/* What no single line shows. */
static void check_whole(struct reading *r)
{
	if (r->tenants->count == 0)
		fail(r, -EINVAL, r->line, "there is no tenant: nobody could come in");
	for (uint32_t i = 0; i < r->tenants->count; i++) {
		bool any = false;

		for (uint32_t j = 0; j < r->tenants->patterns_count; j++)
			any = any || r->tenants->patterns[j].tenant == i;
		if (!any)
			fail(r, -EINVAL, r->lines[i], "tenant %s has no identity: "
			     "nobody is it", r->tenants->list[i].name);
	}
}

int xm_tenants_parse(const char *path, const char *text, size_t size,
		     struct xm_tenants *ret, char *words, size_t words_size)
{
	struct reading r = { .path = path, .text = text, .size = size,
			     .words = words, .words_size = words_size };
	int rc;

	r.tenants = malloc(sizeof(*r.tenants));
	if (r.tenants == NULL) {
		snprintf(words, words_size, "%.200s: no memory", path);
		return -ENOMEM;
	}
	xm_tenants_begin(r.tenants);
	rc = ini_parse_stream(read_line, &r, read_pair, &r);
	/* inih tells the first line that is wrong: ours, or one of its own. */
	if (rc > 0 && (r.status == 0 || (uint32_t)rc < r.line)) {
		r.status = 0;
		fail(&r, -EINVAL, (uint32_t)rc, "this is neither \"name = value\" nor "
		     "\"[TENANT]\" nor a comment");
	} else if (rc < 0 && r.status == 0) {
		fail(&r, -ENOMEM, r.line, "no memory");
	}
	if (r.status == 0)
		check_whole(&r);
	if (r.status == 0)
		*ret = *r.tenants;
	free(r.tenants);
	return r.status;
}

#else

int xm_tenants_parse(const char *path, const char *text, size_t size,
		     struct xm_tenants *ret, char *words, size_t words_size)
{
	(void)text;
	(void)size;
	(void)ret;
	snprintf(words, words_size, "%.200s: this build cannot read tenants files: inih "
		 "was not there; build with it (Debian: libinih-dev)", path);
	return -ENOSYS;
}

#endif

static int read_whole(const char *path, FILE *file, char *text, size_t *ret_size,
		      char *words, size_t words_size)
{
	struct stat status;

	if (fstat(fileno(file), &status) != 0 || !S_ISREG(status.st_mode)) {
		snprintf(words, words_size, "%.200s is no file", path);
		return -EINVAL;
	}
	if ((status.st_mode & S_IWOTH) != 0) {
		snprintf(words, words_size, "%.200s can be written by everybody: "
			 "chmod o-w it", path);
		return -EPERM;
	}
	*ret_size = fread(text, 1, XM_TENANTS_FILE_SIZE + 1, file);
	if (ferror(file)) {
		snprintf(words, words_size, "%.200s: %s", path, strerror(EIO));
		return -EIO;
	}
	if (*ret_size > XM_TENANTS_FILE_SIZE) {
		snprintf(words, words_size, "%.200s is larger than %d bytes", path,
			 XM_TENANTS_FILE_SIZE);
		return -EFBIG;
	}
	return 0;
}

int xm_tenants_read(const char *path, struct xm_tenants *ret, char *words,
		    size_t words_size)
{
	FILE *file = fopen(path, "re");
	size_t size = 0;
	char *text;
	int rc;

	if (file == NULL) {
		rc = -errno;
		snprintf(words, words_size, "%.200s: %s", path, strerror(-rc));
		return rc;
	}
	text = malloc(XM_TENANTS_FILE_SIZE + 1);
	if (text == NULL) {
		snprintf(words, words_size, "%.200s: no memory", path);
		rc = -ENOMEM;
	} else {
		rc = read_whole(path, file, text, &size, words, words_size);
	}
	if (rc == 0)
		rc = xm_tenants_parse(path, text, size, ret, words, words_size);
	free(text);
	fclose(file);
	return rc;
}

static void print_quota(FILE *file, uint64_t quota, bool bytes)
{
	char text[32];

	if (quota == XM_TENANT_ALL)
		snprintf(text, sizeof(text), "all");
	else if (bytes)
		xm_format_size(quota, text, sizeof(text));
	else
		snprintf(text, sizeof(text), "%" PRIu64, quota);
	fprintf(file, " %8s", text);
}

void xm_tenants_print(const struct xm_tenants *t, FILE *file)
{
	fprintf(file, "%-16s %8s %8s %8s %8s  %s\n", "tenant", "bytes", "clients",
		"extents", "req/s", "identities");
	for (uint32_t i = 0; i < t->count; i++) {
		const struct xm_tenant *tenant = &t->list[i];

		fprintf(file, "%-16s", tenant->name);
		print_quota(file, tenant->bytes, true);
		print_quota(file, tenant->clients, false);
		print_quota(file, tenant->extents, false);
		print_quota(file, tenant->requests, false);
		fprintf(file, " ");
		for (uint32_t j = 0; j < t->patterns_count; j++)
			if (t->patterns[j].tenant == i)
				fprintf(file, " %s%s", t->patterns[j].text,
					t->patterns[j].begins ? "*" : "");
		fprintf(file, "%s\n", tenant->admin ? " (admin)" : "");
	}
}
