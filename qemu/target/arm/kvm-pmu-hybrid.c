/*
 * KVM: the pmu-hybrid CPU property
 *
 * KVM backs the PMU of a VM with one PMU of the host, by default with that of
 * the CPU on which a vCPU happens to be initialized. On a host with more than
 * one the guest's counters stand still on all other CPUs. With pmu-hybrid=on
 * we choose instead, when the VM starts for the first time: only then are the
 * CPUs known that the vCPU threads may run on, because management
 * applications set the affinities of threads that exist already.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include <sched.h>
#include <linux/kvm.h>
#include "qemu/cutils.h"
#include "qemu/error-report.h"
#include "qapi/error.h"
#include "hw/qdev-properties.h"
#include "system/kvm.h"
#include "cpu.h"
#include "host-pmu.h"
#include "internals.h"
#include "kvm_arm.h"
#include "trace.h"

#define SYSFS "/sys"
#define PROC "/proc/self"
#define ARM64_REG_PMCR_EL0 ARM64_SYS_REG(3, 3, 9, 12, 0)
#define FIXED_COUNTERS "fixed-counters"

/* Whether any of this is wanted, and whether KVM has the fixed counters */
static bool enabled;
static bool has_fixed_counters;

/* KVM has one PMU backend for all vCPUs of a VM. */
static struct {
    ArmPMUBackend backend;
    /* As pmu-backend shows it, and as messages do */
    char *name;
    char *description;
    uint8_t nr_counters;
} choice;

/* What a guest had that was loaded, to be followed when the VM starts */
static struct {
    ArmPMUBackend backend;
    char *name;
    uint8_t nr_counters;
    /* Of a PMU of this host with as many */
    uint32_t type;
} loaded;

/*
 * What KVM has been told, and PMCR_EL0.N after that; a PMU can be changed for
 * another up to INIT.
 */
static struct {
    char *name;
    bool is_default;
    bool has_nr_counters;
    uint8_t nr_counters;
    bool has_initialized;
} told;

static bool set_pmu_attr(CPUState *cs, uint64_t attr, void *value,
                         const char *name, Error **errp)
{
    struct kvm_device_attr kda = {
        .group = KVM_ARM_VCPU_PMU_V3_CTRL,
        .attr = attr,
        .addr = (uintptr_t)value,
    };
    int ret = kvm_vcpu_ioctl(cs, KVM_HAS_DEVICE_ATTR, &kda);

    if (ret < 0) {
        error_setg_errno(errp, -ret, "The host's kernel lacks %s", name);
        return false;
    }
    ret = kvm_vcpu_ioctl(cs, KVM_SET_DEVICE_ATTR, &kda);
    if (ret < 0) {
        error_setg_errno(errp, -ret, "KVM refuses %s for vCPU %d", name,
                         cs->cpu_index);
        return false;
    }
    return true;
}

static bool read_pmcr_n(CPUState *cs, uint8_t *nr_counters, Error **errp)
{
    uint64_t pmcr;
    int ret = kvm_get_one_reg(cs, ARM64_REG_PMCR_EL0, &pmcr);

    if (ret < 0) {
        error_setg_errno(errp, -ret, "Cannot read PMCR_EL0 from KVM");
        return false;
    }
    *nr_counters = (pmcr & PMCRN_MASK) >> PMCRN_SHIFT;
    return true;
}

/*
 * Kernels before 6.7 take PMCR_EL0.N of a vCPU from the CPU of the thread that
 * resets it, whatever PMU they are told to use.
 */
static bool read_nr_counters(uint8_t *nr_counters, Error **errp)
{
    CPUState *cs;

    if (!read_pmcr_n(first_cpu, nr_counters, errp)) {
        return false;
    }
    CPU_FOREACH(cs) {
        uint8_t other;

        if (!read_pmcr_n(cs, &other, errp)) {
            return false;
        }
        if (other != *nr_counters) {
            error_setg(errp, "KVM has %u event counters for vCPU 0 and %u for "
                       "vCPU %d, as kernels before 6.7 do when QEMU runs on "
                       "CPUs of several PMUs; keep it on those of one PMU "
                       "from its start, or use a newer kernel", *nr_counters,
                       other, cs->cpu_index);
            return false;
        }
    }
    return true;
}

