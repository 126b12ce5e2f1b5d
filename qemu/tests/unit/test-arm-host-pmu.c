/*
 * Reading the PMUs of an Arm host from sysfs, and choosing among them
 *
 * The hosts are folders that look like sysfs, since no machine at hand has
 * three PMUs, holes between its CPUs, or a kernel that writes nonsense.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include <glib/gstdio.h>
#include "qapi/error.h"
#include "target/arm/host-pmu.h"

#define MAX_SOURCES 6
#define EVENT_SOURCES "bus/event_source/devices"
#define CPUS "devices/system/cpu"

/* An event source; a file that is NULL does not exist. */
typedef struct Source {
    const char *name;
    const char *cpus;
    const char *type;
    const char *cpumask;
} Source;

typedef struct ChooseCase {
    const char *name;
    Source sources[MAX_SOURCES];
    /* The CPUs of each thread, separated by blanks */
    const char *threads;
    bool fixed_counters;
    ArmPMUBackend backend;
    const char *pmu;
    uint32_t type;
    /* All of them must be part of the error. */
    const char *errors[5];
    /* By default all CPUs that are named above; all those present */
    const char *present;
    const char *online;
    const char *offline;
    bool is_default;
    const char *uncovered;
} ChooseCase;

/* A SoC; the PMUs are NAME=CPUS, separated by blanks, in order of type */
typedef struct Board {
    const char *name;
    const char *cpus;
    const char *first_kind;
    const char *last_kind;
    const char *pmus;
    /* What backs a VM on all CPUs, on those of the first and last kind */
    const char *backends[3];
} Board;

typedef struct ReadCase {
    const char *name;
    Source sources[MAX_SOURCES];
    /* What arm_host_pmus_format() makes of it, or part of the error */
    const char *pmus;
    const char *error;
} ReadCase;

#define A53 { "armv8_cortex_a53", "0-1\n", "8\n" }
#define A72 { "armv8_cortex_a72", "2-3\n", "9\n" }
#define SOFTWARE { "software", NULL, "1\n" }
#define SPE { "arm_spe_0", NULL, "10\n", "0-3\n" }
#define DSU { "arm_dsu_0", NULL, "11\n", "0\n" }

#define FIXED ARM_PMU_BACKEND_FIXED_COUNTERS
#define HOST_PMU ARM_PMU_BACKEND_HOST_PMU
#define REFUSED ARM_PMU_BACKEND_NONE

