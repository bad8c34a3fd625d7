/* SPDX-License-Identifier: BSD-3-Clause */
/* Ranks of MPI; see ranks.h. */
#include "bench/ranks.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "config.h"

#ifdef HAVE_MPI
#include <mpi.h>
#endif

/* Open MPI, MPICH and its kin, and what speaks PMIx. */
static const char *const rank_names[] = { "OMPI_COMM_WORLD_RANK", "PMI_RANK",
					  "PMIX_RANK" };

static const char *launcher_says(void)
{
	for (size_t i = 0; i < sizeof(rank_names) / sizeof(*rank_names); i++) {
		if (getenv(rank_names[i]) != NULL)
			return getenv(rank_names[i]);
	}
	return NULL;
}

bool ranks_launched(void)
{
	return launcher_says() != NULL;
}

int ranks_early(void)
{
	return ranks_launched() ? atoi(launcher_says()) : 0;
}

#ifdef HAVE_MPI

static MPI_Comm group = MPI_COMM_NULL;
static bool begun;

/* Clients wait for each other by naps of 50 us, which is little beside what is
 * measured; who has something to do meanwhile is an appliance's rank, which
 * waits for the end of all, and is to leave the processor to the others. */
static void finish(MPI_Request *request, void (*meanwhile)(void *),
		   void *argument)
{
	const struct timespec nap = { .tv_nsec = meanwhile != NULL ? 10000000
								   : 50000 };
	int done = 0;

	for (;;) {
		MPI_Test(request, &done, MPI_STATUS_IGNORE);
		if (done)
			return;
		if (meanwhile != NULL)
			meanwhile(argument);
		nanosleep(&nap, NULL);
	}
}

static void meet(MPI_Comm communicator, void (*meanwhile)(void *),
		 void *argument)
{
	MPI_Request request;

	MPI_Ibarrier(communicator, &request);
	finish(&request, meanwhile, argument);
}

int ranks_begin(int *ret_rank, int *ret_count)
{
	*ret_rank = 0;
	*ret_count = 1;
	/* Alone, a program is spared what MPI does at its start. */
	if (!ranks_launched())
		return 0;
	MPI_Init_thread(NULL, NULL, MPI_THREAD_FUNNELED, &(int){ 0 });
	begun = true;
	MPI_Comm_rank(MPI_COMM_WORLD, ret_rank);
	MPI_Comm_size(MPI_COMM_WORLD, ret_count);
	return 0;
}

void ranks_divide(int clients)
{
	int rank;

	if (!begun)
		return;
	MPI_Comm_rank(MPI_COMM_WORLD, &rank);
	MPI_Comm_split(MPI_COMM_WORLD, rank < clients, rank, &group);
}

void ranks_share(const void *own, size_t size, void *ret_all)
{
	if (!begun) {
		memcpy(ret_all, own, size);
		return;
	}
	meet(MPI_COMM_WORLD, NULL, NULL);
	MPI_Allgather(own, (int)size, MPI_BYTE, ret_all, (int)size, MPI_BYTE,
		      MPI_COMM_WORLD);
}

void ranks_meet(void (*meanwhile)(void *), void *argument)
{
	if (begun)
		meet(MPI_COMM_WORLD, meanwhile, argument);
}

void ranks_meet_clients(void)
{
	if (begun)
		meet(group, NULL, NULL);
}

void ranks_gather_clients(const void *own, size_t size, void *ret_all)
{
	if (!begun) {
		memcpy(ret_all, own, size);
		return;
	}
	meet(group, NULL, NULL);
	MPI_Gather(own, (int)size, MPI_BYTE, ret_all, (int)size, MPI_BYTE, 0,
		   group);
}

void ranks_tell_clients(void *data, size_t size)
{
	if (!begun)
		return;
	meet(group, NULL, NULL);
	MPI_Bcast(data, (int)size, MPI_BYTE, 0, group);
}

void ranks_end(void)
{
	if (!begun)
		return;
	if (group != MPI_COMM_NULL)
		MPI_Comm_free(&group);
	MPI_Finalize();
	begun = false;
}

void ranks_abort(int status)
{
	if (begun)
		MPI_Abort(MPI_COMM_WORLD, status);
}

#else

int ranks_begin(int *ret_rank, int *ret_count)
{
	*ret_rank = 0;
	*ret_count = 1;
	return ranks_launched() ? -1 : 0;
}

void ranks_divide(int clients)
{
	(void)clients;
}

void ranks_share(const void *own, size_t size, void *ret_all)
{
	memcpy(ret_all, own, size);
}

void ranks_meet(void (*meanwhile)(void *), void *argument)
{
	(void)meanwhile;
	(void)argument;
}

void ranks_meet_clients(void)
{
}

void ranks_gather_clients(const void *own, size_t size, void *ret_all)
{
	memcpy(ret_all, own, size);
}

void ranks_tell_clients(void *data, size_t size)
{
	(void)data;
	(void)size;
}

void ranks_end(void)
{
}

void ranks_abort(int status)
{
	(void)status;
}

#endif
