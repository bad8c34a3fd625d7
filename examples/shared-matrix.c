/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A matrix in external memory, shared by the ranks of an MPI program: rank 0 loads it, and
 * all read it, each the pages that it needs. Then rank 0 changes it, and they see that.
 *
 *	mpicc shared-matrix.c -o shared-matrix $(pkg-config --cflags --libs extmem)
 *	mpirun -n 4 ./shared-matrix ofi+tcp://host:7470
 *
 * The ranks may be on any machines. What one rank has in local memory is bounded by local=.
 */
#include <extmem.h>
#include <mpi.h>

#include <stdio.h>
#include <stdlib.h>

#define ROWS 1024
#define COLUMNS 1024 /* 8 MiB of doubles */

static void done(int rc)
{
	if (rc >= 0)
		return;
	fprintf(stderr, "%s\n", extmem_error());
	MPI_Abort(MPI_COMM_WORLD, 1);
}

static void load(double *matrix, double factor)
{
	for (long i = 0; i < (long)ROWS * COLUMNS; i++)
		matrix[i] = factor * (double)(i % COLUMNS);
}

/* This rank's share of the rows; the sum over all ranks. */
static double sum(const double *matrix, int rank, int ranks)
{
	double mine = 0, all = 0;

	for (long row = rank; row < ROWS; row += ranks)
		for (long i = row * COLUMNS; i < (row + 1) * COLUMNS; i++)
			mine += matrix[i];
	MPI_Allreduce(&mine, &all, 1, MPI_DOUBLE, MPI_SUM, MPI_COMM_WORLD);
	return all;
}

int main(int argc, char *argv[])
{
	const char *settings[] = { NULL, "local=4M", NULL };
	char appliance[256], token[EXTMEM_TOKEN_SIZE];
	int rank, ranks;
	extmem *x;
	extmem_region *region;
	void *matrix;

	MPI_Init(&argc, &argv);
	MPI_Comm_rank(MPI_COMM_WORLD, &rank);
	MPI_Comm_size(MPI_COMM_WORLD, &ranks);
	snprintf(appliance, sizeof(appliance), "appliance=%s", argc > 1 ? argv[1] : "");
	settings[0] = appliance;
	done(extmem_open(settings, &x));
	if (rank == 0) {
		done(extmem_region_alloc(x, "matrix", ROWS * COLUMNS * sizeof(double),
					 &region));
		done(extmem_map(region, 0, 0, &matrix));
		load(matrix, 1);
		done(extmem_region_share(region, NULL, token));
	}
	MPI_Bcast(token, sizeof(token), MPI_CHAR, 0, MPI_COMM_WORLD);
	if (rank != 0) {
		done(extmem_region_open(x, token, 0, &region));
		done(extmem_map(region, 0, 0, &matrix));
	}
	for (int factor = 1; factor <= 3; factor++) {
		double all = sum(matrix, rank, ranks); /* and nobody reads any more */

		if (rank == 0) {
			printf("%d ranks: %.0f\n", ranks, all);
			load(matrix, factor + 1);
			done(extmem_region_release(region));
		}
		MPI_Barrier(MPI_COMM_WORLD); /* rank 0 has released */
		if (rank != 0)
			done(extmem_region_acquire(region));
	}
	MPI_Barrier(MPI_COMM_WORLD); /* a region goes with its writer */
	extmem_close(x);
	MPI_Finalize();
	return 0;
}
