/*
 * Fuzzes the topology reader and the choice of the QEMU series (libFuzzer): whatever sysfs holds,
 * they either say what is wrong or return PMUs that make sense.
 *
 * An input is text: the CPUs of the vCPU threads on the first line, then an event source a line,
 * NAME|cpus|type, where "-" is a file that does not exist and "/" a folder in its place.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "qemu/osdep.h"
#include <glib/gstdio.h>
#include "qapi/error.h"
#include "target/arm/host-pmu.h"

#define DEVICES		"bus/event_source/devices"
#define MAX_SOURCES	12

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* In memory if /dev/shm can be written: each input makes some folders */
static char *sysfs;
static char *devices;

static void remove_sysfs(void)
{
	g_autofree char *bus = g_build_filename(sysfs, "bus", NULL);
	g_autofree char *source = g_build_filename(bus, "event_source", NULL);

	g_rmdir(devices);
	g_rmdir(source);
	g_rmdir(bus);
	g_rmdir(sysfs);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	const char *shm = "/dev/shm";

	sysfs = g_build_filename(g_access(shm, W_OK) ? g_get_tmp_dir() : shm, "host-pmu-XXXXXX",
				 NULL);
	g_assert_nonnull(g_mkdtemp(sysfs));
	devices = g_build_filename(sysfs, DEVICES, NULL);
	g_assert_cmpint(g_mkdir_with_parents(devices, 0700), ==, 0);
	atexit(remove_sysfs);
	return 0;
}

static void make_file(const char *dir, const char *name, const char *contents)
{
	g_autofree char *path = g_build_filename(dir, name, NULL);

	if (!g_strcmp0(contents, "/")) {
		g_mkdir(path, 0700);
	} else if (contents && strcmp(contents, "-")) {
		g_file_set_contents_full(path, contents, -1, G_FILE_SET_CONTENTS_NONE, 0600, NULL);
	}
}

static void make_source(const char *line)
{
	g_auto(GStrv) fields = g_strsplit(line, "|", 3);
	g_autofree char *dir = NULL;

	/* Skips names that a file system does not accept. */
	if (!fields[0] || !*fields[0] || strchr(fields[0], '/') || strlen(fields[0]) > NAME_MAX) {
		return;
	}
	dir = g_build_filename(devices, fields[0], NULL);
	if (g_mkdir(dir, 0700)) {
		return;
	}
	make_file(dir, "cpus", fields[1]);
	make_file(dir, "type", fields[1] ? fields[2] : NULL);
}

static void remove_sources(void)
{
	g_autoptr(GDir) dir = g_dir_open(devices, 0, NULL);
	const char *name;

	while ((name = g_dir_read_name(dir))) {
		g_autofree char *source = g_build_filename(devices, name, NULL);
		g_autofree char *cpus = g_build_filename(source, "cpus", NULL);
		g_autofree char *type = g_build_filename(source, "type", NULL);

		g_remove(cpus);
		g_remove(type);
		g_rmdir(source);
	}
}

/* A set that is formatted and parsed again is the same. */
static void check_round_trip(const ArmHostCPUSet *set)
{
	g_autofree char *list = arm_host_cpu_set_format(set);
	ArmHostCPUSet again;

	g_assert_true(arm_host_cpu_set_parse(list, &again, &error_abort));
	g_assert_true(bitmap_equal(set->cpus, again.cpus, ARM_HOST_MAX_CPUS));
}

static void check_pmus(const GPtrArray *pmus)
{
	unsigned long last = 0;

	for (guint i = 0; i < pmus->len; i++) {
		const ArmHostPMU *pmu = g_ptr_array_index(pmus, i);
		unsigned long first = find_first_bit(pmu->cpus.cpus, ARM_HOST_MAX_CPUS);

		g_assert_cmpuint(first, <, ARM_HOST_MAX_CPUS);
		g_assert_true(first >= last);
		last = first;
		g_assert_cmpuint(pmu->type, <=, INT_MAX);
		check_round_trip(&pmu->cpus);
	}
}

