// SPDX-License-Identifier: GPL-2.0-or-later
#include "harness.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct host_pmu pmus[MAX_PMUS];
int pmu_count;
uint64_t all_cpus;

static int tests, failures;

void result(bool ok, const char *format, ...)
{
	va_list arguments;

	printf("%sok %d - ", ok ? "" : "not ", ++tests);
	va_start(arguments, format);
	vprintf(format, arguments);
	va_end(arguments);
	printf("\n");
	fflush(stdout);
	failures += !ok;
}

bool equal(const char *what, uint64_t got, uint64_t expected)
{
	if (got != expected)
		printf("# %s: expected 0x%lx (%ld), got 0x%lx (%ld)\n", what, expected, expected,
		       got, got);
	return got == expected;
}

uint64_t number_from(const char *name, const char *otherwise)
{
	const char *text = getenv(name) ?: otherwise;
	uint64_t number;
	char *end;

	if (!text || !*text)
		die("%s is not given; the first lines of the program's source have it", name);
	number = strtoull(text, &end, 0);
	if (*end)
		die("%s is '%s'; give a number", name, text);
	return number;
}

static void find_pmus(void)
{
	pmu_count = host_pmus(pmus, MAX_PMUS);
	for (int i = 0; i < pmu_count; i++) {
		printf("# PMU %s, type %d, CPUs 0x%lx\n", pmus[i].name, pmus[i].type, pmus[i].cpus);
		all_cpus |= pmus[i].cpus;
	}
}

int main(int argc, char **argv)
{
	const struct group *group = groups;

	while (group->name && (argc < 2 || strcmp(group->name, argv[1])))
		group++;
	if (!group->name) {
		fprintf(stderr, "usage: %s GROUP [NAME=VALUE]...; groups:", argv[0]);
		for (group = groups; group->name; group++)
			fprintf(stderr, " %s", group->name);
		fprintf(stderr, "\n");
		return 2;
	}
	for (int i = 2; i < argc; i++)
		if (!strchr(argv[i], '=') || putenv(argv[i]))
			die("'%s' is not NAME=VALUE", argv[i]);
	find_pmus();
	if (pmu_count < group->pmus)
		die("'%s' wants %d CPU PMUs at least, this host has %d", group->name, group->pmus,
		    pmu_count);
	group->run();
	printf("1..%d\n", tests);
	return failures != 0;
}
