/*
 * PMUs of an Arm host: which of its CPUs each one covers, and which of them
 * can back the PMU of a VM
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qemu/ctype.h"
#include "qemu/cutils.h"
#include "qapi/error.h"
#include "target/arm/host-pmu.h"

#define EVENT_SOURCES "bus/event_source/devices"
#define CPUS "devices/system/cpu"
#define CPUS_ALLOWED "\nCpus_allowed_list:"

static bool parse_cpu(const char *str, const char **end, unsigned int *cpu)
{
    /* strtoul() would take leading blanks and signs. */
    return qemu_isdigit(*str) && !qemu_strtoui(str, end, 10, cpu) &&
           *cpu < ARM_HOST_MAX_CPUS;
}

/* Parses "N" or "N-M" and leaves @list behind it. */
static bool parse_range(const char **list, ArmHostCPUSet *set)
{
    const char *p = *list;
    unsigned int first, last;

    if (!parse_cpu(p, &p, &first)) {
        return false;
    }
    last = first;
    if (*p == '-' && (!parse_cpu(p + 1, &p, &last) || last < first)) {
        return false;
    }
    bitmap_set(set->cpus, first, last - first + 1);
    *list = p;
    return true;
}

bool arm_host_cpu_set_parse(const char *list, ArmHostCPUSet *set,
                            Error **errp)
{
    g_autofree char *stripped = g_strstrip(g_strdup(list));
    const char *p = stripped;

    bitmap_zero(set->cpus, ARM_HOST_MAX_CPUS);
    while (*p) {
        if (!parse_range(&p, set) || (*p && *p != ',') ||
            (*p == ',' && !p[1])) {
            error_setg(errp, "'%s' is not a list of CPUs below %d", stripped,
                       ARM_HOST_MAX_CPUS);
            return false;
        }
        p += *p == ',';
    }
    return true;
}

char *arm_host_cpu_set_format(const ArmHostCPUSet *set)
{
    GString *list = g_string_new(NULL);
    unsigned long first, end = 0;

    while ((first = find_next_bit(set->cpus, ARM_HOST_MAX_CPUS, end)) <
           ARM_HOST_MAX_CPUS) {
        end = find_next_zero_bit(set->cpus, ARM_HOST_MAX_CPUS, first);
        g_string_append_printf(list, "%s%lu", list->len ? "," : "", first);
        if (end - first > 1) {
            g_string_append_printf(list, "-%lu", end - 1);
        }
    }
    return g_string_free(list, false);
}

static void host_pmu_free(gpointer data)
{
    ArmHostPMU *pmu = data;

    g_free(pmu->name);
    g_free(pmu);
}

/*
 * Reads @file of the PMU's folder @dir. A missing file is an error, too, but
 * one that the caller can tell from the others by *@missing.
 */
static char *read_pmu_file(const char *dir, const char *file, bool *missing,
                           Error **errp)
{
    g_autofree char *path = g_build_filename(dir, file, NULL);
    g_autoptr(GError) err = NULL;
    char *contents;

    if (g_file_get_contents(path, &contents, NULL, &err)) {
        return contents;
    }
    *missing = g_error_matches(err, G_FILE_ERROR, G_FILE_ERROR_NOENT) ||
               g_error_matches(err, G_FILE_ERROR, G_FILE_ERROR_NOTDIR);
    error_setg(errp, "Cannot read the host's PMUs: %s", err->message);
    return NULL;
}

static bool read_pmu_cpus(ArmHostPMU *pmu, const char *dir, bool *missing,
                          Error **errp)
{
    ERRP_GUARD();
    g_autofree char *list = read_pmu_file(dir, "cpus", missing, errp);

    if (!list) {
        return false;
    }
    if (!arm_host_cpu_set_parse(list, &pmu->cpus, errp)) {
        error_prepend(errp, "Cannot read the host's PMUs: %s/cpus: ", dir);
        return false;
    }
    return true;
}

