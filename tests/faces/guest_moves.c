/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A guest like guest.c, which goes on for ever: lap by lap it reads and changes 16 words of
 * each page of 64 MiB, and says every eighth lap, at QEMU's debug console, its number and a
 * hash of all that it has read so far. Compiled for this machine (-DNATIVE) it says the same
 * for so many laps as it is told: what a guest should have said.
 */
#include <stdint.h>

#define COUNT (64u << 20 >> 2)
#define STEP 64u /* words */
#define LAPS 8u

static void put(char c);

static void put_hex(uint32_t value)
{
	for (int shift = 28; shift >= 0; shift -= 4)
		put("0123456789abcdef"[value >> shift & 15]);
}

static void work(volatile uint32_t *memory, uint32_t laps)
{
	uint32_t hash = 2166136261u;

	for (uint32_t i = 0; i < COUNT; i += STEP)
		memory[i] = i * 2654435761u;
	for (uint32_t lap = 1; lap <= laps; lap++) {
		for (uint32_t i = 0; i < COUNT; i += STEP) {
			uint32_t value = memory[i];

			hash = (hash ^ value) * 16777619u;
			memory[i] = value * 1664525u + 1013904223u + lap;
		}
		if (lap % LAPS != 0)
			continue;
		put_hex(lap);
		put(' ');
		put_hex(hash);
		put('\n');
	}
}

#ifdef NATIVE
#include <stdio.h>
#include <stdlib.h>

static void put(char c)
{
	putchar(c);
}

int main(int argc, char *argv[])
{
	uint32_t *memory = malloc(COUNT * sizeof(*memory));

	if (argc != 2 || memory == NULL)
		return 2;
	work(memory, (uint32_t)strtoul(argv[1], NULL, 0));
	return 0;
}
#else
#define MAGIC 0x1badb002u

__attribute__((section(".multiboot"), used)) static const uint32_t header[] = {
	MAGIC, 0, -MAGIC
};
__attribute__((used)) static uint8_t stack[4096];

static void put(char c)
{
	__asm__ volatile("outb %0, %1" : : "a"(c), "Nd"((uint16_t)0xe9));
}

__attribute__((used)) static void begin(void)
{
	work((volatile uint32_t *)0x1000000, UINT32_MAX);
	for (;;)
		__asm__ volatile("hlt");
}

void _start(void);
__attribute__((naked)) void _start(void)
{
	__asm__ volatile("mov $stack + 4096, %esp\n\t"
			 "call begin");
}
#endif