static const ChooseCase choose_cases[] = {
    {
        "one-cluster", { A53, A72, SOFTWARE }, "0-1", true,
        HOST_PMU, "armv8_cortex_a53", 8
    }, {
        "one-cpu-of-a-cluster", { A53, A72, SOFTWARE }, "3", true,
        HOST_PMU, "armv8_cortex_a72", 9
    }, {
        "needs-no-kernel-support", { A53, A72 }, "2-3", false,
        HOST_PMU, "armv8_cortex_a72", 9
    }, {
        "two-clusters", { A53, A72, SOFTWARE }, "0-3", true, FIXED
    }, {
        "one-cpu-of-each", { A53, A72 }, "1-2", true, FIXED
    }, {
        "homogeneous", { { "armv8_pmuv3_0", "0-3\n", "8\n" }, SOFTWARE },
        "0-3", true, HOST_PMU, "armv8_pmuv3_0", 8, .is_default = true
    }, {
        "homogeneous-pinned", { { "armv8_pmuv3_0", "0-3\n", "8\n" } },
        "2", false, HOST_PMU, "armv8_pmuv3_0", 8, .is_default = true
    }, {
        "homogeneous-offline", { { "armv8_cortex_a72", "0-3\n", "8\n" } },
        "0-1", false, HOST_PMU, "armv8_cortex_a72", 8, .online = "0-1",
        .is_default = true
    }, {
        /* With ACPI it covers CPUs that have been online; 2-3 may differ. */
        "acpi-offline", { { "armv8_pmuv3_0", "0-1\n", "8\n" } },
        "0-1", true, FIXED, .present = "0-3", .online = "0-1"
    }, {
        "acpi-offline-old-kernel", { { "armv8_pmuv3_0", "0-1\n", "8\n" } },
        "0-1", false, HOST_PMU, "armv8_pmuv3_0", 8,
        .present = "0-3", .online = "0-1", .uncovered = "2-3"
    }, {
        "neighbours", { SPE, A53, DSU, A72, SOFTWARE }, "0-3", true, FIXED
    }, {
        /* Only CPUs 0-1 have a PMU; SPE and DSU are no substitute. */
        "neighbours-do-not-cover", { SPE, A53, DSU }, "0-3", true, REFUSED,
        .errors = { "CPUs 0-3", "2-3 have no PMU",
                    "armv8_cortex_a53 on CPUs 0-1" }
    }, {
        "apple",
        {
            { "apple_icestorm_pmu", "0-3\n", "9\n" },
            { "apple_firestorm_pmu", "4-7\n", "8\n" }
        }, "4-7", true, HOST_PMU, "apple_firestorm_pmu", 8
    }, {
        "apple-both",
        {
            { "apple_blizzard_pmu", "0-3\n", "8\n" },
            { "apple_avalanche_pmu", "4-7\n", "9\n" }
        }, "0,7", true, FIXED
    }, {
        "three-clusters-two-used",
        {
            { "armv8_cortex_a510", "0-3\n", "8\n" },
            { "armv8_cortex_a715", "4-6\n", "9\n" },
            { "armv8_cortex_x3", "7\n", "10\n" }
        }, "4-7", true, FIXED
    }, {
        "three-clusters-one-used",
        {
            { "armv8_cortex_a510", "0-3\n", "8\n" },
            { "armv8_cortex_a715", "4-6\n", "9\n" },
            { "armv8_cortex_x3", "7\n", "10\n" }
        }, "7", true, HOST_PMU, "armv8_cortex_x3", 10
    }, {
        /* Firmware may number the CPUs of a cluster as it likes. */
        "holes",
        {
            { "armv8_cortex_a720", "0,5-11\n", "9\n" },
            { "armv8_cortex_a520", "1-4\n", "8\n" }
        }, "0,6,11", true, HOST_PMU, "armv8_cortex_a720", 9
    }, {
        "offline-cluster", { A53, A72 }, "0-3", true, FIXED, .online = "0-1"
    }, {
        "offline-cluster-old-kernel", { A53, A72 }, "0-3", false,
        HOST_PMU, "armv8_cortex_a53", 8, .online = "0-1", .uncovered = "2-3"
    }, {
        /* What libvirt sets for a vCPU without vcpupin: the CPUs online */
        "offline-cluster-all-online", { A53, A72 }, "0-1", true,
        FIXED, .online = "0-1"
    }, {
        "offline-cluster-in-a-list", { A53, A72 }, "0-1", true,
        FIXED, .online = "0-1", .offline = "2-3,8-15\n"
    }, {
        /* lxcfs lists the CPUs of a cpuset as those online. */
        "cpuset-of-a-container", { A53, A72 }, "2-3", true,
        HOST_PMU, "armv8_cortex_a72", 9, .present = "0-3", .online = "2-3",
        .offline = "\n"
    }, {
        /* With a quota, lxcfs numbers the CPUs anew. */
        "numbers-of-a-container", { A53, A72 }, "2-3", true,
        HOST_PMU, "armv8_cortex_a72", 9, .present = "0-3", .online = "0",
        .offline = "\n"
    }, {
        "offline-cluster-not-allowed", { A53, A72 }, "0-1", true,
        HOST_PMU, "armv8_cortex_a53", 8, .online = "0-2"
    }, {
        "offline-cpu-of-another-pmu", { A53, A72 }, "1-2", true,
        FIXED, .online = "0-1,3"
    }, {
        "offline-cpu-of-another-pmu-old-kernel", { A53, A72 }, "1-2", false,
        HOST_PMU, "armv8_cortex_a53", 8, .online = "0-1,3", .uncovered = "2"
    }, {
        "offline-cpu-of-that-pmu", { A53, A72 }, "2-3", true,
        HOST_PMU, "armv8_cortex_a72", 9, .online = "0-2"
    }, {
        /* A mask of all CPUs that the kernel is configured for */
        "possible-cpus", { A53, A72 }, "0-255", true, FIXED,
        .present = "0-3"
    }, {
        "possible-cpus-of-one-pmu", { A53, A72 }, "2-3,8-255", true,
        HOST_PMU, "armv8_cortex_a72", 9, .present = "0-3"
    }, {
        "offline-cpus-alone", { A53, A72 }, "2-3", true, REFUSED,
        .online = "0-1", .errors = { "none of the host's CPUs" }
    }, {
        "a-thread-each", { A53, A72 }, "0 3", true, FIXED
    }, {
        "two-threads-on-one-pmu", { A53, A72 }, "2 2-3", true,
        HOST_PMU, "armv8_cortex_a72", 9
    }, {
        /* Neither may run everywhere, so neither is widened. */
        "two-threads-and-offline", { A53, A72 }, "0 1", true,
        HOST_PMU, "armv8_cortex_a53", 8, .online = "0-1"
    }, {
        "one-of-two-everywhere", { A53, A72 }, "0 0-1", true,
        FIXED, .online = "0-1"
    }, {
        /* PMUs that share an interrupt claim the same CPUs. */
        "shared-interrupt",
        {
            { "armv8_cortex_a55", "0-7\n", "9\n" },
            { "armv8_cortex_a78", "0-7\n", "8\n" }
        }, "0-7", true, HOST_PMU, "armv8_cortex_a78", 8
    }, {
        "shared-by-two-of-three",
        {
            { "armv8_cortex_a55", "0-3\n", "8\n" },
            { "armv8_cortex_a78", "4-7\n", "10\n" },
            { "armv8_cortex_x1", "4-7\n", "9\n" }
        }, "4,7", true, HOST_PMU, "armv8_cortex_x1", 9
    }, {
        "overlap-across", { A53, { "other", "1-3\n", "9\n" } }, "0-3",
        true, FIXED
    }, {
        /* Offline CPUs without a PMU cannot be what refuses a start. */
        "offline-cpu-without-pmu", { A53 }, "0-3", true, FIXED,
        .present = "0-3", .online = "0-1"
    }, {
        /* With ACPI, a PMU gets its CPUs when they come online. */
        "pmu-without-cpus",
        {
            { "armv8_pmuv3_0", "0-3\n", "8\n" },
            { "armv8_pmuv3_1", "\n", "9\n" }
        }, "0-3", false, HOST_PMU, "armv8_pmuv3_0", 8, .is_default = true
    }, {
        "cpu-without-pmu", { A53, A72 }, "2-5", true, REFUSED,
        .errors = { "CPUs 2-5", "4-5 have no PMU", "armv8_cortex_a53",
                    "armv8_cortex_a72", "pin" }
    }, {
        "no-pmu", { SOFTWARE, SPE }, "0-3", true, REFUSED,
        .errors = { "no PMU", EVENT_SOURCES }
    }, {
        "no-cpus", { A53, A72 }, "", true, REFUSED,
        .errors = { "none of the host's CPUs" }
    }, {
        "old-kernel", { A53, A72 }, "1-2", false, REFUSED,
        .errors = { "CPUs 1-2", "armv8_cortex_a53 on CPUs 0-1",
                    "armv8_cortex_a72 on CPUs 2-3",
                    "KVM_ARM_VCPU_PMU_V3_FIXED_COUNTERS_ONLY",
                    "either pin all vCPU threads" }
    }, {
        "1024-cpus",
        {
            { "armv8_pmuv3_1", "0-511\n", "8\n" },
            { "armv8_pmuv3_0", "512-1023\n", "9\n" }
        }, "600,1023", true, HOST_PMU, "armv8_pmuv3_0", 9
    }, {
        "1024-cpus-both",
        {
            { "armv8_pmuv3_1", "0-511\n", "8\n" },
            { "armv8_pmuv3_0", "512-1023\n", "9\n" }
        }, "511-512", true, FIXED
    },
};