static bool read_pmu_type(ArmHostPMU *pmu, const char *dir, Error **errp)
{
    bool missing;
    g_autofree char *type = read_pmu_file(dir, "type", &missing, errp);

    if (!type) {
        return false;
    }
    g_strstrip(type);
    /* KVM takes the type as an int. */
    if (!qemu_isdigit(*type) || qemu_strtoui(type, NULL, 10, &pmu->type) ||
        pmu->type > INT_MAX) {
        error_setg(errp, "Cannot read the host's PMUs: %s/type: '%s' is not "
                   "a perf event type", dir, type);
        return false;
    }
    return true;
}

/*
 * Adds the event source @name to @pmus if it is the PMU of CPUs. Only those
 * have "cpus"; DSU, SPE, CMN and so on have "cpumask", which names the CPUs
 * to open events on.
 */
static bool read_event_source(GPtrArray *pmus, const char *devices,
                              const char *name, Error **errp)
{
    g_autofree char *dir = g_build_filename(devices, name, NULL);
    ArmHostPMU *pmu = g_new0(ArmHostPMU, 1);
    bool missing = false;
    Error *err = NULL;

    pmu->name = g_strdup(name);
    if (!read_pmu_cpus(pmu, dir, &missing, &err)) {
        host_pmu_free(pmu);
        if (missing) {
            error_free(err);
            return true;
        }
        error_propagate(errp, err);
        return false;
    }
    if (bitmap_empty(pmu->cpus.cpus, ARM_HOST_MAX_CPUS)) {
        host_pmu_free(pmu);
        return true;
    }
    if (!read_pmu_type(pmu, dir, errp)) {
        host_pmu_free(pmu);
        return false;
    }
    g_ptr_array_add(pmus, pmu);
    return true;
}

static int compare_pmus(gconstpointer a, gconstpointer b)
{
    const ArmHostPMU *pmu_a = *(ArmHostPMU * const *)a;
    const ArmHostPMU *pmu_b = *(ArmHostPMU * const *)b;
    unsigned long first_a = find_first_bit(pmu_a->cpus.cpus,
                                           ARM_HOST_MAX_CPUS);
    unsigned long first_b = find_first_bit(pmu_b->cpus.cpus,
                                           ARM_HOST_MAX_CPUS);

    if (first_a != first_b) {
        return first_a < first_b ? -1 : 1;
    }
    return strcmp(pmu_a->name, pmu_b->name);
}

GPtrArray *arm_host_pmus_read(const char *sysfs, Error **errp)
{
    g_autofree char *devices = g_build_filename(sysfs, EVENT_SOURCES, NULL);
    g_autoptr(GPtrArray) pmus = g_ptr_array_new_with_free_func(host_pmu_free);
    g_autoptr(GError) err = NULL;
    g_autoptr(GDir) dir = g_dir_open(devices, 0, &err);
    const char *name;

    if (!dir) {
        error_setg(errp, "Cannot read the host's PMUs: %s", err->message);
        return NULL;
    }
    while ((name = g_dir_read_name(dir))) {
        if (!read_event_source(pmus, devices, name, errp)) {
            return NULL;
        }
    }
    g_ptr_array_sort(pmus, compare_pmus);
    return g_steal_pointer(&pmus);
}

char *arm_host_pmus_format(const GPtrArray *pmus)
{
    GString *str = g_string_new(NULL);

    for (guint i = 0; i < pmus->len; i++) {
        const ArmHostPMU *pmu = g_ptr_array_index(pmus, i);
        g_autofree char *cpus = arm_host_cpu_set_format(&pmu->cpus);

        g_string_append_printf(str, "%s%s on CPUs %s", i ? ", " : "",
                               pmu->name, cpus);
    }
    return g_string_free(str, false);
}

/* Parses the contents @list of the file @path. */
static bool parse_cpus(const char *path, const char *list, ArmHostCPUSet *set,
                       Error **errp)
{
    ERRP_GUARD();

    if (!arm_host_cpu_set_parse(list, set, errp)) {
        error_prepend(errp, "Cannot read the host's CPUs: %s: ", path);
        return false;
    }
    return true;
}

