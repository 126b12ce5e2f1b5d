// SPDX-License-Identifier: GPL-2.0-only
/*
 * vpmu_fixed_counters - Test a vPMU that has nothing but the fixed counters
 *
 * KVM_ARM_VCPU_PMU_V3_FIXED_COUNTERS_ONLY is for heterogeneous systems: no
 * event counters, but a cycle counter that counts on all CPUs. Check the rules
 * of the attribute, what the guest and userspace see of the PMU, and that the
 * cycle counter goes on, overflows and can be saved and restored while its vCPU
 * moves from one PMU to another.
 *
 * On a system with one kind of CPUs, the vCPU moves within its PMU.
 */
#include <dirent.h>
#include <pthread.h>
#include <sched.h>

#include <linux/bitfield.h>

#include "kvm_test_harness.h"
#include "kvm_util.h"
#include "processor.h"
#include "test_util.h"
#include "gic.h"
#include "vgic.h"
#include <perf/arm_pmuv3.h>

#define NR_VCPUS	2
#define PMU_IRQ		23

/* The bit of the cycle counter in all the bitmaps */
#define CYCLES		BIT(31)

#define PMUS_PATH	"/sys/bus/event_source/devices"
#define MAX_PMUS	8

/*
 * Turns of the loop that is counted. Its multiplications depend on each other,
 * so no CPU gets through a turn in less than a cycle. The upper bound is there
 * for counts that are garbage.
 */
#define LAP_TURNS	100000
#define MAX_TURN_CYCLES	1000
#define MAX_LAP_CYCLES	((u64)LAP_TURNS * MAX_TURN_CYCLES)

/* Visits to each PMU */
#define ROUNDS		4

/* Moves of a vCPU that does not exit for them, and how far they are apart */
#define MIN_MOVES	20
#define MOVE_USECS	500

#define FIXED_COUNTERS_ONLY	KVM_ARM_VCPU_PMU_V3_FIXED_COUNTERS_ONLY
#define SET_PMU			KVM_ARM_VCPU_PMU_V3_SET_PMU
#define SET_NR_COUNTERS		KVM_ARM_VCPU_PMU_V3_SET_NR_COUNTERS
#define SET_FILTER		KVM_ARM_VCPU_PMU_V3_FILTER
#define SET_IRQ			KVM_ARM_VCPU_PMU_V3_IRQ
#define INIT			KVM_ARM_VCPU_PMU_V3_INIT

/* The PMUs of those CPUs the test may run on */
static struct host_pmu {
	char *name;
	int type;
	cpu_set_t cpus;
} pmus[MAX_PMUS];
static int nr_pmus;

/*
 * Guest
 */

/* Set by the host: program the counter like this, or take it as it is */
static struct guest_config {
	bool restored;
	u64 pmcr;
	u64 pmcnten;
	u64 pmccfiltr;
	u64 pmccntr;
	u64 lap_turns;
} guest_config;

/* The guest's interrupt handler counts them, and sees these of the last */
static struct guest_irqs {
	u64 nr;
	u64 intid;
	u64 pmovs;
	u64 pmccntr;
} guest_irqs;

static bool guest_got_undef;

static void guest_undef_handler(struct ex_regs *regs)
{
	guest_got_undef = true;
	regs->pc += 4;
}

static void guest_irq_handler(struct ex_regs *regs)
{
	guest_irqs.nr++;
	guest_irqs.intid = gic_get_and_ack_irq();
	guest_irqs.pmovs = read_sysreg(pmovsclr_el0);
	guest_irqs.pmccntr = read_sysreg(pmccntr_el0);

	write_sysreg(CYCLES, pmovsclr_el0);
	isb();
	gic_set_eoi(guest_irqs.intid);
}

static void guest_lap(void)
{
	u64 turns = READ_ONCE(guest_config.lap_turns), product = 3;

	asm volatile("1:	mul	%1, %1, %1\n"
		     "		subs	%0, %0, #1\n"
		     "		b.ne	1b\n"
		     : "+r" (turns), "+r" (product) : : "cc");
}

static u64 guest_read_cycles(void)
{
	isb();
	return read_sysreg(pmccntr_el0);
}

static void guest_program_counter(void)
{
	u64 filter = guest_config.pmccfiltr;

	/* A counter that is to count at all does so where this code runs */
	if (get_current_el() == 2 && !(filter & ARMV8_PMU_EXCLUDE_EL1))
		filter |= ARMV8_PMU_INCLUDE_EL2;

	write_sysreg(0, pmcr_el0);
	write_sysreg(~0UL, pmcntenclr_el0);
	write_sysreg(~0UL, pmovsclr_el0);
	write_sysreg(CYCLES, pmintenset_el1);
	write_sysreg(guest_config.pmcr & ~ARMV8_PMU_PMCR_E, pmcr_el0);
	write_sysreg(guest_config.pmccntr, pmccntr_el0);
	write_sysreg(filter, pmccfiltr_el0);
	write_sysreg(guest_config.pmcnten, pmcntenset_el0);
	write_sysreg(guest_config.pmcr, pmcr_el0);
	isb();
}