/* What the boards' calls would have done at once without pmu-hybrid */
static bool init_vcpu_pmu(ARMCPU *cpu, Error **errp)
{
    CPUState *cs = CPU(cpu);

    if (cpu->kvm_pmu_irq) {
        if (!set_pmu_attr(cs, KVM_ARM_VCPU_PMU_V3_IRQ, &cpu->kvm_pmu_irq,
                          "KVM_ARM_VCPU_PMU_V3_IRQ", errp)) {
            return false;
        }
        /* KVM takes it once, and after a failure we may be back. */
        cpu->kvm_pmu_irq = 0;
    }
    return set_pmu_attr(cs, KVM_ARM_VCPU_PMU_V3_INIT, NULL,
                        "KVM_ARM_VCPU_PMU_V3_INIT", errp);
}

/*
 * KVM need not be told to use its default. There kernels before 5.18, which
 * lack SET_PMU, will do, and no CPU is ever refused.
 */
static bool set_host_pmu(const ArmHostPMUChoice *made, Error **errp)
{
    ERRP_GUARD();
    int type = made->pmu->type;

    if (made->is_default) {
        return true;
    }
    if (!set_pmu_attr(first_cpu, KVM_ARM_VCPU_PMU_V3_SET_PMU, &type,
                      "KVM_ARM_VCPU_PMU_V3_SET_PMU", errp)) {
        error_prepend(errp, "Cannot use %s: ", made->pmu->name);
        return false;
    }
    return true;
}

/*
 * Tells KVM the choice and reads PMCR_EL0.N, once: a guest hypervisor that was
 * loaded in between would find MDCR_EL2.HPMN reset, and N is HPMN while its
 * guest runs. Until the vCPUs are initialized another PMU can take the place
 * of this one; the fixed counters and a PMU exclude each other.
 */
static bool tell_kvm(const ArmHostPMUChoice *made, Error **errp)
{
    const char *name = made->pmu ? made->pmu->name : FIXED_COUNTERS;
    bool told_fixed = !g_strcmp0(told.name, FIXED_COUNTERS);
    bool is_told = !g_strcmp0(told.name, name) &&
                   told.is_default == made->is_default && told.has_nr_counters;

    if (told.has_initialized || (told.name && told_fixed == !!made->pmu)) {
        error_setg(errp, "KVM has been told to use %s, and what came after "
                   "that failed or does not fit; it cannot be told otherwise: "
                   "restart QEMU", told.name);
        return false;
    }
    if (is_told) {
        return true;
    }
    if (!(made->pmu ? set_host_pmu(made, errp) :
          set_pmu_attr(first_cpu, KVM_ARM_VCPU_PMU_V3_FIXED_COUNTERS_ONLY,
                       NULL, "KVM_ARM_VCPU_PMU_V3_FIXED_COUNTERS_ONLY",
                       errp))) {
        return false;
    }
    g_free(told.name);
    told.name = g_strdup(name);
    told.is_default = made->is_default;
    told.has_nr_counters = read_nr_counters(&told.nr_counters, errp);
    return told.has_nr_counters;
}

static bool init_vcpu_pmus(Error **errp)
{
    CPUState *cs;

    CPU_FOREACH(cs) {
        ARMCPU *cpu = ARM_CPU(cs);

        if (!init_vcpu_pmu(cpu, errp)) {
            return false;
        }
        told.has_initialized = true;
        /* The values depend on the PMU; none of the old ones may survive. */
        if (!write_kvmstate_to_list(cpu)) {
            error_setg(errp, "Cannot read the registers of vCPU %d after the "
                       "choice of its PMU", cs->cpu_index);
            return false;
        }
    }
    return true;
}

/*
 * A monitor command may have fetched the registers. They must not be written
 * back after the choice: PMCR_EL0.N, for one, would become that of a PMU that
 * was not chosen.
 *
 * The vCPUs are stopped, so this thread can write them. run_on_cpu() would
 * drop the BQL, and a migration could complete while cont is under way.
 */
