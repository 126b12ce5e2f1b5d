/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What all test programs share: TAP on stdout, groups of tests, and the PMUs of the host. */
#ifndef HARNESS_H
#define HARNESS_H

#include "vm.h"

#define ARRAY_SIZE(array)	(sizeof(array) / sizeof(*(array)))
#define MAX_PMUS		8

extern struct host_pmu pmus[MAX_PMUS];
extern int pmu_count;
/* Those that have a PMU */
extern uint64_t all_cpus;

void result(bool ok, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Compares, and says in the TAP what differs. */
bool equal(const char *what, uint64_t got, uint64_t expected);

/* From the environment; it has to be there if OTHERWISE is NULL. */
uint64_t number_from(const char *name, const char *otherwise);

struct group {
	const char *name;
	void (*run)(void);
	/* The CPU PMUs that the host must have, at least */
	int pmus;
};

/*
 * Those of the program, an empty one at the end. main() is in harness.c: it runs the group named on
 * the command line, with NAME=VALUE after the group's name in the environment.
 */
extern const struct group groups[];

#endif
