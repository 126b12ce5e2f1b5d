/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A small VM, made by ioctls. A call on which a test depends ends the program when it fails. A call
 * that is under test returns 0 or -errno.
 */
#ifndef VM_H
#define VM_H

#include <linux/kvm.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Newer than the headers of Debian 12 */
#ifndef KVM_ARM_VCPU_HAS_EL2
#define KVM_ARM_VCPU_HAS_EL2			7
#endif
#ifndef KVM_ARM_VCPU_PMU_V3_SET_NR_COUNTERS
#define KVM_ARM_VCPU_PMU_V3_SET_NR_COUNTERS	4
#endif
#ifndef KVM_ARM_VCPU_PMU_V3_STRICT
#define KVM_ARM_VCPU_PMU_V3_STRICT		9
#endif
#ifndef KVM_CAP_ARM_EL2
#define KVM_CAP_ARM_EL2				240
#endif
#ifndef KVM_VM_TYPE_ARM_PROTECTED
#define KVM_VM_TYPE_ARM_PROTECTED		(1UL << 31)
#endif
/* Added by our series */
#ifndef KVM_ARM_VCPU_PMU_V3_FIXED_COUNTERS_ONLY
#define KVM_ARM_VCPU_PMU_V3_FIXED_COUNTERS_ONLY	5
#endif
#ifndef KVM_CAP_ARM_PMU_V3_FIXED_COUNTERS_ONLY
#define KVM_CAP_ARM_PMU_V3_FIXED_COUNTERS_ONLY	65541
#endif

/* Sets of vCPU features, for vcpu_init() */
#define PMU			(1U << KVM_ARM_VCPU_PMU_V3)
#define STRICT			(PMU | 1U << KVM_ARM_VCPU_PMU_V3_STRICT)
#define EL2			(1U << KVM_ARM_VCPU_HAS_EL2)

#define SYSREG(op0, op1, crn, crm, op2)	ARM64_SYS_REG(op0, op1, crn, crm, op2)
#define REG_PMCR_EL0		SYSREG(3, 3, 9, 12, 0)
#define REG_PMCNTENSET_EL0	SYSREG(3, 3, 9, 12, 1)
#define REG_PMOVSSET_EL0	SYSREG(3, 3, 9, 14, 3)
#define REG_PMINTENSET_EL1	SYSREG(3, 0, 9, 14, 1)
#define REG_PMCCNTR_EL0		SYSREG(3, 3, 9, 13, 0)
#define REG_PMCCFILTR_EL0	SYSREG(3, 3, 14, 15, 7)
#define REG_ID_AA64DFR0_EL1	SYSREG(3, 0, 0, 5, 0)
#define REG_PMMIR_EL1		SYSREG(3, 0, 9, 14, 6)
#define REG_MDCR_EL2		SYSREG(3, 4, 1, 1, 1)
#define REG_CORE(field)		(KVM_REG_ARM64 | KVM_REG_SIZE_U64 | KVM_REG_ARM_CORE | \
				 KVM_REG_ARM_CORE_REG(field))
#define REG_X(n)		(REG_CORE(regs.regs[0]) + (n) * 2)
#define REG_PC			REG_CORE(regs.pc)

#define PMCR_E			1
#define PMCR_C			(1 << 2)
#define PMCR_DP			(1 << 5)
#define PMCR_LC			(1 << 6)
#define PMCR_N(pmcr)		((pmcr) >> 11 & 0x1f)
#define PMUVER(dfr0)		((dfr0) >> 8 & 0xf)
#define PMU_CYCLE_BIT		(1U << 31)

#define MAX_VCPUS		4
/* More than a PMU has */
#define MAX_COUNTERS		33
/* The number of bits of a set of CPUs, which is a uint64_t */
#define MAX_CPUS		64

#define for_each_cpu(cpu, cpus) \
	for (int cpu = 0; cpu < MAX_CPUS; cpu++) \
		if ((cpus) >> cpu & 1)

struct vm {
	int fd, gic;
	void *ram;
	int vcpu[MAX_VCPUS];
	struct kvm_run *run[MAX_VCPUS];
};

static inline uint64_t first_cpu(uint64_t cpus)
{
	return cpus & -cpus;
}

static inline uint64_t read_cntvct(void)
{
	uint64_t ticks;

	asm volatile("isb\n\tmrs %0, cntvct_el0" : "=r"(ticks) : : "memory");
	return ticks;
}

_Noreturn void die(const char *format, ...) __attribute__((format(printf, 1, 2)));

int kvm_fd(void);
/* KVM_CHECK_EXTENSION of the system, or of a VM */
int capability(int fd, int number);
void vm_create(struct vm *vm);
/* type: the argument of KVM_CREATE_VM */
int vm_try_create(struct vm *vm, unsigned long type);
void vm_destroy(struct vm *vm);

void vcpu_create(struct vm *vm, int index);
/* features: those of struct kvm_vcpu_init; PSCI is always added */
int vcpu_init(struct vm *vm, int index, unsigned int features);
/* Creates a VM with vCPU 0. Returns the result of vcpu_init(). */
int vm_create_vcpu(struct vm *vm, unsigned int features);
int vcpu_set_attr(struct vm *vm, int index, int attr, void *value);
int vcpu_get_attr(struct vm *vm, int index, int attr, void *value);
int vcpu_has_attr(struct vm *vm, int index, int attr);
int vcpu_try_get_reg(struct vm *vm, int index, uint64_t reg, uint64_t *value);
uint64_t vcpu_get_reg(struct vm *vm, int index, uint64_t reg);
int vcpu_set_reg(struct vm *vm, int index, uint64_t reg, uint64_t value);
void vcpu_must_set_reg(struct vm *vm, int index, uint64_t reg, uint64_t value);
/* KVM_RUN that returns before it enters the guest. To KVM the vCPU has run then. */
int vcpu_touch(struct vm *vm, int index);

/* Creates a GICv3. Call it after the vCPUs are created and before their PMU is initialised. */
void vm_create_gic(struct vm *vm);
/* The two steps of vm_create_gic(): create the GIC with its addresses, then initialise it */
int vm_try_create_gic(struct vm *vm);
int vm_init_gic(struct vm *vm);
/* Copies the guest programs into the VM; vCPU 0 will start at entry */
void vm_load(struct vm *vm, const char *entry);
/* Runs vCPU 0 until it stores to the window. Returns the offset, or -1 after another exit. */
int vm_run(struct vm *vm, uint64_t *value);

/* A CPU PMU of the host. CPUs from MAX_CPUS on are left out. */
struct host_pmu {
	char name[256];
	int type;
	/* The number of its event for cycles */
	unsigned int cycles;
	uint64_t cpus;
};

int host_pmus(struct host_pmu *pmus, int max);
/* Opens a pinned event of the host with this number on one CPU. Returns its file or -errno. */
int open_event(const struct host_pmu *pmu, unsigned int number, int cpu);
/*
 * Opens pinned events for cycles until the CPU has no counter left for another one, and appends
 * them to EVENTS, which has COUNT already. Returns the new count, which is less than MAX_COUNTERS.
 */
int take_counters(const struct host_pmu *pmu, int cpu, int *events, int count);
void pin_thread_to(int tid, uint64_t cpus);
void pin_to(uint64_t cpus);
/* The same for CPUs that may all be offline: 0 or -errno */
int try_pin_to(uint64_t cpus);
void set_online(int cpu, bool online);
/* Waits until all other CPUs are idle. The emulator skips time while all CPUs wait. */
void settle(void);

#endif