static bool flush_registers(Error **errp)
{
    ERRP_GUARD();
    CPUState *cs;

    CPU_FOREACH(cs) {
        int ret = cs->vcpu_dirty ?
            kvm_arch_put_registers(cs, KVM_PUT_RUNTIME_STATE, errp) : 0;

        if (ret < 0) {
            if (!*errp) {
                error_setg_errno(errp, -ret, "Cannot write the registers of "
                                 "vCPU %d", cs->cpu_index);
            }
            return false;
        }
        cs->vcpu_dirty = false;
    }
    return true;
}

/* What a thread may run on right now is online, whatever sysfs says. */
static bool add_online_cpus(ArmHostCPUs *cpus, CPUState *cs, Error **errp)
{
    ArmHostCPUSet set;

    bitmap_zero(set.cpus, ARM_HOST_MAX_CPUS);
    if (sched_getaffinity(cs->thread_id, sizeof(set.cpus),
                          (cpu_set_t *)set.cpus) < 0) {
        error_setg_errno(errp, errno, "Cannot get the affinity of thread "
                         "%d of vCPU %d", cs->thread_id, cs->cpu_index);
        return false;
    }
    arm_host_cpus_add_online(cpus, &set);
    return true;
}

static bool read_cpus(ArmHostCPUs *cpus, Error **errp)
{
    CPUState *cs;

    if (!arm_host_cpus_read(SYSFS, cpus, errp)) {
        return false;
    }
    CPU_FOREACH(cs) {
        if (!add_online_cpus(cpus, cs, errp)) {
            return false;
        }
    }
    CPU_FOREACH(cs) {
        ArmHostCPUSet set;

        if (!arm_host_thread_cpus_read(PROC, cs->thread_id, &set, errp)) {
            return false;
        }
        arm_host_cpus_allow(cpus, &set);
    }
    return true;
}

static void record_choice(const ArmHostPMUChoice *made, const GPtrArray *pmus)
{
    const ArmHostPMU *pmu = made->pmu;
    g_autofree char *all = arm_host_pmus_format(pmus);

    choice.nr_counters = told.nr_counters;
    if (pmu) {
        g_autofree char *cpus = arm_host_cpu_set_format(&pmu->cpus);

        choice.backend = ARM_PMU_BACKEND_HOST_PMU;
        choice.name = g_strdup(pmu->name);
        choice.description = g_strdup_printf("%s on CPUs %s", pmu->name, cpus);
    } else {
        choice.backend = ARM_PMU_BACKEND_FIXED_COUNTERS;
        choice.name = g_strdup(FIXED_COUNTERS);
        choice.description = g_strdup_printf("the fixed counters of %s", all);
    }
}

static bool check_fixed_counters(Error **errp)
{
    if (!has_fixed_counters) {
        error_setg(errp, "The guest has the fixed counters only, and the "
                   "host's kernel lacks "
                   "KVM_ARM_VCPU_PMU_V3_FIXED_COUNTERS_ONLY");
        return false;
    }
    return true;
}

static bool choose_host_pmu(const GPtrArray *pmus, const ArmHostCPUs *cpus,
                            ArmHostPMUChoice *made, Error **errp)
{
    g_autofree char *allowed_list = arm_host_cpu_set_format(&cpus->allowed);
    g_autofree char *pmu_list = arm_host_pmus_format(pmus);

    if (!arm_host_pmus_choose_one(pmus, cpus, made)) {
        error_setg(errp, "The guest has the event counters of one PMU, but "
                   "the vCPU threads may run on the host's CPUs %s, which no "
                   "single PMU covers (the host has %s); pin all vCPU threads "
                   "to the CPUs of one PMU", allowed_list, pmu_list);
        return false;
    }
    return true;
}