static bool read_cpus(const char *sysfs, const char *file, ArmHostCPUSet *set,
                      Error **errp)
{
    g_autofree char *path = g_build_filename(sysfs, CPUS, file, NULL);
    g_autofree char *list = NULL;
    g_autoptr(GError) err = NULL;

    if (!g_file_get_contents(path, &list, NULL, &err)) {
        error_setg(errp, "Cannot read the host's CPUs: %s", err->message);
        return false;
    }
    return parse_cpus(path, list, set, errp);
}

static void add_cpus(ArmHostCPUSet *set, const ArmHostCPUSet *more)
{
    bitmap_or(set->cpus, set->cpus, more->cpus, ARM_HOST_MAX_CPUS);
}

/* Returns: whether there are any */
static bool get_cpus_outside(ArmHostCPUSet *rest, const ArmHostCPUSet *set,
                             const ArmHostCPUSet *of)
{
    return bitmap_andnot(rest->cpus, set->cpus, of->cpus, ARM_HOST_MAX_CPUS);
}

/*
 * In a container "online" can be a file of lxcfs, which lists the CPUs that
 * the container may use.  Its "offline" is the kernel's, if it can be read.
 */
static bool add_hidden_cpus(const char *sysfs, ArmHostCPUs *cpus,
                            Error **errp)
{
    g_autofree char *path = g_build_filename(sysfs, CPUS, "offline", NULL);
    g_autofree char *list = NULL;
    ArmHostCPUSet set;

    if (!g_file_get_contents(path, &list, NULL, NULL)) {
        return true;
    }
    if (!parse_cpus(path, list, &set, errp)) {
        return false;
    }
    get_cpus_outside(&set, &cpus->present, &set);
    add_cpus(&cpus->online, &set);
    return true;
}

bool arm_host_cpus_read(const char *sysfs, ArmHostCPUs *cpus, Error **errp)
{
    bitmap_zero(cpus->allowed.cpus, ARM_HOST_MAX_CPUS);
    return read_cpus(sysfs, "online", &cpus->online, errp) &&
           read_cpus(sysfs, "present", &cpus->present, errp) &&
           add_hidden_cpus(sysfs, cpus, errp);
}

static bool are_within(const ArmHostCPUSet *set, const ArmHostCPUSet *others)
{
    ArmHostCPUSet rest;

    return !get_cpus_outside(&rest, set, others);
}

void arm_host_cpus_add_online(ArmHostCPUs *cpus, const ArmHostCPUSet *online)
{
    add_cpus(&cpus->online, online);
    add_cpus(&cpus->present, online);
}

void arm_host_cpus_allow(ArmHostCPUs *cpus, const ArmHostCPUSet *allowed)
{
    ArmHostCPUSet set;

    if (are_within(&cpus->online, allowed)) {
        set = cpus->present;
    } else {
        bitmap_and(set.cpus, allowed->cpus, cpus->present.cpus,
                   ARM_HOST_MAX_CPUS);
    }
    add_cpus(&cpus->allowed, &set);
}

bool arm_host_thread_cpus_read(const char *proc, int thread,
                               ArmHostCPUSet *set, Error **errp)
{
    ERRP_GUARD();
    g_autofree char *path = g_strdup_printf("%s/task/%d/status", proc, thread);
    g_autofree char *status = NULL;
    g_autoptr(GError) err = NULL;
    char *list;

    if (!g_file_get_contents(path, &status, NULL, &err)) {
        error_setg(errp, "Cannot read the CPUs of a vCPU thread: %s",
                   err->message);
        return false;
    }
    list = strstr(status, CPUS_ALLOWED);
    if (!list) {
        error_setg(errp, "Cannot read the CPUs of a vCPU thread: %s has no "
                   "line Cpus_allowed_list", path);
        return false;
    }
    list += strlen(CPUS_ALLOWED);
    list[strcspn(list, "\n")] = 0;
    if (!arm_host_cpu_set_parse(list, set, errp)) {
        error_prepend(errp, "Cannot read the CPUs of a vCPU thread: %s: ",
                      path);
        return false;
    }
    return true;
}