static const ReadCase read_cases[] = {
    {
        "order-of-cpus",
        {
            { "armv8_pmuv3_10", "0-1", "8" },
            { "armv8_pmuv3_9", "2", "9" },
            { "armv8_pmuv3_0", "3,5-6", "10" }
        },
        "armv8_pmuv3_10 on CPUs 0-1, armv8_pmuv3_9 on CPUs 2, "
        "armv8_pmuv3_0 on CPUs 3,5-6"
    }, {
        "last-cpu", { { "pmu", "8191\n", "8\n" } }, "pmu on CPUs 8191"
    }, {
        "none", { SOFTWARE, SPE, DSU }, ""
    }, {
        "garbled-cpus", { A53, { "bad", "0-x\n", "9\n" } },
        .error = "bad/cpus: '0-x' is not a list of CPUs below 8192"
    }, {
        "negative-cpu", { { "bad", "-1\n", "9\n" } }, .error = "bad/cpus: '-1'"
    }, {
        "reversed-range", { { "bad", "3-1\n", "9\n" } },
        .error = "bad/cpus: '3-1'"
    }, {
        "trailing-comma", { { "bad", "0,\n", "9\n" } },
        .error = "bad/cpus: '0,'"
    }, {
        "double-comma", { { "bad", "0,,1\n", "9\n" } },
        .error = "bad/cpus: '0,,1'"
    }, {
        "stride", { { "bad", "0-3:1/2\n", "9\n" } },
        .error = "bad/cpus: '0-3:1/2'"
    }, {
        "cpu-out-of-range", { { "bad", "0-8192\n", "9\n" } },
        .error = "bad/cpus: '0-8192'"
    }, {
        "cpu-overflow", { { "bad", "99999999999999999999\n", "9\n" } },
        .error = "bad/cpus: '99999999999999999999'"
    }, {
        "missing-type", { { "bad", "0-1\n", NULL } },
        .error = "bad/type"
    }, {
        "garbled-type", { { "bad", "0-1\n", "eight\n" } },
        .error = "bad/type: 'eight' is not a perf event type"
    }, {
        "empty-type", { { "bad", "0-1\n", "" } },
        .error = "bad/type: '' is not a perf event type"
    }, {
        "type-overflow", { { "bad", "0-1\n", "2147483648\n" } },
        .error = "bad/type: '2147483648'"
    }, {
        "overlap", { A53, { "another", "0-2\n", "9\n" } },
        "another on CPUs 0-2, armv8_cortex_a53 on CPUs 0-1"
    },
};

