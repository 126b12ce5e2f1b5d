/*
 * PMUs of an Arm host: which of its CPUs each one covers, and which of them
 * can back the PMU of a VM
 *
 * This is plain code over folders of sysfs and proc and over CPU sets: it
 * knows neither KVM nor the VM, so that the unit tests can run it on any
 * machine.
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

/* CPUs of the host, and those of them that count for a VM */
typedef struct ArmHostCPUs {
    ArmHostCPUSet present;
    ArmHostCPUSet online;
    /* The vCPU threads may run there, now or once the CPU comes online */
    ArmHostCPUSet allowed;
} ArmHostCPUs;

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
 * arm_host_cpus_read:
 * @sysfs: where sysfs is mounted
 * @cpus: receives the CPUs; none is allowed yet
 * @errp: pointer to a NULL-initialized error object
 *
 * Returns: true on success
 */
bool arm_host_cpus_read(const char *sysfs, ArmHostCPUs *cpus, Error **errp);

/**
 * arm_host_cpus_add_online:
 * @cpus: CPUs of the host
 * @online: some that are known to be online
 *
 * In a container, sysfs can show fewer CPUs than there are. A thread's
 * affinity, as sched_getaffinity() has it, is proof.
 */
void arm_host_cpus_add_online(ArmHostCPUs *cpus, const ArmHostCPUSet *online);

/**
 * arm_host_cpus_allow:
 * @cpus: CPUs of the host
 * @allowed: the CPUs that one more vCPU thread may run on
 *
 * Offline CPUs in @allowed count as far as they are present. A cpuset hides
 * them, and management applications leave them out when they allow all CPUs
 * online, so a thread that may run on all of these may run on all present.
 */
void arm_host_cpus_allow(ArmHostCPUs *cpus, const ArmHostCPUSet *allowed);

/**
 * arm_host_thread_cpus_read:
 * @proc: where proc shows the process, e.g. "/proc/self"
 * @thread: one of its threads
 * @set: receives the CPUs that the thread may run on
 * @errp: pointer to a NULL-initialized error object
 *
 * Unlike sched_getaffinity() this has CPUs that are offline.
 *
 * Returns: true on success
 */
bool arm_host_thread_cpus_read(const char *proc, int thread,
                               ArmHostCPUSet *set, Error **errp);

typedef struct ArmHostPMUChoice {
    ArmPMUBackend backend;
    /* NULL unless one PMU of the host backs the VM's */
    const ArmHostPMU *pmu;
    /* KVM takes that PMU by itself, and runs the vCPUs on any CPU */
    bool is_default;
    /* Allowed and offline CPUs that the PMU does not cover */
    ArmHostCPUSet uncovered;
} ArmHostPMUChoice;

/**
 * arm_host_pmus_choose_one:
 * @pmus: the PMUs of the host
 * @cpus: the CPUs of the host
 * @choice: receives the choice
 *
 * Chooses one PMU that covers the allowed CPUs, all of them or at least
 * those that are online. Among several, which is what Linux makes of PMUs
 * that share an interrupt, it is the one of the lowest type: KVM's own
 * choice, and the only one that gets overflow interrupts.
 *
 * Returns: true if there is one
 */
bool arm_host_pmus_choose_one(const GPtrArray *pmus, const ArmHostCPUs *cpus,
                              ArmHostPMUChoice *choice);

/**
 * arm_host_pmus_choose:
 * @pmus: the PMUs of the host
 * @cpus: the CPUs of the host
 * @fixed_counters: whether KVM can back the cycle counter by all PMUs
 * @choice: receives the choice
 * @errp: pointer to a NULL-initialized error object
 *
 * One PMU that covers all allowed CPUs offers all of its counters and is
 * preferred. Otherwise only the fixed counters can count wherever the vCPUs
 * run. One that covers those online comes last: should another CPU come
 * online, the VM could not run there.
 *
 * Returns: true on success
 */
bool arm_host_pmus_choose(const GPtrArray *pmus, const ArmHostCPUs *cpus,
                          bool fixed_counters, ArmHostPMUChoice *choice,
                          Error **errp);

/**
 * arm_host_pmus_check_coverage:
 * @pmus: the PMUs of the host
 * @cpus: the CPUs of the host
 * @errp: pointer to a NULL-initialized error object
 *
 * Returns: true if each allowed CPU that is online has a PMU, and there is
 * such a CPU
 */
bool arm_host_pmus_check_coverage(const GPtrArray *pmus,
                                  const ArmHostCPUs *cpus, Error **errp);

#endif
