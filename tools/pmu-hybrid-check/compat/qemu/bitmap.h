/* SPDX-License-Identifier: GPL-2.0-or-later */
/* For a few sets of some thousand bits: a loop over the words, or the bits, is fast enough. */
#pragma once
#include "qemu/osdep.h"

#define BITS_PER_LONG			(sizeof(unsigned long) * CHAR_BIT)
#define BITS_TO_LONGS(bits)		(((bits) + BITS_PER_LONG - 1) / BITS_PER_LONG)
/*
 * BITS must be a whole number of words, as ARM_HOST_MAX_CPUS is: the functions below do not mask
 * the last word.
 */
#define DECLARE_BITMAP(name, bits)	unsigned long name[BITS_TO_LONGS(bits)]

static inline bool test_bit(long bit, const unsigned long *map)
{
	return map[bit / BITS_PER_LONG] >> bit % BITS_PER_LONG & 1;
}

static inline void bitmap_set(unsigned long *map, long first, long count)
{
	for (long bit = first; bit < first + count; bit++) {
		map[bit / BITS_PER_LONG] |= 1UL << bit % BITS_PER_LONG;
	}
}

static inline void bitmap_zero(unsigned long *map, long bits)
{
	memset(map, 0, BITS_TO_LONGS(bits) * sizeof(*map));
}

static inline unsigned long find_next_bit(const unsigned long *map, unsigned long bits,
					  unsigned long from)
{
	while (from < bits && !test_bit(from, map)) {
		from++;
	}
	return from;
}

static inline unsigned long find_first_bit(const unsigned long *map, unsigned long bits)
{
	return find_next_bit(map, bits, 0);
}

static inline unsigned long find_next_zero_bit(const unsigned long *map, unsigned long bits,
					       unsigned long from)
{
	while (from < bits && test_bit(from, map)) {
		from++;
	}
	return from;
}

static inline bool bitmap_empty(const unsigned long *map, long bits)
{
	return find_first_bit(map, bits) == (unsigned long)bits;
}

/* This and the next function return whether a bit of the result is set. */
static inline bool bitmap_and(unsigned long *to, const unsigned long *a, const unsigned long *b,
			      long bits)
{
	for (size_t i = 0; i < BITS_TO_LONGS(bits); i++) {
		to[i] = a[i] & b[i];
	}
	return !bitmap_empty(to, bits);
}

static inline bool bitmap_andnot(unsigned long *to, const unsigned long *a, const unsigned long *b,
				 long bits)
{
	for (size_t i = 0; i < BITS_TO_LONGS(bits); i++) {
		to[i] = a[i] & ~b[i];
	}
	return !bitmap_empty(to, bits);
}

static inline void bitmap_or(unsigned long *to, const unsigned long *a, const unsigned long *b,
			     long bits)
{
	for (size_t i = 0; i < BITS_TO_LONGS(bits); i++) {
		to[i] = a[i] | b[i];
	}
}