#include "test-arm-host-pmu-boards.h"

static void write_file(const char *dir, const char *file, const char *text)
{
    g_autofree char *path = g_build_filename(dir, file, NULL);

    if (text) {
        g_assert_true(g_file_set_contents(path, text, -1, NULL));
    }
}

static void write_cpus(const char *sysfs, const char *file, const char *list)
{
    g_autofree char *dir = g_build_filename(sysfs, CPUS, NULL);

    g_assert_cmpint(g_mkdir_with_parents(dir, 0755), ==, 0);
    write_file(dir, file, list);
}

static char *make_sysfs(const Source *sources)
{
    char *sysfs = g_dir_make_tmp("test-arm-host-pmu-XXXXXX", NULL);

    g_assert_nonnull(sysfs);
    for (int i = 0; i < MAX_SOURCES && sources[i].name; i++) {
        g_autofree char *dir = g_build_filename(sysfs, EVENT_SOURCES,
                                                sources[i].name, NULL);

        g_assert_cmpint(g_mkdir_with_parents(dir, 0755), ==, 0);
        write_file(dir, "cpus", sources[i].cpus);
        write_file(dir, "type", sources[i].type);
        write_file(dir, "cpumask", sources[i].cpumask);
    }
    return sysfs;
}

static void remove_tree(const char *path)
{
    GDir *dir = g_dir_open(path, 0, NULL);
    const char *name;

    if (dir) {
        while ((name = g_dir_read_name(dir))) {
            g_autofree char *child = g_build_filename(path, name, NULL);

            remove_tree(child);
        }
        g_dir_close(dir);
    }
    g_assert_cmpint(g_remove(path), ==, 0);
}