static const ArmHostPMU *find_covering_pmu(const GPtrArray *pmus,
                                           const ArmHostCPUSet *cpus)
{
    const ArmHostPMU *found = NULL;

    for (guint i = 0; i < pmus->len; i++) {
        const ArmHostPMU *pmu = g_ptr_array_index(pmus, i);

        if (are_within(cpus, &pmu->cpus) &&
            (!found || pmu->type < found->type)) {
            found = pmu;
        }
    }
    return found;
}

/* Returns: whether there are any */
static bool get_running_cpus(const ArmHostCPUs *cpus, ArmHostCPUSet *running)
{
    return bitmap_and(running->cpus, cpus->allowed.cpus, cpus->online.cpus,
                      ARM_HOST_MAX_CPUS);
}

bool arm_host_pmus_choose_one(const GPtrArray *pmus, const ArmHostCPUs *cpus,
                              ArmHostPMUChoice *choice)
{
    ArmHostCPUSet running;

    memset(choice, 0, sizeof(*choice));
    if (!get_running_cpus(cpus, &running)) {
        return false;
    }
    choice->pmu = find_covering_pmu(pmus, &cpus->allowed);
    if (!choice->pmu) {
        choice->pmu = find_covering_pmu(pmus, &running);
    }
    if (!choice->pmu) {
        return false;
    }
    choice->backend = ARM_PMU_BACKEND_HOST_PMU;
    choice->is_default = pmus->len == 1 &&
                         are_within(&cpus->present, &choice->pmu->cpus);
    get_cpus_outside(&choice->uncovered, &cpus->allowed, &choice->pmu->cpus);
    return true;
}

bool arm_host_pmus_check_coverage(const GPtrArray *pmus,
                                  const ArmHostCPUs *cpus, Error **errp)
{
    g_autofree char *allowed_list = arm_host_cpu_set_format(&cpus->allowed);
    g_autofree char *pmu_list = arm_host_pmus_format(pmus);
    g_autofree char *rest_list = NULL;
    ArmHostCPUSet rest;

    if (!get_running_cpus(cpus, &rest)) {
        error_setg(errp, "The vCPU threads may run on none of the host's "
                   "CPUs that are online");
        return false;
    }
    for (guint i = 0; i < pmus->len; i++) {
        const ArmHostPMU *pmu = g_ptr_array_index(pmus, i);

        get_cpus_outside(&rest, &rest, &pmu->cpus);
    }
    if (bitmap_empty(rest.cpus, ARM_HOST_MAX_CPUS)) {
        return true;
    }
    rest_list = arm_host_cpu_set_format(&rest);
    error_setg(errp, "The vCPU threads may run on the host's CPUs %s, of "
               "which %s have no PMU (the host has %s); pin the vCPU threads "
               "to CPUs with a PMU", allowed_list, rest_list, pmu_list);
    return false;
}

bool arm_host_pmus_choose(const GPtrArray *pmus, const ArmHostCPUs *cpus,
                          bool fixed_counters, ArmHostPMUChoice *choice,
                          Error **errp)
{
    g_autofree char *allowed_list = arm_host_cpu_set_format(&cpus->allowed);
    g_autofree char *pmu_list = arm_host_pmus_format(pmus);

    if (arm_host_pmus_choose_one(pmus, cpus, choice) &&
        (!fixed_counters ||
         bitmap_empty(choice->uncovered.cpus, ARM_HOST_MAX_CPUS))) {
        return true;
    }
    memset(choice, 0, sizeof(*choice));
    if (!pmus->len) {
        error_setg(errp, "The host has no PMU whose CPUs are listed below "
                   EVENT_SOURCES " in sysfs");
        return false;
    }
    if (!arm_host_pmus_check_coverage(pmus, cpus, errp)) {
        return false;
    }
    if (!fixed_counters) {
        error_setg(errp, "The vCPU threads may run on the host's CPUs %s, "
                   "which no single PMU covers (the host has %s), and its "
                   "kernel lacks KVM_ARM_VCPU_PMU_V3_FIXED_COUNTERS_ONLY; "
                   "either pin all vCPU threads to the CPUs of one PMU, or "
                   "use a kernel with that attribute", allowed_list,
                   pmu_list);
        return false;
    }
    choice->backend = ARM_PMU_BACKEND_FIXED_COUNTERS;
    return true;
}
