/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Rows of figures: gathered from clients and repetitions, folded, and printed
 * as columns or as JSON; see bench.h.
 */
#include "bench/bench.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "config.h"

#include "bench/ranks.h"

#ifdef HAVE_JANSSON
#include <jansson.h>
#endif

/* --- values ---------------------------------------------------------------------------- */

static int by_size(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

double bench_permille(double *values, size_t count, unsigned permille)
{
	size_t at;

	if (count == 0)
		return NAN;
	qsort(values, count, sizeof(*values), by_size);
	if (permille == 500 && count % 2 == 0)
		return (values[count / 2 - 1] + values[count / 2]) / 2;
	at = (count * permille + 999) / 1000;
	return values[at > 0 ? at - 1 : 0];
}

static struct bench_field *field(struct bench_row *row, const char *name,
				 enum bench_fold fold)
{
	struct bench_field *f;

	if (row->count == BENCH_FIELDS_MAX)
		bench_fail("a row with more than %d fields", BENCH_FIELDS_MAX);
	f = &row->fields[row->count++];
	memset(f, 0, sizeof(*f));
	snprintf(f->name, sizeof(f->name), "%s", name);
	f->fold = (uint8_t)fold;
	return f;
}

void bench_text(struct bench_row *row, const char *name, const char *text)
{
	struct bench_field *f = field(row, name, BENCH_SAME);

	f->is_text = true;
	snprintf(f->text, sizeof(f->text), "%s", text);
}

void bench_count(struct bench_row *row, const char *name, enum bench_fold fold,
		 uint64_t value)
{
	struct bench_field *f = field(row, name, fold);

	f->is_whole = true;
	f->value = (double)value;
}

void bench_real(struct bench_row *row, const char *name, enum bench_fold fold,
		double value)
{
	field(row, name, fold)->value = value;
}

void bench_row(struct bench *b, const char *columns, struct bench_row *ret)
{
	ret->columns = columns;
	ret->count = 0;
	bench_text(ret, "bench", b->name);
	bench_text(ret, "label", b->common->label);
}

static void cpu_model(char *ret, size_t size)
{
	FILE *file = fopen("/proc/cpuinfo", "re");
	char line[256];

	snprintf(ret, size, "unknown");
	while (file != NULL && fgets(line, sizeof(line), file) != NULL) {
		char *at = strchr(line, ':');

		if (strncmp(line, "model name", 10) != 0 || at == NULL)
			continue;
		at[strcspn(at, "\n")] = '\0';
		snprintf(ret, size, "%s", at + strspn(at, ": "));
		break;
	}
	if (file != NULL)
		fclose(file);
}

void bench_stamp(struct bench_row *row, const struct bench_client *c)
{
	const struct bench *b = c->bench;
	bool external = c->x != NULL;
	char cpu[72];

	cpu_model(cpu, sizeof(cpu));
	bench_text(row, "memory", external ? "external" : "ordinary");
	bench_real(row, "local_pct", BENCH_SAME,
		   c->local_pct > BENCH_ORDINARY ? c->local_pct : 100);
	bench_count(row, "local_bytes", BENCH_SAME,
		    c->local_bytes > 0 ? c->local_bytes : c->size);
	bench_text(row, "t_net_by", c->t_net_by);
	bench_real(row, "t_net_us", BENCH_MEDIAN, c->t_net_us);
	bench_real(row, "f_us", BENCH_MEDIAN, c->f_us);
	bench_real(row, "fresh_us", BENCH_MEDIAN, c->fresh_us);
	bench_real(row, "B_net_MBps", BENCH_MEDIAN, c->B_net_MBps);
	bench_text(row, "transport", external ? c->info.transport : "none");
	bench_text(row, "provider", external ? c->info.provider : "none");
	bench_text(row, "provider_version", external ? c->info.version : "");
	bench_text(row, "endpoint", external ? c->info.endpoint : "none");
	bench_text(row, "paging", external ? c->info.paging : "none");
	bench_text(row, "polling", external ? c->info.polling : "none");
	bench_count(row, "lanes", BENCH_SAME, external ? c->info.lanes : 0);
	bench_count(row, "ranks", BENCH_SAME, (uint64_t)b->ranks);
	bench_count(row, "clients", BENCH_SAME, (uint64_t)b->clients);
	bench_count(row, "appliances", BENCH_SAME, (uint64_t)b->appliances);
	bench_count(row, "repeat", BENCH_SAME, b->common->repeat);
	bench_text(row, "cpu", cpu);
	bench_text(row, "version", extmem_version());
}

size_t bench_numbers(const char *text, uint64_t least, uint64_t most, uint64_t *ret,
		     size_t max)
{
	size_t count = 0;
	char *end;

	do {
		unsigned long long value = strtoull(text, &end, 10);

		if (strspn(text, "0123456789") == 0 || count == max)
			return 0;
		if (*end == 'K')
			value <<= 10;
		else if (*end == 'M')
			value <<= 20;
		end += *end == 'K' || *end == 'M';
		if ((*end != ',' && *end != '\0') || value < least ||
		    value > most)
			return 0;
		ret[count++] = value;
		text = end + 1;
	} while (*end == ',');
	return count;
}

size_t bench_percents(const char *text, double *ret, size_t max)
{
	size_t count = 0;
	char *end;

	do {
		size_t digits = strspn(text, "0123456789.");
		double value = strtod(text, &end);

		/* Also refuses what is no number at all, or none of ours. */
		if (digits == 0 || end != text + digits || !(value > 0 && value <= 100) ||
		    (*end != ',' && *end != '\0') || count == max)
			return 0;
		ret[count++] = value;
		text = end + 1;
	} while (*end == ',');
	return count;
}

/* --- folding ------------------------------------------------------------------------------- */

/* A field of all rows: row r of client c is rows[c * repeats + r]. */
struct folded {
	double value, min, max;
};

static struct folded fold(const struct bench_row *rows, size_t clients,
			  size_t repeats, size_t index)
{
	size_t count = 0, all = clients * repeats;
	double *values = bench_calloc(all, sizeof(*values));
	uint8_t how = rows[0].fields[index].fold;
	struct folded f = { NAN, NAN, NAN };

	if (how == BENCH_SUM) {
		for (size_t r = 0; r < repeats; r++) {
			for (size_t c = 0; c < clients; c++)
				values[r] += rows[c * repeats + r]
						     .fields[index].value;
		}
		count = repeats;
	} else {
		for (size_t i = 0; i < all; i++) {
			if (!isnan(rows[i].fields[index].value))
				values[count++] = rows[i].fields[index].value;
		}
	}
	if (how == BENCH_SAME) {
		f.value = rows[0].fields[index].value;
	} else if (count > 0) {
		f.value = bench_permille(values, count,
					 how == BENCH_WORST ? 1000 : 500);
		f.min = values[0];
		f.max = values[count - 1];
	}
	free(values);
	return f;
}

/* --- printing -------------------------------------------------------------------------------- */

#ifdef HAVE_JANSSON

static void set(json_t *object, const char *name, double value, bool is_whole)
{
	json_t *item = isnan(value) ? json_null()
		       : is_whole ? json_integer((json_int_t)value)
				  : json_real(value);

	json_object_set_new(object, name, item);
}

static void print_json(const struct bench_row *rows, size_t clients,
		       size_t repeats)
{
	json_t *object = json_object();
	char name[40];

	for (size_t i = 0; i < rows[0].count; i++) {
		const struct bench_field *f = &rows[0].fields[i];
		struct folded v = fold(rows, clients, repeats, i);

		if (f->is_text) {
			json_object_set_new(object, f->name,
					    json_string(f->text));
			continue;
		}
		set(object, f->name, v.value, f->is_whole);
		/* Nothing is said twice of what was taken once. */
		if (f->fold != BENCH_MEDIAN || !(v.max > v.min))
			continue;
		snprintf(name, sizeof(name), "%s_min", f->name);
		set(object, name, v.min, f->is_whole);
		snprintf(name, sizeof(name), "%s_max", f->name);
		set(object, name, v.max, f->is_whole);
	}
	json_dumpf(object, stdout, JSON_COMPACT | JSON_REAL_PRECISION(6));
	putchar('\n');
	json_decref(object);
}

#else

static void print_json(const struct bench_row *rows, size_t clients,
		       size_t repeats)
{
	(void)rows;
	(void)clients;
	(void)repeats;
	bench_fail("this build has no JSON");
}

#endif

static size_t index_of(const struct bench_row *row, const char *name,
		       size_t length)
{
	for (size_t i = 0; i < row->count; i++) {
		if (strlen(row->fields[i].name) == length &&
		    strncmp(row->fields[i].name, name, length) == 0)
			return i;
	}
	bench_fail("no field for the column %.*s", (int)length, name);
}

static const char *text_of(const struct bench_row *row, const char *name)
{
	return row->fields[index_of(row, name, strlen(name))].text;
}

static double value_of(const struct bench_row *row, const char *name)
{
	return row->fields[index_of(row, name, strlen(name))].value;
}

/* Where it was taken, in one line that a reader of columns needs. */
static void print_head(const struct bench_row *row, const char *columns)
{
	printf("# extmem-bench %s: extmem %s, ", text_of(row, "bench"),
	       text_of(row, "version"));
	if (strcmp(text_of(row, "memory"), "ordinary") == 0)
		printf("ordinary memory; ");
	else
		printf("%s, %s %s, paging %s, polling %s, lanes %.0f; ",
		       text_of(row, "provider"),
		       text_of(row, "provider_version"),
		       text_of(row, "endpoint"), text_of(row, "paging"),
		       text_of(row, "polling"), value_of(row, "lanes"));
	if (strcmp(text_of(row, "t_net_by"), "none") != 0)
		printf("t_net by %s; ",
		       strcmp(text_of(row, "t_net_by"), "raw") == 0
			       ? "the raw call"
			       : "the library's own call");
	printf("%.0f ranks, %.0f clients, %.0f appliances; %s\n#",
	       value_of(row, "ranks"), value_of(row, "clients"),
	       value_of(row, "appliances"), text_of(row, "cpu"));
	for (const char *at = columns; *at != '\0';) {
		int length = (int)strcspn(at, " ");
		int width = length > 11 ? length : 11;

		if (at == columns)
			printf("%-15.*s", length, at);
		else
			printf(" %*.*s", width, length, at);
		at += length + (at[length] == ' ');
	}
	putchar('\n');
}

static void print_value(const struct bench_field *f, double value, int width)
{
	if (isnan(value))
		printf(" %*s", width, "-");
	else
		printf(" %*.*f", width,
		       f->is_whole ? 0 : value >= 1000 ? 1 : 3, value);
}

/* "value", "min" or "max" of a row's columns. */
static void print_columns(const struct bench_row *rows, size_t clients,
			  size_t repeats, const char *what)
{
	for (const char *at = rows[0].columns; *at != '\0';) {
		size_t length = strcspn(at, " ");
		size_t i = index_of(&rows[0], at, length);
		const struct bench_field *f = &rows[0].fields[i];
		struct folded v = fold(rows, clients, repeats, i);
		int width = length > 11 ? (int)length : 11;

		if (*what != 'v' && at == rows[0].columns)
			printf("#   %-12s", what);
		else if (*what != 'v' && f->fold != BENCH_MEDIAN)
			printf(" %*s", width, "");
		else if (f->is_text && at == rows[0].columns)
			printf("%-16s", f->text);
		else if (f->is_text)
			printf(" %*s", width, f->text);
		else
			print_value(f, *what == 'v' ? v.value
				       : what[1] == 'i' ? v.min : v.max,
				    width);
		at += length + (at[length] == ' ');
	}
	putchar('\n');
}

void bench_print(struct bench *b, const struct bench_row *rows, size_t repeats)
{
	static const char *columns;
	size_t clients = (size_t)b->clients;
	struct bench_row *all = NULL;

	if (b->client == 0) {
		all = bench_calloc(clients * repeats, sizeof(*all));
	}
	ranks_gather_clients(rows, repeats * sizeof(*rows), all);
	if (b->client != 0)
		return;
	/* Only this process's pointer means something here. */
	all[0].columns = rows[0].columns;
	if (b->common->json) {
		print_json(all, clients, repeats);
	} else {
		if (columns != rows[0].columns)
			print_head(all, rows[0].columns);
		columns = rows[0].columns;
		print_columns(all, clients, repeats, "value");
		if (clients * repeats > 1) {
			print_columns(all, clients, repeats, "min");
			print_columns(all, clients, repeats, "max");
		}
	}
	fflush(stdout);
	free(all);
}