static void remove_sysfs(char *sysfs)
{
    remove_tree(sysfs);
    g_free(sysfs);
}

/* Shows the text when the assertion fails. */
static void assert_contains(const char *text, const char *part)
{
    if (!strstr(text, part)) {
        g_error("'%s' not found in '%s'", part, text);
    }
}

/* An error is one sentence: a line without a full stop, as the API asks. */
static void assert_is_sentence(const char *text)
{
    g_assert_null(strchr(text, '\n'));
    g_assert_false(g_str_has_suffix(text, "."));
    g_assert_true(g_ascii_isupper(text[0]));
}

static void parse(const char *list, ArmHostCPUSet *set)
{
    g_assert_true(arm_host_cpu_set_parse(list, set, &error_abort));
}

/* A CPU list that has all CPUs of the lists */
static char *join_lists(const Source *sources, const char *threads)
{
    g_autofree char *text = g_strdelimit(g_strdup(threads), " ", ',');
    GString *lists = g_string_new(text);

    for (int i = 0; i < MAX_SOURCES && sources[i].name; i++) {
        if (sources[i].cpus && *sources[i].cpus != '\n') {
            g_string_append_printf(lists, "%s%s", lists->len ? "," : "",
                                   sources[i].cpus);
            lists->str[strcspn(lists->str, "\n")] = 0;
            lists->len = strlen(lists->str);
        }
    }
    return g_string_free(lists, false);
}

static void read_cpus(const char *sysfs, const char *present,
                      const char *online, const char *offline,
                      const char *threads, ArmHostCPUs *cpus)
{
    g_auto(GStrv) lists = g_strsplit(threads, " ", -1);

    write_cpus(sysfs, "present", present);
    write_cpus(sysfs, "online", online);
    if (offline) {
        write_cpus(sysfs, "offline", offline);
    }
    g_assert_true(arm_host_cpus_read(sysfs, cpus, &error_abort));
    for (int i = 0; lists[i]; i++) {
        ArmHostCPUSet set;

        parse(lists[i], &set);
        arm_host_cpus_allow(cpus, &set);
    }
}

static void assert_refusal(Error *err, const ChooseCase *c)
{
    g_assert_nonnull(err);
    assert_is_sentence(error_get_pretty(err));
    for (int i = 0; i < ARRAY_SIZE(c->errors) && c->errors[i]; i++) {
        assert_contains(error_get_pretty(err), c->errors[i]);
    }
    error_free(err);
}

static void test_choose(const void *data)
{
    const ChooseCase *c = data;
    char *sysfs = make_sysfs(c->sources);
    g_autoptr(GPtrArray) pmus = arm_host_pmus_read(sysfs, &error_abort);
    g_autofree char *all = join_lists(c->sources, c->threads);
    const char *present = c->present ?: all;
    g_autofree char *uncovered = NULL;
    ArmHostPMUChoice choice;
    ArmHostCPUs cpus;
    Error *err = NULL;

    read_cpus(sysfs, present, c->online ?: present, c->offline, c->threads,
              &cpus);
    if (arm_host_pmus_choose(pmus, &cpus, c->fixed_counters, &choice, &err)) {
        g_assert_null(err);
    } else {
        assert_refusal(err, c);
    }
    g_assert_cmpint(choice.backend, ==, c->backend);
    g_assert_cmpstr(choice.pmu ? choice.pmu->name : NULL, ==, c->pmu);
    g_assert_cmpint(choice.pmu ? choice.pmu->type : 0, ==, c->type);
    g_assert_cmpint(choice.is_default, ==, c->is_default);
    uncovered = arm_host_cpu_set_format(&choice.uncovered);
    g_assert_cmpstr(uncovered, ==, c->uncovered ?: "");
    remove_sysfs(sysfs);
}

