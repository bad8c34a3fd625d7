/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * LMDB beside the durable store, for bench/durable.sh:
 *
 *	lmdb FILE	prints, for 1, 16 and 1,024 values of 4 KiB that one transaction
 *			changes, each fourth of 4,096 that are there, the median microseconds until
 *			it is on the disk
 */
#include <lmdb.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define PAGE 4096
#define PAGES 4096
#define TURNS 41
#define ROOM ((size_t)256 << 20) /* of the file, at most */

static int fail(const char *what, int rc)
{
	fprintf(stderr, "lmdb: %s: %s\n", what, mdb_strerror(rc));
	return 1;
}

static uint64_t now_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

static int compare(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

/* One transaction, that is on the disk when this returns 0. */
static int put(MDB_env *env, unsigned count, unsigned apart, uint64_t contents)
{
	uint64_t page[PAGE / sizeof(uint64_t)];
	MDB_txn *transaction;
	MDB_dbi values;
	int rc = mdb_txn_begin(env, NULL, 0, &transaction);

	if (rc != 0)
		return rc;
	for (size_t i = 0; i < PAGE / sizeof(uint64_t); i++)
		page[i] = contents;
	rc = mdb_dbi_open(transaction, NULL, MDB_INTEGERKEY | MDB_CREATE, &values);
	for (unsigned i = 0; i < count && rc == 0; i++) {
		unsigned number = i * apart;
		MDB_val key = { sizeof(number), &number }, value = { PAGE, page };

		rc = mdb_put(transaction, values, &key, &value, 0);
	}
	if (rc == 0)
		return mdb_txn_commit(transaction);
	mdb_txn_abort(transaction);
	return rc;
}

static int time_it(MDB_env *env, unsigned count)
{
	uint64_t us[TURNS];

	for (unsigned turn = 0; turn < TURNS; turn++) {
		uint64_t began = now_us();
		int rc = put(env, count, 4, began);

		if (rc != 0)
			return rc;
		us[turn] = now_us() - began;
	}
	qsort(us, TURNS, sizeof(us[0]), compare);
	printf("%u %llu\n", count, (unsigned long long)us[TURNS / 2]);
	return 0;
}

int main(int argc, char **argv)
{
	static const unsigned counts[] = { 1, 16, 1024 };
	MDB_env *env;
	int rc;

	if (argc != 2) {
		fprintf(stderr, "usage: lmdb FILE\n");
		return 2;
	}
	rc = mdb_env_create(&env);
	if (rc != 0)
		return fail("no environment", rc);
	rc = mdb_env_set_mapsize(env, ROOM);
	if (rc == 0)
		rc = mdb_env_open(env, argv[1], MDB_NOSUBDIR, 0600);
	if (rc == 0)
		rc = put(env, PAGES, 1, 0);
	for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]) && rc == 0; i++)
		rc = time_it(env, counts[i]);
	mdb_env_close(env);
	return rc == 0 ? 0 : fail(argv[1], rc);
}
