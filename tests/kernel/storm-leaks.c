// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Looks for what the storm's VMs must not leave behind: perf events, vCPUs, VMs, stage-2 page
 * tables, and leaked memory.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "storm.h"

#define KMEMLEAK	"/sys/kernel/debug/kmemleak"
/* kmemleak does not report objects younger than 5 seconds */
#define MIN_AGE		6
/* The report of an object, with the functions that allocated it */
#define MAX_REPORT	4096

static void put(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		die("writing '%s' to %s failed; this wants the debug kernel", text, path);
	close(fd);
}

/* The first number of the line that begins with name */
static unsigned long number_in(const char *path, const char *name)
{
	FILE *stream = fopen(path, "re");
	unsigned long number;
	size_t length = strlen(name);
	char line[256];

	if (!stream)
		die("opening %s failed", path);
	while (fgets(line, sizeof(line), stream)) {
		if (strncmp(line, name, length) || sscanf(line + length, "%lu", &number) != 1)
			continue;
		fclose(stream);
		return number;
	}
	die("%s has no '%s'; this wants the debug kernel", path, name);
}

/* Number of objects in use. The cache shrinks first, so that it does not count freed objects. */
static unsigned long objects_of(const char *cache)
{
	char path[128];

	snprintf(path, sizeof(path), "/sys/kernel/slab/%s/shrink", cache);
	put(path, "1");
	snprintf(path, sizeof(path), "/sys/kernel/slab/%s/objects", cache);
	return number_in(path, "");
}

static unsigned long count_vms(void)
{
	DIR *directory = opendir("/sys/kernel/debug/kvm");
	unsigned long count = 0;
	struct dirent *entry;

	if (!directory)
		die("opening KVM's folder in debugfs failed");
	/* Each VM has a folder PID-FD; the other entries are KVM's own files */
	while ((entry = readdir(directory)))
		count += entry->d_name[0] >= '0' && entry->d_name[0] <= '9';
	closedir(directory);
	return count;
}

void leaks_measure(struct leaks *leaks)
{
	/* Adds up the counts that each CPU keeps for itself */
	put("/proc/sys/vm/stat_refresh", "1");
	leaks->events = objects_of("perf_event");
	leaks->vcpus = objects_of("kvm_vcpu");
	leaks->vms = count_vms();
	leaks->tables = number_in("/proc/meminfo", "SecPageTables:");
}

static void print_leaks(const char *when, const struct leaks *leaks)
{
	printf("# %s: %lu perf events, %lu vCPUs, %lu VMs, %lu kB of stage-2 tables\n", when,
	       leaks->events, leaks->vcpus, leaks->vms, leaks->tables);
}

static void test_objects(const struct leaks *start)
{
	time_t deadline = time(NULL) + storm->deadline;
	struct leaks now;

	do {
		leaks_measure(&now);
	} while (memcmp(&now, start, sizeof(now)) && time(NULL) < deadline && !usleep(100000));
	print_leaks("before", start);
	print_leaks("after", &now);
	result(!memcmp(&now, start, sizeof(now)),
	       "perf events, vCPUs, VMs and stage-2 tables are as many as before");
}

/*
 * Prints a report and returns true, unless there is none or it does not count. The scheduler of
 * Linux 7.3 loses 16 bytes whenever it builds its domains, which it does at boot and for each CPU
 * that comes or goes, with or without KVM.
 */
static bool judge_report(const char *report)
{
	if (!*report || strstr(report, " build_sched_domains+"))
		return false;
	for (const char *line = report, *end; (end = strchr(line, '\n')); line = end + 1)
		printf("# %.*s\n", (int)(end - line), line);
	return true;
}

static void test_memory(void)
{
	static char report[MAX_REPORT];
	unsigned int leaked = 0;
	char line[256];
	FILE *stream;

	sleep(MIN_AGE);
	/* kmemleak only reports objects that have not changed since the scan before */
	put(KMEMLEAK, "scan");
	put(KMEMLEAK, "scan");
	stream = fopen(KMEMLEAK, "re");
	if (!stream)
		die("opening " KMEMLEAK " failed");
	while (fgets(line, sizeof(line), stream)) {
		if (!strncmp(line, "unreferenced object", strlen("unreferenced object"))) {
			leaked += judge_report(report);
			*report = 0;
		}
		if (strlen(report) + strlen(line) < sizeof(report))
			strcat(report, line);
	}
	leaked += judge_report(report);
	fclose(stream);
	result(!leaked, "no memory is left that nobody refers to; kmemleak reports %u objects",
	       leaked);
}

void leaks_test(const struct leaks *start)
{
	test_objects(start);
	test_memory();
}