static char *make_board(const Board *board)
{
    static const char * const types[] = { "8", "9", "10", "11" };
    g_auto(GStrv) pmus = g_strsplit(board->pmus, " ", -1);
    Source sources[MAX_SOURCES] = { SOFTWARE };

    for (int i = 0; pmus[i]; i++) {
        char *cpus = strchr(pmus[i], '=');

        g_assert_cmpint(i, <, ARRAY_SIZE(types));
        *cpus = 0;
        sources[i + 1] = (Source) { pmus[i], cpus + 1, types[i] };
    }
    return make_sysfs(sources);
}

/* Returns: as Board has it */
static const char *choose_on_board(const char *sysfs, const GPtrArray *pmus,
                                   const char *present, const char *threads,
                                   bool fixed_counters)
{
    ArmHostPMUChoice choice;
    ArmHostCPUs cpus;

    read_cpus(sysfs, present, present, NULL, threads, &cpus);
    if (!arm_host_pmus_choose(pmus, &cpus, fixed_counters, &choice, NULL)) {
        return "refused";
    }
    return choice.pmu ? choice.pmu->name : "fixed-counters";
}

/* Without the mode the choice is another one where it was that. */
static void test_board(const void *data)
{
    const Board *board = data;
    const char *threads[] = { board->cpus, board->first_kind,
                              board->last_kind };
    char *sysfs = make_board(board);
    g_autoptr(GPtrArray) pmus = arm_host_pmus_read(sysfs, &error_abort);

    for (int i = 0; i < ARRAY_SIZE(threads); i++) {
        const char *expected = board->backends[i];

        g_test_message("%s, CPUs %s: %s", board->name, threads[i], expected);
        g_assert_cmpstr(choose_on_board(sysfs, pmus, board->cpus, threads[i],
                                        true), ==, expected);
        if (g_str_equal(expected, "fixed-counters")) {
            expected = "refused";
        }
        g_assert_cmpstr(choose_on_board(sysfs, pmus, board->cpus, threads[i],
                                        false), ==, expected);
    }
    remove_sysfs(sysfs);
}

static void test_read(const void *data)
{
    const ReadCase *c = data;
    char *sysfs = make_sysfs(c->sources);
    Error *err = NULL;
    g_autoptr(GPtrArray) pmus = arm_host_pmus_read(sysfs, &err);

    if (c->error) {
        g_assert_null(pmus);
        g_assert_nonnull(err);
        assert_is_sentence(error_get_pretty(err));
        assert_contains(error_get_pretty(err), c->error);
        error_free(err);
    } else {
        g_autofree char *text = NULL;

        g_assert_null(err);
        text = arm_host_pmus_format(pmus);
        g_assert_cmpstr(text, ==, c->pmus);
    }
    remove_sysfs(sysfs);
}

static void assert_read_fails(const char *sysfs, const char *part)
{
    Error *err = NULL;

    g_assert_null(arm_host_pmus_read(sysfs, &err));
    g_assert_nonnull(err);
    assert_is_sentence(error_get_pretty(err));
    assert_contains(error_get_pretty(err), part);
    error_free(err);
}

static void test_no_sysfs(void)
{
    char *sysfs = make_sysfs((const Source[MAX_SOURCES]) { });

    assert_read_fails(sysfs, EVENT_SOURCES);
    remove_sysfs(sysfs);
}

/* A folder in place of the file cannot be read by anybody, root included. */
static void test_unreadable(const void *data)
{
    const char *file = data;
    const Source source = {
        "armv8_cortex_a53",
        g_str_equal(file, "cpus") ? NULL : "0-1\n",
        g_str_equal(file, "type") ? NULL : "8\n"
    };
    char *sysfs = make_sysfs((const Source[MAX_SOURCES]) { source });
    g_autofree char *path = g_build_filename(sysfs, EVENT_SOURCES, source.name,
                                             file, NULL);

    g_assert_cmpint(g_mkdir(path, 0755), ==, 0);
    assert_read_fails(sysfs, file);
    remove_sysfs(sysfs);
}