static bool are_within(const ArmHostCPUSet *set, const ArmHostCPUSet *others)
{
	ArmHostCPUSet rest;

	return !bitmap_andnot(rest.cpus, set->cpus, others->cpus, ARM_HOST_MAX_CPUS);
}

/*
 * The PMU covers all CPUs that a thread may run on, except for offline CPUs, which the choice
 * names.
 */
static void check_one_pmu(const ArmHostCPUs *cpus, const ArmHostPMUChoice *choice)
{
	ArmHostCPUSet either;

	bitmap_or(either.cpus, choice->pmu->cpus.cpus, choice->uncovered.cpus, ARM_HOST_MAX_CPUS);
	g_assert_true(are_within(&cpus->allowed, &either));
	g_assert_false(bitmap_intersects(choice->uncovered.cpus, cpus->online.cpus,
					 ARM_HOST_MAX_CPUS));
	g_assert_true(!choice->is_default || are_within(&cpus->present, &choice->pmu->cpus));
}

static void check_choice(const GPtrArray *pmus, const ArmHostCPUs *cpus, bool fixed_counters)
{
	ArmHostPMUChoice choice;
	Error *err = NULL;
	bool made = arm_host_pmus_choose(pmus, cpus, fixed_counters, &choice, &err);

	g_assert_true(made == (err == NULL));
	g_assert_true(made == (choice.backend != ARM_PMU_BACKEND_NONE));
	g_assert_cmpint(choice.backend == ARM_PMU_BACKEND_HOST_PMU, ==, choice.pmu != NULL);
	g_assert_true(choice.backend != ARM_PMU_BACKEND_FIXED_COUNTERS || fixed_counters);
	if (made) {
		g_assert_true(arm_host_pmus_check_coverage(pmus, cpus, &error_abort));
	}
	if (choice.pmu) {
		check_one_pmu(cpus, &choice);
		g_assert_true(!fixed_counters ||
			      bitmap_empty(choice.uncovered.cpus, ARM_HOST_MAX_CPUS));
	}
	error_free(err);
}

/*
 * Checks a host on which the threads' CPUs are all online (step 1), or some of them are not (step
 * 2).
 */
static void check_choices(const GPtrArray *pmus, const ArmHostCPUSet *threads, unsigned long step)
{
	g_autofree ArmHostCPUs *cpus = g_new0(ArmHostCPUs, 1);
	unsigned long cpu = find_first_bit(threads->cpus, ARM_HOST_MAX_CPUS);

	cpus->present = *threads;
	for (; cpu < ARM_HOST_MAX_CPUS;
	     cpu = find_next_bit(threads->cpus, ARM_HOST_MAX_CPUS, cpu + step)) {
		bitmap_set(cpus->online.cpus, cpu, 1);
	}
	arm_host_cpus_allow(cpus, threads);
	check_choice(pmus, cpus, false);
	check_choice(pmus, cpus, true);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	g_autofree char *text = g_strndup((const char *)data, size);
	g_auto(GStrv) lines = g_strsplit(text, "\n", MAX_SOURCES);
	g_autoptr(GPtrArray) pmus = NULL;
	ArmHostCPUSet vcpus;
	Error *err = NULL;

	for (int i = 1; lines[0] && lines[i]; i++) {
		make_source(lines[i]);
	}
	pmus = arm_host_pmus_read(sysfs, &err);
	remove_sources();
	g_assert_cmpint(pmus == NULL, ==, err != NULL);
	error_free(err);
	err = NULL;
	if (!pmus) {
		return 0;
	}
	check_pmus(pmus);
	if (!arm_host_cpu_set_parse(lines[0] ?: "", &vcpus, &err)) {
		error_free(err);
		return 0;
	}
	check_round_trip(&vcpus);
	check_choices(pmus, &vcpus, 1);
	check_choices(pmus, &vcpus, 2);
	return 0;
}