/* Reports the counter's value and PMCR_EL0 before the first lap and after each */
static void guest_count(void)
{
	gic_init(GIC_V3, NR_VCPUS);
	gic_irq_enable(PMU_IRQ);

	if (!guest_config.restored)
		guest_program_counter();
	local_irq_enable();

	for (;;) {
		GUEST_SYNC2(guest_read_cycles(), read_sysreg(pmcr_el0));
		guest_lap();
	}
}

#define GUEST_ASSERT_UNDEF(op)						\
do {									\
	WRITE_ONCE(guest_got_undef, false);				\
	op;								\
	isb();								\
	__GUEST_ASSERT(READ_ONCE(guest_got_undef),			\
		       "No exception: " #op ", counter %d", n);		\
} while (0)

#define READ_PMEVCNTR(n)	((void)read_sysreg(pmevcntr##n##_el0))
#define WRITE_PMEVCNTR(n)	write_sysreg(0, pmevcntr##n##_el0)
#define READ_PMEVTYPER(n)	((void)read_sysreg(pmevtyper##n##_el0))
#define WRITE_PMEVTYPER(n)	write_sysreg(0, pmevtyper##n##_el0)

static void guest_access_event_counter(int n)
{
	GUEST_ASSERT_UNDEF(PMEVN_SWITCH(n, READ_PMEVCNTR));
	GUEST_ASSERT_UNDEF(PMEVN_SWITCH(n, WRITE_PMEVCNTR));
	GUEST_ASSERT_UNDEF(PMEVN_SWITCH(n, READ_PMEVTYPER));
	GUEST_ASSERT_UNDEF(PMEVN_SWITCH(n, WRITE_PMEVTYPER));

	write_sysreg(n, pmselr_el0);
	isb();
	GUEST_ASSERT_UNDEF((void)read_sysreg(pmxevcntr_el0));
	GUEST_ASSERT_UNDEF(write_sysreg(0, pmxevcntr_el0));
	GUEST_ASSERT_UNDEF((void)read_sysreg(pmxevtyper_el0));
	GUEST_ASSERT_UNDEF(write_sysreg(0, pmxevtyper_el0));
}

static void guest_check_bitmaps(u64 expected)
{
	isb();
	GUEST_ASSERT_EQ(read_sysreg(pmcntenset_el0), expected);
	GUEST_ASSERT_EQ(read_sysreg(pmcntenclr_el0), expected);
	GUEST_ASSERT_EQ(read_sysreg(pmintenset_el1), expected);
	GUEST_ASSERT_EQ(read_sysreg(pmintenclr_el1), expected);
	GUEST_ASSERT_EQ(read_sysreg(pmovsset_el0), expected);
	GUEST_ASSERT_EQ(read_sysreg(pmovsclr_el0), expected);
}

static void guest_set_bitmaps(u64 bits)
{
	write_sysreg(bits, pmcntenset_el0);
	write_sysreg(bits, pmintenset_el1);
	write_sysreg(bits, pmovsset_el0);
}

static void guest_clear_bitmaps(u64 bits)
{
	write_sysreg(bits, pmcntenclr_el0);
	write_sysreg(bits, pmintenclr_el1);
	write_sysreg(bits, pmovsclr_el0);
}

/* PMMIR_EL1 is undefined without FEAT_PMUv3p4 */
static void guest_check_pmmir(void)
{
	u64 pmmir;

	WRITE_ONCE(guest_got_undef, false);
	pmmir = read_sysreg_s(SYS_PMMIR_EL1);
	if (!READ_ONCE(guest_got_undef))
		GUEST_ASSERT_EQ(pmmir, 0);
}

static void guest_check_view(void)
{
	int n;

	GUEST_ASSERT_EQ(FIELD_GET(ARMV8_PMU_PMCR_N, read_sysreg(pmcr_el0)), 0);
	GUEST_ASSERT_EQ(read_sysreg(pmceid0_el0), BIT(ARMV8_PMUV3_PERFCTR_CPU_CYCLES));
	GUEST_ASSERT_EQ(read_sysreg(pmceid1_el0), 0);
	guest_check_pmmir();

	/* PMCR_EL0.N is read-only */
	write_sysreg(ARMV8_PMU_PMCR_N, pmcr_el0);
	isb();
	GUEST_ASSERT_EQ(FIELD_GET(ARMV8_PMU_PMCR_N, read_sysreg(pmcr_el0)), 0);

	/* Of all bits, only that of the cycle counter can be set */
	guest_clear_bitmaps(~0UL);
	guest_check_bitmaps(0);
	guest_set_bitmaps(~0UL);
	guest_check_bitmaps(CYCLES);
	guest_clear_bitmaps(~CYCLES);
	guest_check_bitmaps(CYCLES);
	guest_clear_bitmaps(CYCLES);
	guest_check_bitmaps(0);

	for (n = 0; n < ARMV8_PMU_MAX_COUNTERS - 1; n++)
		guest_access_event_counter(n);

	/* The filter of the cycle counter is the one thing that can be selected */
	write_sysreg(ARMV8_PMU_EXCLUDE_EL1, pmccfiltr_el0);
	write_sysreg(31, pmselr_el0);
	isb();
	GUEST_ASSERT_EQ(read_sysreg(pmselr_el0), 31);
	GUEST_ASSERT_EQ(read_sysreg(pmxevtyper_el0), ARMV8_PMU_EXCLUDE_EL1);
	write_sysreg(0, pmxevtyper_el0);
	isb();
	GUEST_ASSERT_EQ(read_sysreg(pmccfiltr_el0), 0);

	/* There is no counter to increment */
	write_sysreg(~0UL, pmswinc_el0);
	GUEST_DONE();
}

/*
 * Host: PMUs and CPUs
 */

static bool read_pmu_file(const char *pmu, const char *name, char *line, int size)
{
	char *path = strdup_printf("%s/%s/%s", PMUS_PATH, pmu, name);
	FILE *file = fopen(path, "r");
	bool ok;

	free(path);
	if (!file)
		return false;
	ok = fgets(line, size, file);
	fclose(file);
	return ok;
}

static void parse_cpulist(const char *list, cpu_set_t *cpus)
{
	unsigned long first, last;
	char *end;

	CPU_ZERO(cpus);
	for (; *list >= '0' && *list <= '9'; list = end + (*end == ',')) {
		first = strtoul(list, &end, 10);
		last = *end == '-' ? strtoul(end + 1, &end, 10) : first;
		for (; first <= last && first < CPU_SETSIZE; first++)
			CPU_SET(first, cpus);
	}
}

/* Only CPU PMUs have a file of this name */
static bool read_pmu_cpus(const char *name, cpu_set_t *cpus)
{
	cpu_set_t allowed;
	char line[4096];

	if (!read_pmu_file(name, "cpus", line, sizeof(line)))
		return false;

	parse_cpulist(line, cpus);
	kvm_sched_getaffinity(0, sizeof(allowed), &allowed);
	CPU_AND(cpus, cpus, &allowed);
	return CPU_COUNT(cpus);
}

static void find_pmus(void)
{
	struct dirent *entry;
	char line[32];
	DIR *dir;

	dir = opendir(PMUS_PATH);
	if (!dir)
		return;

	while (nr_pmus < MAX_PMUS && (entry = readdir(dir))) {
		struct host_pmu *pmu = &pmus[nr_pmus];

		if (!read_pmu_cpus(entry->d_name, &pmu->cpus))
			continue;
		TEST_ASSERT(read_pmu_file(entry->d_name, "type", line, sizeof(line)),
			    "PMU %s has no type", entry->d_name);
		pmu->type = atoi(line);
		pmu->name = strdup(entry->d_name);
		nr_pmus++;
	}
	closedir(dir);
}

/* The CPU of the @i-th visit: all PMUs in turn, and all CPUs of each of them */
static int pick_cpu(int i)
{
	cpu_set_t *cpus = &pmus[i % nr_pmus].cpus;
	int cpu = 0, skip = i / nr_pmus % CPU_COUNT(cpus);

	while (!CPU_ISSET(cpu, cpus) || skip--)
		cpu++;
	return cpu;
}

static int nr_visits(void)
{
	int i, most = 0;

	for (i = 0; i < nr_pmus; i++)
		most = max(most, CPU_COUNT(&pmus[i].cpus));

	/* Enough of them to have been on each CPU */
	return nr_pmus * max(most, ROUNDS);
}

/*
 * Host: VM
 */

/* 0 or -errno */
static int set_attr(struct kvm_vcpu *vcpu, u64 attr, void *val)
{
	int ret = __vcpu_device_attr_set(vcpu, KVM_ARM_VCPU_PMU_V3_CTRL, attr, val);

	return ret ? -errno : 0;
}

static int has_attr(struct kvm_vcpu *vcpu, u64 attr)
{
	int ret = __vcpu_has_device_attr(vcpu, KVM_ARM_VCPU_PMU_V3_CTRL, attr);

	return ret ? -errno : 0;
}

static int set_fixed(struct kvm_vcpu *vcpu)
{
	return set_attr(vcpu, FIXED_COUNTERS_ONLY, NULL);
}

static int set_pmu(struct kvm_vcpu *vcpu)
{
	int type = pmus[0].type;

	return set_attr(vcpu, SET_PMU, &type);
}

static int set_filter(struct kvm_vcpu *vcpu)
{
	struct kvm_pmu_event_filter filter = {
		.base_event = ARMV8_PMUV3_PERFCTR_CPU_CYCLES,
		.nevents = 1,
		.action = KVM_PMU_EVENT_ALLOW,
	};

	return set_attr(vcpu, SET_FILTER, &filter);
}

static int set_nr_counters(struct kvm_vcpu *vcpu, unsigned int nr)
{
	return set_attr(vcpu, SET_NR_COUNTERS, &nr);
}

static int init_pmu(struct kvm_vcpu *vcpu)
{
	return set_attr(vcpu, INIT, NULL);
}

static u64 get_sysreg(struct kvm_vcpu *vcpu, u32 reg)
{
	return vcpu_get_reg(vcpu, KVM_ARM64_SYS_REG(reg));
}

static u64 get_pmcr_n(struct kvm_vcpu *vcpu)
{
	return FIELD_GET(ARMV8_PMU_PMCR_N, get_sysreg(vcpu, SYS_PMCR_EL0));
}

static struct kvm_vcpu *add_vcpu(struct kvm_vm *vm, int id, u32 features)
{
	struct kvm_vcpu_init init;
	struct kvm_vcpu *vcpu;
	int irq = PMU_IRQ;

	kvm_get_default_vcpu_target(vm, &init);
	init.features[0] |= features;
	vcpu = aarch64_vcpu_add(vm, id, &init, guest_count);
	if (features & BIT(KVM_ARM_VCPU_PMU_V3))
		TEST_ASSERT_EQ(set_attr(vcpu, SET_IRQ, &irq), 0);
	return vcpu;
}

/* Only the number is of interest, not what the guest does */
static void run_nothing(struct kvm_vcpu *vcpu)
{
	vcpu->run->immediate_exit = 1;
	TEST_ASSERT(__vcpu_run(vcpu) == -1 && errno == EINTR,
		    "Expected KVM_RUN to exit immediately, errno %d", errno);
	vcpu->run->immediate_exit = 0;
}

static void prepare_guest(struct kvm_vcpu *vcpu, struct guest_config *config)
{
	struct kvm_vm *vm = vcpu->vm;

	vm_init_descriptor_tables(vm);
	vcpu_init_descriptor_tables(vcpu);
	vm_install_sync_handler(vm, VECTOR_SYNC_CURRENT, ESR_ELx_EC_UNKNOWN,
				guest_undef_handler);
	vm_install_exception_handler(vm, VECTOR_IRQ_CURRENT, guest_irq_handler);

	if (!config)
		return;
	guest_config = *config;
	sync_global_to_guest(vm, guest_config);
}

/* Both values as the guest reports them */
struct report {
	u64 cycles;
	u64 pmcr;
};

static struct report run_lap(struct kvm_vcpu *vcpu)
{
	struct ucall uc;

	vcpu_run(vcpu);
	if (get_ucall(vcpu, &uc) == UCALL_ABORT)
		REPORT_GUEST_ASSERT(uc);
	TEST_ASSERT_EQ(uc.cmd, UCALL_SYNC);
	return (struct report) { .cycles = uc.args[0], .pmcr = uc.args[1] };
}

static void check_lap(int cpu, u64 last, u64 now)
{
	TEST_ASSERT(now - last >= LAP_TURNS && now - last < MAX_LAP_CYCLES,
		    "CPU %d: expected between %d and %lu cycles from %#lx, got %#lx",
		    cpu, LAP_TURNS, MAX_LAP_CYCLES, last, now);
}

/*
 * Each test runs with and without KVM_ARM_VCPU_PMU_V3_STRICT.
 */
FIXTURE(vpmu_fixed)
{
	struct kvm_vm *vm;
	struct kvm_vcpu *vcpu;
	struct kvm_vcpu *other;
};

FIXTURE_VARIANT(vpmu_fixed)
{
	u32 features;
};

FIXTURE_VARIANT_ADD(vpmu_fixed, default_pmu)
{
	.features = BIT(KVM_ARM_VCPU_PMU_V3),
};

FIXTURE_VARIANT_ADD(vpmu_fixed, strict)
{
	.features = BIT(KVM_ARM_VCPU_PMU_V3) | BIT(KVM_ARM_VCPU_PMU_V3_STRICT),
};

FIXTURE_SETUP(vpmu_fixed)
{
	self->vm = vm_create(NR_VCPUS);
	self->vcpu = add_vcpu(self->vm, 0, variant->features);
	self->other = add_vcpu(self->vm, 1, variant->features);
	kvm_arch_vm_finalize_vcpus(self->vm);
}

FIXTURE_TEARDOWN(vpmu_fixed)
{
	kvm_vm_free(self->vm);
}

static bool is_strict(u32 features)
{
	return features & BIT(KVM_ARM_VCPU_PMU_V3_STRICT);
}

TEST(no_pmu)
{
	struct kvm_vm *vm = vm_create(1);
	struct kvm_vcpu *vcpu = add_vcpu(vm, 0, 0);

	TEST_ASSERT_EQ(has_attr(vcpu, FIXED_COUNTERS_ONLY), -ENXIO);
	TEST_ASSERT_EQ(set_fixed(vcpu), -ENODEV);
	kvm_vm_free(vm);
}

TEST_F(vpmu_fixed, set_twice)
{
	TEST_ASSERT_EQ(has_attr(self->vcpu, FIXED_COUNTERS_ONLY), 0);
	TEST_ASSERT_EQ(set_fixed(self->vcpu), 0);
	TEST_ASSERT_EQ(set_fixed(self->vcpu), 0);

	/* What cannot be set any more is still supported */
	TEST_ASSERT_EQ(has_attr(self->vcpu, FIXED_COUNTERS_ONLY), 0);
	TEST_ASSERT_EQ(has_attr(self->vcpu, SET_PMU), 0);
	TEST_ASSERT_EQ(has_attr(self->vcpu, SET_FILTER), 0);
}

TEST_F(vpmu_fixed, any_vcpu)
{
	TEST_ASSERT_EQ(set_fixed(self->other), 0);
	TEST_ASSERT_EQ(get_pmcr_n(self->vcpu), 0);
	TEST_ASSERT_EQ(get_pmcr_n(self->other), 0);
	TEST_ASSERT_EQ(set_pmu(self->vcpu), -EBUSY);
	TEST_ASSERT_EQ(init_pmu(self->vcpu), 0);
	TEST_ASSERT_EQ(init_pmu(self->other), 0);
}

/* A vCPU that is initialised afterwards does not bring the default PMU back */
TEST_F(vpmu_fixed, later_vcpu)
{
	struct kvm_vm *vm = vm_create(NR_VCPUS);
	struct kvm_vcpu *vcpu, *later;

	vcpu = add_vcpu(vm, 0, variant->features);
	TEST_ASSERT_EQ(set_fixed(vcpu), 0);

	later = add_vcpu(vm, 1, variant->features);
	kvm_arch_vm_finalize_vcpus(vm);
	TEST_ASSERT_EQ(get_pmcr_n(later), 0);
	TEST_ASSERT_EQ(set_pmu(later), -EBUSY);
	TEST_ASSERT_EQ(init_pmu(later), 0);
	kvm_vm_free(vm);
}

TEST_F(vpmu_fixed, init_afterwards)
{
	TEST_ASSERT_EQ(set_fixed(self->vcpu), 0);
	TEST_ASSERT_EQ(init_pmu(self->vcpu), 0);
	TEST_ASSERT_EQ(set_fixed(self->vcpu), -EBUSY);
}

TEST_F(vpmu_fixed, init_before)
{
	/* Strict userspace has to choose first, and this is a choice */
	if (is_strict(variant->features)) {
		TEST_ASSERT_EQ(init_pmu(self->vcpu), -ENXIO);
		TEST_ASSERT_EQ(set_fixed(self->vcpu), 0);
		TEST_ASSERT_EQ(init_pmu(self->vcpu), 0);
		return;
	}

	TEST_ASSERT_EQ(init_pmu(self->vcpu), 0);
	TEST_ASSERT_EQ(set_fixed(self->vcpu), -EBUSY);
}

/* Too late, even through a vCPU whose PMU is not initialised */
TEST_F(vpmu_fixed, run_before)
{
	if (is_strict(variant->features))
		TEST_ASSERT_EQ(set_pmu(self->vcpu), 0);
	TEST_ASSERT_EQ(init_pmu(self->vcpu), 0);
	run_nothing(self->vcpu);
	TEST_ASSERT_EQ(set_fixed(self->other), -EBUSY);
	TEST_ASSERT_EQ(set_nr_counters(self->other, 0), -EBUSY);
}

TEST_F(vpmu_fixed, run_afterwards)
{
	TEST_ASSERT_EQ(set_fixed(self->vcpu), 0);
	TEST_ASSERT_EQ(init_pmu(self->vcpu), 0);
	run_nothing(self->vcpu);
	TEST_ASSERT_EQ(set_fixed(self->other), -EBUSY);
	TEST_ASSERT_EQ(set_nr_counters(self->other, 0), -EBUSY);
}

TEST_F(vpmu_fixed, set_pmu_before)
{
	TEST_ASSERT_EQ(set_pmu(self->other), 0);
	TEST_ASSERT_EQ(set_fixed(self->vcpu), -EBUSY);
	TEST_ASSERT_EQ(set_pmu(self->vcpu), 0);
	TEST_ASSERT_EQ(init_pmu(self->vcpu), 0);
}

TEST_F(vpmu_fixed, set_pmu_afterwards)
{
	TEST_ASSERT_EQ(set_fixed(self->vcpu), 0);
	TEST_ASSERT_EQ(set_pmu(self->vcpu), -EBUSY);
	TEST_ASSERT_EQ(set_pmu(self->other), -EBUSY);
	TEST_ASSERT_EQ(get_pmcr_n(self->vcpu), 0);
}

TEST_F(vpmu_fixed, filter_before)
{
	if (is_strict(variant->features))
		TEST_ASSERT_EQ(set_pmu(self->vcpu), 0);
	TEST_ASSERT_EQ(set_filter(self->vcpu), 0);
	TEST_ASSERT_EQ(set_fixed(self->vcpu), -EBUSY);
}

TEST_F(vpmu_fixed, filter_afterwards)
{
	TEST_ASSERT_EQ(set_fixed(self->vcpu), 0);
	TEST_ASSERT_EQ(set_filter(self->vcpu), -EBUSY);
	TEST_ASSERT_EQ(set_filter(self->other), -EBUSY);
	TEST_ASSERT_EQ(init_pmu(self->vcpu), 0);
}

TEST_F(vpmu_fixed, nr_counters)
{
	unsigned int nr;

	/* There being a default PMU, its counters can be limited. It is forgotten. */
	TEST_ASSERT_EQ(set_nr_counters(self->vcpu, 0),
		       is_strict(variant->features) ? -EINVAL : 0);

	TEST_ASSERT_EQ(set_fixed(self->vcpu), 0);
	for (nr = 1; nr < ARMV8_PMU_MAX_COUNTERS; nr++)
		TEST_ASSERT_EQ(set_nr_counters(self->vcpu, nr), -EINVAL);
	TEST_ASSERT_EQ(set_nr_counters(self->vcpu, 0), 0);
	TEST_ASSERT_EQ(get_pmcr_n(self->vcpu), 0);
}

TEST_F(vpmu_fixed, registers_userspace)
{
	static const u32 bitmaps[] = {
		SYS_PMCNTENSET_EL0, SYS_PMINTENSET_EL1, SYS_PMOVSSET_EL0,
	};
	u64 reg, slots = FIELD_PREP(ARMV8_PMU_SLOTS, 4);
	int i;

	TEST_ASSERT_EQ(set_fixed(self->vcpu), 0);
	TEST_ASSERT_EQ(init_pmu(self->vcpu), 0);

	/* As with a number that is too large for a PMU, the write has no effect */
	vcpu_set_reg(self->vcpu, KVM_ARM64_SYS_REG(SYS_PMCR_EL0), FIELD_PREP(ARMV8_PMU_PMCR_N, 4));
	TEST_ASSERT_EQ(get_pmcr_n(self->vcpu), 0);
	TEST_ASSERT_EQ(get_pmcr_n(self->other), 0);

	for (i = 0; i < ARRAY_SIZE(bitmaps); i++) {
		reg = KVM_ARM64_SYS_REG(bitmaps[i]);
		vcpu_set_reg(self->vcpu, reg, ~0UL);
		TEST_ASSERT_EQ(vcpu_get_reg(self->vcpu, reg), CYCLES);
	}

	reg = KVM_ARM64_SYS_REG(SYS_PMMIR_EL1);
	TEST_ASSERT_EQ(vcpu_get_reg(self->vcpu, reg), 0);
	TEST_ASSERT(__vcpu_set_reg(self->vcpu, reg, slots) == -1 && errno == EINVAL,
		    "Expected EINVAL for PMMIR_EL1.SLOTS, got errno %d", errno);
	vcpu_set_reg(self->vcpu, reg, 0);
}

TEST_F(vpmu_fixed, registers_guest)
{
	struct ucall uc;
	int i;

	TEST_ASSERT_EQ(set_fixed(self->vcpu), 0);
	TEST_ASSERT_EQ(init_pmu(self->vcpu), 0);

	/* The same view on each PMU, for one that booted there and one that did not */
	for (i = 0; i < nr_pmus; i++) {
		pin_self_to_cpu(pick_cpu(i));
		prepare_guest(self->vcpu, NULL);
		vcpu_arch_set_entry_point(self->vcpu, guest_check_view);
		vcpu_run(self->vcpu);
		if (get_ucall(self->vcpu, &uc) == UCALL_ABORT)
			REPORT_GUEST_ASSERT(uc);
		TEST_ASSERT_EQ(uc.cmd, UCALL_DONE);
	}
}

static void start_guest(struct kvm_vcpu *vcpu, struct guest_config *config)
{
	TEST_ASSERT_EQ(set_fixed(vcpu), 0);
	TEST_ASSERT_EQ(init_pmu(vcpu), 0);
	prepare_guest(vcpu, config);
}

static struct guest_config counting = {
	.pmcr = ARMV8_PMU_PMCR_E | ARMV8_PMU_PMCR_LC,
	.pmcnten = CYCLES,
	.lap_turns = LAP_TURNS,
};

TEST_F(vpmu_fixed, counts_on_all_cpus)
{
	u64 last, now;
	int i, cpu;

	if (nr_pmus == 1)
		TH_LOG("%s is the only PMU, moving within it", pmus[0].name);

	pin_self_to_cpu(pick_cpu(0));
	start_guest(self->vcpu, &counting);
	last = run_lap(self->vcpu).cycles;
	for (i = 0; i < nr_visits(); i++) {
		cpu = pick_cpu(i);
		pin_self_to_cpu(cpu);
		now = run_lap(self->vcpu).cycles;
		check_lap(cpu, last, now);
		last = now;
	}
}

/* The counter was enabled when only some CPUs could be reached */
TEST_F(vpmu_fixed, affinity_grows)
{
	cpu_set_t allowed;
	u64 last, now;
	int i;

	pin_self_to_cpu(pick_cpu(0));
	start_guest(self->vcpu, &counting);
	last = run_lap(self->vcpu).cycles;

	CPU_ZERO(&allowed);
	for (i = 0; i < nr_pmus; i++) {
		CPU_OR(&allowed, &allowed, &pmus[i].cpus);
		kvm_sched_setaffinity(0, sizeof(allowed), &allowed);
		now = run_lap(self->vcpu).cycles;
		check_lap(sched_getcpu(), last, now);

		/* The scheduler may have stayed where it was */
		kvm_sched_setaffinity(0, sizeof(cpu_set_t), &pmus[i].cpus);
		last = run_lap(self->vcpu).cycles;
		check_lap(sched_getcpu(), now, last);
	}
}

struct mover {
	pthread_t target;
	bool stop;
	int moves;
};

static void *move_target(void *arg)
{
	struct mover *mover = arg;

	while (!READ_ONCE(mover->stop)) {
		pin_task_to_cpu(mover->target, pick_cpu(mover->moves));
		WRITE_ONCE(mover->moves, mover->moves + 1);
		usleep(MOVE_USECS);
	}
	return NULL;
}

TEST_F(vpmu_fixed, moved_while_running)
{
	struct mover mover = { .target = pthread_self() };
	pthread_t thread;
	u64 last, now;

	start_guest(self->vcpu, &counting);
	last = run_lap(self->vcpu).cycles;
	kvm_pthread_create(&thread, NULL, move_target, &mover);
	while (READ_ONCE(mover.moves) < MIN_MOVES) {
		now = run_lap(self->vcpu).cycles;
		check_lap(sched_getcpu(), last, now);
		last = now;
	}
	WRITE_ONCE(mover.stop, true);
	kvm_pthread_join(thread, NULL);
}

/* Moves must not make a counter count that is not to */
TEST_F(vpmu_fixed, stands_still)
{
	static const struct {
		const char *why;
		struct guest_config config;
	} tests[] = {
		{ "PMCR_EL0.E is 0", { .pmcnten = CYCLES } },
		{ "PMCNTENSET_EL0 is 0", { .pmcr = ARMV8_PMU_PMCR_E } },
		{ "EL1 is filtered", { .pmcr = ARMV8_PMU_PMCR_E, .pmcnten = CYCLES,
				       .pmccfiltr = ARMV8_PMU_EXCLUDE_EL1 } },
	};
	const u64 value = 0x12345678;
	struct guest_config config;
	u64 now;
	int i, j;

	TEST_ASSERT_EQ(set_fixed(self->vcpu), 0);
	TEST_ASSERT_EQ(init_pmu(self->vcpu), 0);
	for (i = 0; i < ARRAY_SIZE(tests); i++) {
		config = tests[i].config;
		config.pmccntr = value;
		config.lap_turns = LAP_TURNS;
		prepare_guest(self->vcpu, &config);
		vcpu_arch_set_entry_point(self->vcpu, guest_count);
		for (j = 0; j < nr_visits(); j++) {
			pin_self_to_cpu(pick_cpu(j));
			now = run_lap(self->vcpu).cycles;
			TEST_ASSERT(now == value, "%s: expected %#lx on CPU %d, got %#lx",
				    tests[i].why, value, pick_cpu(j), now);
		}
	}
}

/*
 * Run laps, each on another PMU than the one before, until the counter is
 * @distance past @start, and some more. There has to be one interrupt: not
 * before, and not after the first lap that began behind the overflow.
 */
static void run_across_overflow(struct kvm_vcpu *vcpu, u64 start, u64 distance)
{
	u64 count, last = 0;
	int i, after = 0;

	for (i = 0; after < nr_visits(); i++) {
		pin_self_to_cpu(pick_cpu(i));
		count = run_lap(vcpu).cycles - start;
		TEST_ASSERT(count > last, "The counter went from %#lx to %#lx on CPU %d",
			    start + last, start + count, pick_cpu(i));

		if (last >= distance) {
			sync_global_from_guest(vcpu->vm, guest_irqs);
			TEST_ASSERT(guest_irqs.nr == 1,
				    "Expected 1 interrupt %lu cycles after the overflow, got %lu",
				    count - distance, guest_irqs.nr);
			after++;
		}
		last = count;
	}

	TEST_ASSERT_EQ(guest_irqs.intid, PMU_IRQ);
	TEST_ASSERT_EQ(guest_irqs.pmovs, CYCLES);
	TEST_ASSERT(guest_irqs.pmccntr - start >= distance, "Interrupt with the counter at %#lx",
		    guest_irqs.pmccntr);
	TEST_ASSERT_EQ(get_sysreg(vcpu, SYS_PMOVSSET_EL0), 0);
}

/* With multiplications of three cycles or so, each PMU is visited twice before */
static u64 overflow_distance(void)
{
	return 2UL * nr_pmus * LAP_TURNS * 3;
}

static struct guest_config config_overflow(u64 pmcr, u64 wrap)
{
	struct guest_config config = counting;

	config.pmcr = pmcr;
	config.pmccntr = wrap - overflow_distance();
	return config;
}

TEST_F(vpmu_fixed, overflow_64bit)
{
	struct guest_config config;

	config = config_overflow(ARMV8_PMU_PMCR_E | ARMV8_PMU_PMCR_LC, 0);
	start_guest(self->vcpu, &config);
	run_across_overflow(self->vcpu, config.pmccntr, overflow_distance());
}

TEST_F(vpmu_fixed, overflow_32bit)
{
	struct guest_config config;

	/* The upper half neither matters nor is lost */
	config = config_overflow(ARMV8_PMU_PMCR_E, 7UL << 32);
	start_guest(self->vcpu, &config);
	if (run_lap(self->vcpu).pmcr & ARMV8_PMU_PMCR_LC)
		SKIP(return, "PMCR_EL0.LC is RES1");
	run_across_overflow(self->vcpu, config.pmccntr, overflow_distance());
}

/* A 64bit counter passes 2^32 */
TEST_F(vpmu_fixed, no_overflow)
{
	struct guest_config config;
	u64 now;
	int i;

	config = config_overflow(ARMV8_PMU_PMCR_E | ARMV8_PMU_PMCR_LC, 7UL << 32);
	start_guest(self->vcpu, &config);
	for (i = 0, now = 0; now < (7UL << 32) + overflow_distance(); i++) {
		pin_self_to_cpu(pick_cpu(i));
		now = run_lap(self->vcpu).cycles;
	}
	sync_global_from_guest(self->vm, guest_irqs);
	TEST_ASSERT_EQ(guest_irqs.nr, 0);
}

static const u32 saved_regs[] = {
	SYS_PMCR_EL0, SYS_PMCCNTR_EL0, SYS_PMCCFILTR_EL0, SYS_PMSELR_EL0,
	SYS_PMCNTENSET_EL0, SYS_PMINTENSET_EL1, SYS_PMOVSSET_EL0, SYS_PMUSERENR_EL0,
};

/* A running counter goes on in another VM, with the overflow it is armed for */
TEST_F(vpmu_fixed, save_restore)
{
	u64 saved[ARRAY_SIZE(saved_regs)], reg, start;
	struct guest_config config;
	struct kvm_vcpu *vcpu;
	struct kvm_vm *vm;
	int i;

	config = config_overflow(ARMV8_PMU_PMCR_E | ARMV8_PMU_PMCR_LC, 0);
	start = config.pmccntr;
	pin_self_to_cpu(pick_cpu(0));
	start_guest(self->vcpu, &config);
	run_lap(self->vcpu);
	run_lap(self->vcpu);
	for (i = 0; i < ARRAY_SIZE(saved_regs); i++)
		saved[i] = get_sysreg(self->vcpu, saved_regs[i]);

	vm = vm_create(NR_VCPUS);
	vcpu = add_vcpu(vm, 0, variant->features);
	add_vcpu(vm, 1, variant->features);
	kvm_arch_vm_finalize_vcpus(vm);
	config.restored = true;
	start_guest(vcpu, &config);
	for (i = 0; i < ARRAY_SIZE(saved_regs); i++) {
		reg = KVM_ARM64_SYS_REG(saved_regs[i]);
		vcpu_set_reg(vcpu, reg, saved[i]);
		TEST_ASSERT(vcpu_get_reg(vcpu, reg) == saved[i],
			    "Register %#lx: wrote %#lx, read %#lx", reg, saved[i],
			    vcpu_get_reg(vcpu, reg));
	}

	/* On to another PMU, with what was counted so far */
	pin_self_to_cpu(pick_cpu(1));
	TEST_ASSERT(run_lap(vcpu).cycles - start > LAP_TURNS, "The saved count is lost");
	run_across_overflow(vcpu, start, overflow_distance());
	kvm_vm_free(vm);
}

static bool has_fixed_counters_only(void)
{
	struct kvm_vm *vm = vm_create(1);
	struct kvm_vcpu *vcpu = add_vcpu(vm, 0, BIT(KVM_ARM_VCPU_PMU_V3));
	bool has = !has_attr(vcpu, FIXED_COUNTERS_ONLY);

	kvm_vm_free(vm);
	return has;
}

int main(int argc, char *argv[])
{
	TEST_REQUIRE(kvm_has_cap(KVM_CAP_ARM_PMU_V3));
	TEST_REQUIRE(kvm_supports_vgic_v3());
	TEST_REQUIRE(has_fixed_counters_only());

	find_pmus();
	TEST_REQUIRE(nr_pmus);

	return test_harness_run(argc, argv);
}
