/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A guest: a kernel by itself, which QEMU loads by the Multiboot protocol (version 1:
 * a header in the first 8 KiB, entry in 32-bit mode). It fills 64 MiB of its memory from
 * 16 MiB on and checks them from the end, says "right" or "wrong" at QEMU's debug console
 * (port 0xe9), and ends QEMU by its isa-debug-exit device (port 0xf4), whose status is
 * twice the byte and one: 33 or 3.
 */
#include <stdint.h>

#define FIRST ((volatile uint32_t *)0x1000000)
#define COUNT (64u << 20 >> 2)
#define STEP 64u /* words: each page has 16 that are checked */

#define MAGIC 0x1badb002u

__attribute__((section(".multiboot"), used)) static const uint32_t header[] = {
	MAGIC, 0, -MAGIC
};
__attribute__((used)) static uint8_t stack[4096];

static void put(uint16_t port, uint8_t byte)
{
	__asm__ volatile("outb %0, %1" : : "a"(byte), "Nd"(port));
}

static void end(const char *words, uint8_t status)
{
	for (; *words != '\0'; words++)
		put(0xe9, (uint8_t)*words);
	put(0xf4, status);
	for (;;)
		__asm__ volatile("hlt");
}

static uint32_t word(uint32_t index)
{
	return index * 2654435761u;
}

__attribute__((used)) static void work(void)
{
	for (uint32_t i = 0; i < COUNT; i += STEP)
		FIRST[i] = word(i);
	for (uint32_t i = COUNT; i > 0; i -= STEP)
		if (FIRST[i - STEP] != word(i - STEP))
			end("wrong\n", 1);
	end("right\n", 16);
}

void _start(void);
__attribute__((naked)) void _start(void)
{
	__asm__ volatile("mov $stack + 4096, %esp\n\t"
			 "call work");
}
