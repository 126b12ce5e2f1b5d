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

/* A CPU has one PMU. If two claim it we cannot know which one KVM would use. */
static bool check_disjoint(const GPtrArray *pmus, Error **errp)
{
    for (guint i = 0; i < pmus->len; i++) {
        const ArmHostPMU *a = g_ptr_array_index(pmus, i);

        for (guint j = i + 1; j < pmus->len; j++) {
            const ArmHostPMU *b = g_ptr_array_index(pmus, j);
            g_autofree char *list = NULL;
            ArmHostCPUSet both;

            if (!bitmap_and(both.cpus, a->cpus.cpus, b->cpus.cpus,
                            ARM_HOST_MAX_CPUS)) {
                continue;
            }
            list = arm_host_cpu_set_format(&both);
            error_setg(errp, "Cannot tell the host's PMUs apart: both %s and "
                       "%s claim CPUs %s", a->name, b->name, list);
            return false;
        }
    }
    return true;
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
    if (!check_disjoint(pmus, errp)) {
        return NULL;
    }
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

static const ArmHostPMU *find_covering_pmu(const GPtrArray *pmus,
                                           const ArmHostCPUSet *cpus)
{
    for (guint i = 0; i < pmus->len; i++) {
        const ArmHostPMU *pmu = g_ptr_array_index(pmus, i);
        ArmHostCPUSet rest;

        if (!bitmap_andnot(rest.cpus, cpus->cpus, pmu->cpus.cpus,
                           ARM_HOST_MAX_CPUS)) {
            return pmu;
        }
    }
    return NULL;
}

bool arm_host_pmus_check_coverage(const GPtrArray *pmus,
                                  const ArmHostCPUSet *vcpu_cpus,
                                  Error **errp)
{
    ArmHostCPUSet rest = *vcpu_cpus;
    g_autofree char *rest_list = NULL;
    g_autofree char *vcpu_list = NULL;
    g_autofree char *pmu_list = NULL;

    for (guint i = 0; i < pmus->len; i++) {
        const ArmHostPMU *pmu = g_ptr_array_index(pmus, i);

        bitmap_andnot(rest.cpus, rest.cpus, pmu->cpus.cpus,
                      ARM_HOST_MAX_CPUS);
    }
    if (bitmap_empty(rest.cpus, ARM_HOST_MAX_CPUS)) {
        return true;
    }
    rest_list = arm_host_cpu_set_format(&rest);
    vcpu_list = arm_host_cpu_set_format(vcpu_cpus);
    pmu_list = arm_host_pmus_format(pmus);
    error_setg(errp, "The vCPU threads may run on the host's CPUs %s, of "
               "which %s have no PMU (the host has %s); pin the vCPU threads "
               "to CPUs with a PMU", vcpu_list, rest_list, pmu_list);
    return false;
}

ArmPMUBackend arm_host_pmus_choose(const GPtrArray *pmus,
                                   const ArmHostCPUSet *vcpu_cpus,
                                   bool fixed_counters,
                                   const ArmHostPMU **pmu, Error **errp)
{
    g_autofree char *vcpu_list = arm_host_cpu_set_format(vcpu_cpus);
    g_autofree char *pmu_list = arm_host_pmus_format(pmus);

    *pmu = NULL;
    if (!*vcpu_list) {
        error_setg(errp, "The vCPU threads may run on none of the host's "
                   "CPUs");
        return ARM_PMU_BACKEND_NONE;
    }
    if (!pmus->len) {
        error_setg(errp, "The host has no PMU whose CPUs are listed below "
                   EVENT_SOURCES " in sysfs");
        return ARM_PMU_BACKEND_NONE;
    }
    *pmu = find_covering_pmu(pmus, vcpu_cpus);
    if (*pmu) {
        return ARM_PMU_BACKEND_HOST_PMU;
    }
    if (!arm_host_pmus_check_coverage(pmus, vcpu_cpus, errp)) {
        return ARM_PMU_BACKEND_NONE;
    }
    if (!fixed_counters) {
        error_setg(errp, "The vCPU threads may run on the host's CPUs %s, "
                   "which no single PMU covers (the host has %s), and its "
                   "kernel lacks KVM_CAP_ARM_PMU_V3_FIXED_COUNTERS_ONLY; "
                   "either pin all vCPU threads to the CPUs of one PMU, or "
                   "use a kernel with that capability", vcpu_list, pmu_list);
        return ARM_PMU_BACKEND_NONE;
    }
    return ARM_PMU_BACKEND_FIXED_COUNTERS;
}