/* Chooses among the PMUs of the host, or follows what was loaded. */
static bool choose_backend(const GPtrArray *pmus, const ArmHostCPUs *cpus,
                           ArmHostPMUChoice *made, Error **errp)
{
    g_autofree char *allowed_list = arm_host_cpu_set_format(&cpus->allowed);
    g_autofree char *online_list = arm_host_cpu_set_format(&cpus->online);
    g_autofree char *pmu_list = arm_host_pmus_format(pmus);

    trace_kvm_arm_pmu_hybrid_choose(loaded.backend, allowed_list, online_list,
                                    pmu_list, has_fixed_counters);
    switch (loaded.backend) {
    case ARM_PMU_BACKEND_NONE:
        return arm_host_pmus_choose(pmus, cpus, has_fixed_counters, made,
                                    errp);
    case ARM_PMU_BACKEND_HOST_PMU:
        return choose_host_pmu(pmus, cpus, made, errp);
    default:
        memset(made, 0, sizeof(*made));
        made->backend = ARM_PMU_BACKEND_FIXED_COUNTERS;
        return arm_host_pmus_check_coverage(pmus, cpus, errp);
    }
}

/* The number of event counters is part of what a guest sees. */
static bool check_nr_counters(uint8_t wanted, const char *wanted_name,
                              const char *name, uint8_t nr_counters,
                              Error **errp)
{
    if (nr_counters != wanted) {
        error_setg(errp, "The guest's PMU was backed by %s with %u event "
                   "counters, and here %s has %u", wanted_name, wanted, name,
                   nr_counters);
        return false;
    }
    return true;
}

/*
 * While KVM has a PMU with fewer counters than the guest had, the registers
 * that it returns lack the bits of the other counters. QEMU would write them
 * back so after a monitor command, and save them so.
 */
static void tell_loaded_again(const GPtrArray *pmus)
{
    for (guint i = 0; i < pmus->len; i++) {
        const ArmHostPMUChoice made = {
            .backend = ARM_PMU_BACKEND_HOST_PMU,
            .pmu = g_ptr_array_index(pmus, i),
        };

        if (made.pmu->type == loaded.type) {
            tell_kvm(&made, NULL);
        }
    }
}

static void report_choice(const ArmHostPMUChoice *made,
                          const ArmHostCPUs *cpus)
{
    g_autofree char *allowed_list = arm_host_cpu_set_format(&cpus->allowed);
    g_autofree char *uncovered = arm_host_cpu_set_format(&made->uncovered);

    info_report("pmu-hybrid: vCPU threads may run on CPUs %s; the guest's PMU "
                "is backed by %s, with %u event counters", allowed_list,
                choice.description, choice.nr_counters);
    if (*uncovered) {
        info_report("pmu-hybrid: CPUs %s are offline and have another PMU or "
                    "none; should they come online, a vCPU that gets there "
                    "pauses the VM", uncovered);
    }
}

/*
 * All that can be checked is checked before the vCPUs are initialized, so
 * that after an error the next attempt can come to another choice.
 */
static bool make_choice(Error **errp)
{
    g_autoptr(GPtrArray) pmus = arm_host_pmus_read(SYSFS, errp);
    g_autofree ArmHostCPUs *cpus = g_new(ArmHostCPUs, 1);
    ArmHostPMUChoice made;

    if (!pmus || !read_cpus(cpus, errp) ||
        !choose_backend(pmus, cpus, &made, errp) || !tell_kvm(&made, errp)) {
        return false;
    }
    if (loaded.backend != ARM_PMU_BACKEND_NONE &&
        !check_nr_counters(loaded.nr_counters, loaded.name, told.name,
                           told.nr_counters, errp)) {
        tell_loaded_again(pmus);
        return false;
    }
    if (!init_vcpu_pmus(errp)) {
        return false;
    }
    record_choice(&made, pmus);
    report_choice(&made, cpus);
    return true;
}

bool kvm_arm_pmu_hybrid_pre_resume(AccelState *as, bool step_pending,
                                   Error **errp)
{
    ERRP_GUARD();

    if (!enabled || choice.backend != ARM_PMU_BACKEND_NONE) {
        return true;
    }
    if (!flush_registers(errp) || !make_choice(errp)) {
        error_prepend(errp, "pmu-hybrid: ");
        return false;
    }
    return true;
}

