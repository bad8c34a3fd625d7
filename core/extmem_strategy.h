/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * extmem: strategies, which say where a region goes. extmem.h includes this
 * header: include that one, whose first lines say what holds for all calls.
 */
#ifndef EXTMEM_STRATEGY_H
#define EXTMEM_STRATEGY_H

/* Where a region goes is said by a strategy: a text such as "mirror 2, rank free", or the
 * name of a stored one: the setting strategy.NAME, in a file or a list of settings.
 * extmem(5) has the language. These calls open no client. They take settings as
 * extmem_open() does, with the environment and the file. */
struct extmem_strategy {
	uint64_t size;	 /* sizeof(struct extmem_strategy) */
	char name[32];	 /* of a stored one */
	char text[1024];
};
/* Stored strategies, as they were written. Skips `skip` of them, stores up to `count`
 * and returns how many.
 * Errors: -EINVAL a setting is wrong. */
int extmem_strategy_list(const char *const settings[], size_t skip,
			 struct extmem_strategy *ret, size_t count);
/* What a text or a name means, written in one way: "stripe 2" is "mirror 1, stripe 2 x
 * 256K". NULL: the one of the settings; without one the text is "".
 * Errors: -EINVAL it is malformed, or no strategy has this name; -EINVAL the struct's
 * size is not set. */
int extmem_strategy_read(const char *const settings[], const char *strategy,
			 struct extmem_strategy *ret);

struct extmem_plan_appliance {
	char address[128];
	char name[64], zone[32];
	uint64_t free;	  /* bytes */
	uint64_t bytes;	  /* of the region that it would have */
	uint32_t load;	  /* clients, in thousandths of the most it takes */
	char reason[160]; /* why it cannot be chosen; "" if it can */
};
struct extmem_plan_run {
	uint64_t size; /* bytes of the region */
	/* Indices of appliances: of copy j of column c, at c * copies + j. */
	uint8_t appliances[64];
};
struct extmem_plan {
	uint64_t size;	      /* sizeof(struct extmem_plan) */
	int32_t status;	      /* 0, or why there is no plan: -ENODEV, -ENOSPC */
	uint32_t choice;      /* of the strategy that is taken, from 0 */
	uint64_t region_size; /* as asked, rounded up */
	uint64_t unit;	      /* of stripes; 0: there are none */
	uint32_t columns, copies;
	uint32_t runs_count, appliances_count;
	char text[1024]; /* of the choice */
	char words[512]; /* why there is no plan */
	struct extmem_plan_run runs[16];
	struct extmem_plan_appliance appliances[EXTMEM_APPLIANCES_MAX];
};
/* Where a region of `size` bytes would go now. Asks each appliance of the settings, one
 * after the other, for 5 s at most. If nothing is chosen by lot, and nobody allocates
 * meanwhile, extmem_region_alloc() does the same.
 * Errors: -EINVAL the strategy is malformed, the size is 0 or less than a row of
 * stripes, no appliance is named. -ENOMEM. */
int extmem_strategy_check(const char *const settings[], const char *strategy,
			  uint64_t size, struct extmem_plan *ret);

#endif
