// SPDX-License-Identifier: GPL-2.0-or-later
// spin N: runs N instructions, and the few thousand that a program takes to start and end.
// N is even.
#include <stdlib.h>

int main(int argc, char **argv)
{
	unsigned long pairs = argc == 2 ? strtoul(argv[1], NULL, 10) / 2 : 0;

	if (!pairs)
		return EXIT_FAILURE;
	// in assembly, as a compiler may change the number of instructions in a loop
	asm volatile("1: subs %0, %0, #1\n\tb.ne 1b" : "+r"(pairs) : : "cc");
	return EXIT_SUCCESS;
}