void kvm_arm_pmu_hybrid_defer_init(ARMCPU *cpu)
{
    /* Later we may have no right to make a VM. */
    if (!enabled) {
        enabled = true;
        has_fixed_counters = kvm_arm_probe_fixed_counters();
        trace_kvm_arm_pmu_hybrid_probe(has_fixed_counters);
    }
}

const char *kvm_arm_pmu_hybrid_backend(void)
{
    return choice.description;
}

void kvm_arm_pmu_hybrid_pre_save(ARMCPU *cpu)
{
    bool chosen = choice.backend != ARM_PMU_BACKEND_NONE;
    const char *name = chosen ? choice.name : loaded.name;

    memset(cpu->kvm_pmu_name, 0, sizeof(cpu->kvm_pmu_name));
    cpu->kvm_pmu_backend = chosen ? choice.backend : loaded.backend;
    cpu->kvm_pmu_nr_counters = chosen ? choice.nr_counters :
                                        loaded.nr_counters;
    if (name) {
        pstrcpy((char *)cpu->kvm_pmu_name, sizeof(cpu->kvm_pmu_name), name);
    }
}

/* Compares what came with what this VM has started with. */
static bool check_incoming_choice(ARMCPU *cpu, Error **errp)
{
    const char *name = (char *)cpu->kvm_pmu_name;

    if (cpu->kvm_pmu_backend != choice.backend) {
        error_setg(errp, "The guest's PMU was backed by %s, and this VM has "
                   "started with %s already", name, choice.name);
        return false;
    }
    return check_nr_counters(cpu->kvm_pmu_nr_counters, name, choice.name,
                             choice.nr_counters, errp);
}

/*
 * Tells KVM a PMU with as many counters as the guest had, so that KVM keeps
 * all bits of its registers. The vCPU threads may be pinned after the load, so
 * that is a guess until the start. If one PMU covers the threads already, only
 * that one or the one of the guest's name will do. The first of them is right
 * unless the threads are pinned again; another PMU at the start would reset
 * MDCR_EL2.HPMN.
 */
static bool follow_host_pmu(ARMCPU *cpu, const GPtrArray *pmus,
                            const ArmHostCPUs *cpus, Error **errp)
{
    g_autoptr(GString) found = g_string_new(NULL);
    const char *name = (char *)cpu->kvm_pmu_name;
    ArmHostPMUChoice guess;

    arm_host_pmus_choose_one(pmus, cpus, &guess);
    for (int i = guess.pmu ? -1 : 0; i < (int)pmus->len; i++) {
        const ArmHostPMU *pmu = i < 0 ? guess.pmu : g_ptr_array_index(pmus, i);
        const ArmHostPMUChoice made = {
            .backend = ARM_PMU_BACKEND_HOST_PMU,
            .pmu = pmu,
            .is_default = guess.is_default,
        };

        if (i >= 0 && guess.pmu &&
            (pmu == guess.pmu || !g_str_equal(pmu->name, name))) {
            continue;
        }
        if (!tell_kvm(&made, errp)) {
            return false;
        }
        if (told.nr_counters == cpu->kvm_pmu_nr_counters) {
            loaded.type = pmu->type;
            return true;
        }
        g_string_append_printf(found, "%s%s has %u", found->len ? ", " : "",
                               pmu->name, told.nr_counters);
    }
    error_setg(errp, "The guest's PMU was backed by %s with %u event counters, "
               "and here %s", name, cpu->kvm_pmu_nr_counters, found->str);
    return false;
}

static bool follow_fixed_counters(Error **errp)
{
    const ArmHostPMUChoice made = {
        .backend = ARM_PMU_BACKEND_FIXED_COUNTERS,
    };

    return check_fixed_counters(errp) && tell_kvm(&made, errp);
}

/*
 * But for follow_host_pmu(), the threads' CPUs are judged at the start. That
 * has to be able to read them and the PMUs, whatever the backend.
 */
