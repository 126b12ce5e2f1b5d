/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Shared by all test programs: TAP on stdout, groups of tests, and the PMUs of the host. */
#ifndef HARNESS_H
#define HARNESS_H

#include "vm.h"

#define ARRAY_SIZE(array)	(sizeof(array) / sizeof(*(array)))
#define MAX_PMUS		8

extern struct host_pmu pmus[MAX_PMUS];
extern int pmu_count;
/* The CPUs that have a PMU */
extern uint64_t all_cpus;

void result(bool ok, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Compares two numbers. Prints a comment in the TAP if they differ. */
bool equal(const char *what, uint64_t got, uint64_t expected);

/* A number from the environment. OTHERWISE is its default; without one the variable must be set. */
uint64_t number_from(const char *name, const char *otherwise);

struct group {
	const char *name;
	void (*run)(void);
	/* The host must have at least so many CPU PMUs */
	int pmus;
};

/*
 * The groups of the program; an empty one ends the list. main() is in harness.c: it puts each
 * NAME=VALUE of the command line into the environment and runs the group that the command line
 * names.
 */
extern const struct group groups[];

#endif