/* sysfs has links to folders elsewhere; dead ones and files are ignored. */
static void test_links(void)
{
    char *sysfs = make_sysfs((const Source[MAX_SOURCES]) { A53, A72 });
    g_autofree char *devices = g_build_filename(sysfs, EVENT_SOURCES, NULL);
    g_autofree char *real = g_build_filename(devices, "armv8_cortex_a53",
                                             NULL);
    g_autofree char *moved = g_build_filename(sysfs, "a53", NULL);
    g_autofree char *dead = g_build_filename(devices, "dead", NULL);
    g_autofree char *text = NULL;
    g_autoptr(GPtrArray) pmus = NULL;

    g_assert_cmpint(g_rename(real, moved), ==, 0);
    g_assert_cmpint(symlink(moved, real), ==, 0);
    g_assert_cmpint(symlink("/nonexistent", dead), ==, 0);
    write_file(devices, "file", "0-3\n");

    pmus = arm_host_pmus_read(sysfs, &error_abort);
    text = arm_host_pmus_format(pmus);
    g_assert_cmpstr(text, ==, "armv8_cortex_a53 on CPUs 0-1, "
                    "armv8_cortex_a72 on CPUs 2-3");

    /* remove_tree() would follow the link. */
    g_assert_cmpint(g_unlink(real), ==, 0);
    remove_sysfs(sysfs);
}

static void test_cpu_set_round_trip(void)
{
    static const char * const lists[] = {
        "", "0", "0-1", "0,2", "0-3,5,7-9", "63-64", "1023", "0-8191",
    };

    for (int i = 0; i < ARRAY_SIZE(lists); i++) {
        g_autofree char *text = NULL;
        ArmHostCPUSet set;

        g_assert_true(arm_host_cpu_set_parse(lists[i], &set, &error_abort));
        text = arm_host_cpu_set_format(&set);
        g_assert_cmpstr(text, ==, lists[i]);
    }
}

static void test_coverage(void)
{
    char *sysfs = make_sysfs((const Source[MAX_SOURCES]) { A53, A72 });
    g_autoptr(GPtrArray) pmus = arm_host_pmus_read(sysfs, &error_abort);
    ArmHostCPUs cpus;
    Error *err = NULL;

    read_cpus(sysfs, "0-4", "0-3", NULL, "0-4", &cpus);
    g_assert_true(arm_host_pmus_check_coverage(pmus, &cpus, &error_abort));
    read_cpus(sysfs, "0-4", "0-4", NULL, "3-4", &cpus);
    g_assert_false(arm_host_pmus_check_coverage(pmus, &cpus, &err));
    assert_is_sentence(error_get_pretty(err));
    assert_contains(error_get_pretty(err), "4 have no PMU");
    error_free(err);
    remove_sysfs(sysfs);
}

/* In a container sysfs may tell less than the affinities of threads. */
static void test_more_online(void)
{
    char *sysfs = make_sysfs((const Source[MAX_SOURCES]) { });
    g_autofree char *present = NULL;
    g_autofree char *online = NULL;
    ArmHostCPUSet set;
    ArmHostCPUs cpus;

    read_cpus(sysfs, "0-3", "0-1", NULL, "", &cpus);
    parse("5", &set);
    arm_host_cpus_add_online(&cpus, &set);
    present = arm_host_cpu_set_format(&cpus.present);
    online = arm_host_cpu_set_format(&cpus.online);
    g_assert_cmpstr(present, ==, "0-3,5");
    g_assert_cmpstr(online, ==, "0-1,5");
    remove_sysfs(sysfs);
}

static void assert_cpus_fail(const char *sysfs, const char *part)
{
    ArmHostCPUs cpus;
    Error *err = NULL;

    g_assert_false(arm_host_cpus_read(sysfs, &cpus, &err));
    g_assert_nonnull(err);
    assert_is_sentence(error_get_pretty(err));
    assert_contains(error_get_pretty(err), part);
    error_free(err);
}

