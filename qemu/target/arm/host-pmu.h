/*
 * PMUs of an Arm host: which of its CPUs each one covers, and which of them
 * can back the PMU of a VM
 *
 * This is plain code over a sysfs folder and CPU sets: it knows neither KVM
 * nor the VM, so that the unit tests can run it on any machine.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef TARGET_ARM_HOST_PMU_H
#define TARGET_ARM_HOST_PMU_H

#include "qemu/bitmap.h"

/* Twice the CPUs that Linux can be configured for on arm64 */
#define ARM_HOST_MAX_CPUS 8192

typedef struct ArmHostCPUSet {
    DECLARE_BITMAP(cpus, ARM_HOST_MAX_CPUS);
} ArmHostCPUSet;

typedef struct ArmHostPMU {
    char *name;
    /* Type of perf events; assigned at boot, so no identity */
    uint32_t type;
    ArmHostCPUSet cpus;
} ArmHostPMU;

/* What backs the PMU of a VM; the values are part of the migration stream */
typedef enum ArmPMUBackend {
    ARM_PMU_BACKEND_NONE = 0,
    ARM_PMU_BACKEND_HOST_PMU = 1,
    ARM_PMU_BACKEND_FIXED_COUNTERS = 2,
    ARM_PMU_BACKEND__MAX
} ArmPMUBackend;

/**
 * arm_host_cpu_set_parse:
 * @list: CPU list as sysfs writes it, e.g. "0-3,8"; may be empty
 * @set: receives the CPUs
 * @errp: pointer to a NULL-initialized error object
 *
 * Returns: true on success
 */
bool arm_host_cpu_set_parse(const char *list, ArmHostCPUSet *set,
                            Error **errp);

/**
 * arm_host_cpu_set_format:
 * @set: CPUs
 *
 * Returns: the CPU list as sysfs writes it; to be freed with g_free()
 */
char *arm_host_cpu_set_format(const ArmHostCPUSet *set);

/**
 * arm_host_pmus_read:
 * @sysfs: where sysfs is mounted
 * @errp: pointer to a NULL-initialized error object
 *
 * Reads the PMUs of CPUs. Uncore PMUs and the like have no list of the CPUs
 * that they belong to and are left out, and so is a PMU without CPUs.
 *
 * Returns: ArmHostPMU pointers in the order of their lowest CPUs, to be freed
 * with g_ptr_array_unref(); NULL on error.
 */
GPtrArray *arm_host_pmus_read(const char *sysfs, Error **errp);

/**
 * arm_host_pmus_format:
 * @pmus: ArmHostPMU pointers
 *
 * Returns: names and CPUs for messages; to be freed with g_free()
 */
char *arm_host_pmus_format(const GPtrArray *pmus);

/**
 * arm_host_pmus_choose:
 * @pmus: the PMUs of the host
 * @vcpu_cpus: the CPUs that the vCPU threads may run on
 * @fixed_counters: whether KVM can back the cycle counter by all PMUs
 * @pmu: receives the chosen PMU, or NULL when there is no single one
 * @errp: pointer to a NULL-initialized error object
 *
 * One PMU that covers all of @vcpu_cpus offers all of its counters and is
 * preferred. Otherwise only the fixed counters can count wherever the
 * vCPUs run.
 *
 * Returns: the backend, ARM_PMU_BACKEND_NONE on error
 */
ArmPMUBackend arm_host_pmus_choose(const GPtrArray *pmus,
                                   const ArmHostCPUSet *vcpu_cpus,
                                   bool fixed_counters,
                                   const ArmHostPMU **pmu, Error **errp);

/**
 * arm_host_pmus_check_coverage:
 * @pmus: the PMUs of the host
 * @vcpu_cpus: the CPUs that the vCPU threads may run on
 * @errp: pointer to a NULL-initialized error object
 *
 * Returns: true if each CPU of @vcpu_cpus has a PMU
 */
bool arm_host_pmus_check_coverage(const GPtrArray *pmus,
                                  const ArmHostCPUSet *vcpu_cpus,
                                  Error **errp);

#endif