static bool follow_incoming_choice(ARMCPU *cpu, Error **errp)
{
    g_autoptr(GPtrArray) pmus = arm_host_pmus_read(SYSFS, errp);
    g_autofree ArmHostCPUs *cpus = g_new(ArmHostCPUs, 1);
    ArmHostPMUChoice none;

    if (!pmus || !read_cpus(cpus, errp)) {
        return false;
    }
    if (!pmus->len) {
        return arm_host_pmus_choose(pmus, cpus, false, &none, errp);
    }
    if (!(cpu->kvm_pmu_backend == ARM_PMU_BACKEND_HOST_PMU ?
          follow_host_pmu(cpu, pmus, cpus, errp) :
          follow_fixed_counters(errp))) {
        return false;
    }
    loaded.backend = cpu->kvm_pmu_backend;
    loaded.nr_counters = cpu->kvm_pmu_nr_counters;
    g_free(loaded.name);
    loaded.name = g_strdup((char *)cpu->kvm_pmu_name);
    return true;
}

/* The first vCPU is loaded first. The CPUs of all threads are read once. */
static bool check_other_vcpu(ARMCPU *cpu, Error **errp)
{
    ARMCPU *first = ARM_CPU(first_cpu);

    if (cpu->kvm_pmu_backend != first->kvm_pmu_backend ||
        cpu->kvm_pmu_nr_counters != first->kvm_pmu_nr_counters ||
        memcmp(cpu->kvm_pmu_name, first->kvm_pmu_name,
               sizeof(cpu->kvm_pmu_name))) {
        error_setg(errp, "pmu-hybrid: vCPU %d of the incoming VM has another "
                   "PMU than vCPU %d", CPU(cpu)->cpu_index,
                   first_cpu->cpu_index);
        return false;
    }
    return true;
}

bool kvm_arm_pmu_hybrid_load(ARMCPU *cpu, Error **errp)
{
    ERRP_GUARD();

    if (CPU(cpu) != first_cpu) {
        return check_other_vcpu(cpu, errp);
    }

    if (cpu->kvm_pmu_backend >= ARM_PMU_BACKEND__MAX ||
        !memchr(cpu->kvm_pmu_name, 0, sizeof(cpu->kvm_pmu_name))) {
        error_setg(errp, "pmu-hybrid: invalid PMU backend %u",
                   cpu->kvm_pmu_backend);
        return false;
    }
    if (cpu->kvm_pmu_backend == ARM_PMU_BACKEND_NONE) {
        /* That VM never ran: whatever this one has or gets will do. */
        loaded.backend = ARM_PMU_BACKEND_NONE;
        return true;
    }
    if (!(choice.backend == ARM_PMU_BACKEND_NONE ?
          follow_incoming_choice(cpu, errp) :
          check_incoming_choice(cpu, errp))) {
        error_prepend(errp, "pmu-hybrid: ");
        return false;
    }
    return true;
}

static bool get_pmu_hybrid(Object *obj, Error **errp)
{
    return ARM_CPU(obj)->pmu_hybrid;
}

static void set_pmu_hybrid(Object *obj, bool value, Error **errp)
{
    if (DEVICE(obj)->realized) {
        qdev_prop_set_after_realize(DEVICE(obj), "pmu-hybrid", errp);
        return;
    }
    ARM_CPU(obj)->pmu_hybrid = value;
}

static char *get_pmu_backend(Object *obj, Error **errp)
{
    return g_strdup(choice.name ?: "");
}

void kvm_arm_pmu_hybrid_add_properties(ARMCPU *cpu)
{
    Object *obj = OBJECT(cpu);

    object_property_add_bool(obj, "pmu-hybrid", get_pmu_hybrid,
                             set_pmu_hybrid);
    object_property_set_description(obj, "pmu-hybrid",
                                    "Set on to back the PMU by what the CPUs "
                                    "that the vCPU threads may run on have "
                                    "in common.");
    object_property_add_str(obj, "pmu-backend", get_pmu_backend, NULL);
    object_property_set_description(obj, "pmu-backend",
                                    "Name of the host's PMU or "
                                    "'fixed-counters' once pmu-hybrid=on has "
                                    "led to a choice; empty otherwise");
}

void kvm_arm_pmu_hybrid_finalize(ARMCPU *cpu, Error **errp)
{
    if (cpu->pmu_hybrid && !cpu->has_pmu) {
        error_setg(errp, "'pmu-hybrid' requires 'pmu', which is off");
    }
}