static void test_cpus_unreadable(void)
{
    char *sysfs = make_sysfs((const Source[MAX_SOURCES]) { });

    assert_cpus_fail(sysfs, "Cannot read the host's CPUs");
    write_cpus(sysfs, "online", "0-3\n");
    assert_cpus_fail(sysfs, CPUS "/present");
    write_cpus(sysfs, "present", "none\n");
    assert_cpus_fail(sysfs, CPUS "/present: 'none' is not a list of CPUs");
    write_cpus(sysfs, "present", "0-3\n");
    write_cpus(sysfs, "offline", "all\n");
    assert_cpus_fail(sysfs, CPUS "/offline: 'all' is not a list of CPUs");
    remove_sysfs(sysfs);
}

/* The part of /proc/PID/task/TID/status that is read, and what comes of it */
static const struct {
    const char *status;
    const char *cpus;
    const char *error;
} status_cases[] = {
    { "Name:\tqemu\nCpus_allowed_list:\t0-3,8\nMems_allowed:\t0\n", "0-3,8" },
    { "Name:\tqemu\nCpus_allowed_list:\t\n", "" },
    { "Name:\tqemu\nCpus_allowed:\tff\n",
      .error = "42/status has no line Cpus_allowed_list" },
    { "Name:\tqemu\nCpus_allowed_list:\tall\n",
      .error = "42/status: 'all' is not a list of CPUs below 8192" },
    { NULL, .error = "Cannot read the CPUs of a vCPU thread: " },
};

static void test_thread_cpus(void)
{
    for (int i = 0; i < ARRAY_SIZE(status_cases); i++) {
        char *proc = g_dir_make_tmp("test-arm-host-pmu-XXXXXX", NULL);
        g_autofree char *dir = g_build_filename(proc, "task", "42", NULL);
        ArmHostCPUSet set;
        Error *err = NULL;

        g_assert_cmpint(g_mkdir_with_parents(dir, 0755), ==, 0);
        write_file(dir, "status", status_cases[i].status);
        if (arm_host_thread_cpus_read(proc, 42, &set, &err)) {
            g_autofree char *list = arm_host_cpu_set_format(&set);

            g_assert_cmpstr(list, ==, status_cases[i].cpus);
        } else {
            g_assert_nonnull(status_cases[i].error);
            assert_is_sentence(error_get_pretty(err));
            assert_contains(error_get_pretty(err), status_cases[i].error);
            error_free(err);
        }
        remove_sysfs(proc);
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);

    g_test_add_func("/arm/host-pmu/cpu-set/round-trip",
                    test_cpu_set_round_trip);
    for (int i = 0; i < ARRAY_SIZE(read_cases); i++) {
        g_autofree char *path = g_strdup_printf("/arm/host-pmu/read/%s",
                                                read_cases[i].name);

        g_test_add_data_func(path, &read_cases[i], test_read);
    }
    g_test_add_func("/arm/host-pmu/read/no-sysfs", test_no_sysfs);
    g_test_add_data_func("/arm/host-pmu/read/unreadable-cpus", "cpus",
                         test_unreadable);
    g_test_add_data_func("/arm/host-pmu/read/unreadable-type", "type",
                         test_unreadable);
    g_test_add_func("/arm/host-pmu/read/links", test_links);
    g_test_add_func("/arm/host-pmu/coverage", test_coverage);
    g_test_add_func("/arm/host-pmu/cpus/more-online", test_more_online);
    g_test_add_func("/arm/host-pmu/cpus/unreadable", test_cpus_unreadable);
    g_test_add_func("/arm/host-pmu/cpus/thread", test_thread_cpus);
    for (int i = 0; i < ARRAY_SIZE(choose_cases); i++) {
        g_autofree char *path = g_strdup_printf("/arm/host-pmu/choose/%s",
                                                choose_cases[i].name);

        g_test_add_data_func(path, &choose_cases[i], test_choose);
    }
    for (int i = 0; i < ARRAY_SIZE(boards); i++) {
        g_autofree char *path = g_strdup_printf("/arm/host-pmu/board/%s",
                                                boards[i].name);

        g_test_add_data_func(path, &boards[i], test_board);
    }
    return g_test_run();
}
