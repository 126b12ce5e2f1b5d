// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Claim: with fixed counters only, a guest's cycle counter counts to the cycle on each CPU that has
 * a PMU, whatever kinds of PMU a host has.
 *
 * How it can tell: the host's perf, without KVM, shows that the PMUs are of the kind in question.
 * What the guest counts is compared with a model, see steps.h. Each group runs on the topology
 * unlike-GROUP of testbed/, "unmapped" on unlike-alien. Those marked * need the kernel "unlike".
 *
 *   unlike alien *      PMUs that are not PMUv3 to KVM
 *   unlike unmapped *   its negative control: with arm_pmuv3.map_events=0 KVM takes the same PMUs
 *                       for PMUv3
 *   unlike counters *   PMUs with different numbers of event counters
 *   unlike overlap      PMUs that claim the same CPUs
 *   unlike partial      CPUs without a PMU
 *   unlike versions *   CPUs that differ in the version of their PMU, where KVM has no PMU for
 *                       guests
 *   unlike late *       such CPUs that come online when KVM has PMUs already
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/klog.h>
#include <unistd.h>

#include "steps.h"

/* PMUv3: some events, and its first version in ID_AA64DFR0_EL1.PMUVer */
#define SW_INCR		0x00
#define CPU_CYCLES	0x11
#define CHAIN		0x1e
#define PMUVER_FIRST	1
/* Cycles to an overflow: some steps */
#define SOON		600
/* syslog(2): read all messages, into more bytes than the kernel keeps */
#define READ_ALL	3
#define LOG_SIZE	(1 << 20)

/* How often the text is in the kernel's log */
static int count_messages(const char *text)
{
	static char log[LOG_SIZE];
	int length = klogctl(READ_ALL, log, sizeof(log) - 1), count = 0;

	if (length < 0)
		die("the kernel's log cannot be read");
	log[length] = 0;
	for (const char *at = log; (at = strstr(at, text)); at += strlen(text))
		count++;
	return count;
}

/* Swaps a PMU with the first one, which BACKED_BY_PMU takes */
static void put_first(int i)
{
	struct host_pmu pmu = pmus[0];

	pmus[0] = pmus[i];
	pmus[i] = pmu;
}

static void test_counts(enum backing backing, uint64_t cpus, const char *name)
{
	struct stepper stepper;
	bool ok;

	stepper_create(&stepper, PMU, backing);
	ok = check_cpus(&stepper, cpus, false) && check_cpus(&stepper, cpus, false);
	stepper_destroy(&stepper);
	result(ok, "a guest's counter counts exactly, %s %s", name,
	       backing == BACKED_BY_FIXED ? "on all CPUs that have a PMU" : pmus[0].name);
}

static void test_counts_by_each(void)
{
	test_counts(BACKED_BY_FIXED, all_cpus, "with fixed counters only");
	for (int i = 0; i < pmu_count; i++) {
		put_first(i);
		test_counts(BACKED_BY_PMU, pmus[0].cpus, "by SET_PMU on");
		test_counts(BACKED_BY_DEFAULT, pmus[0].cpus, "by default on");
		put_first(i);
	}
}

static bool takes_number(const struct host_pmu *pmu, unsigned int number)
{
	int event = open_event(pmu, number, __builtin_ctzll(pmu->cpus));

	if (event >= 0)
		close(event);
	else if (event != -ENOENT)
		die("perf_event_open for %s failed with %d", pmu->name, event);
	return event >= 0;
}

static void test_numbers(void)
{
	bool ok = true;

	for (int i = 0; i < pmu_count; i++) {
		ok &= equal("takes PMUv3's number", takes_number(&pmus[i], CPU_CYCLES), false);
		for (int j = 0; j < pmu_count; j++)
			ok &= equal("takes a number", takes_number(&pmus[i], pmus[j].cycles),
				    i == j);
	}
	result(ok, "a PMU of the host takes its own number for cycles alone");
}

/* How many events for cycles fit on one of its CPUs at a time */
static int count_counters(const struct host_pmu *pmu)
{
	int events[MAX_COUNTERS];
	int count = take_counters(pmu, __builtin_ctzll(pmu->cpus), events, 0);

	for (int i = 0; i < count; i++)
		close(events[i]);
	printf("# PMU %s has %d counters for cycles, 0x%x\n", pmu->name, count, pmu->cycles);
	return count;
}

static void test_tied(void)
{
	bool ok = true;

	for (int i = 0; i < pmu_count; i++)
		ok &= equal(pmus[i].name, count_counters(&pmus[i]), 1);
	result(ok, "a PMU of the host has one counter for cycles");
}

static void test_identity(void)
{
	bool ok = true;

	for (int i = 0; i < pmu_count; i++) {
		struct vm vm;

		put_first(i);
		guest_create(&vm, PMU, BACKED_BY_PMU, guest_identify);
		pin_to(pmus[0].cpus);
		ok &= equal("PMUVer", PMUVER(vcpu_get_reg(&vm, 0, REG_ID_AA64DFR0_EL1)),
			    PMUVER_FIRST);
		ok &= equal("PMCR_EL0.N", PMCR_N(next_value(&vm)), 1);
		ok &= equal("PMCEID0_EL0", next_value(&vm),
			    1 << SW_INCR | 1 << CPU_CYCLES | 1 << CHAIN);
		vm_destroy(&vm);
		put_first(i);
		pin_to(all_cpus);
	}
	result(ok, "a guest of one PMU sees the first version of PMUv3, with one event counter");
}

static void test_alien(void)
{
	test_numbers();
	test_tied();
	test_identity();
	test_counts_by_each();
}

static void test_unmapped_vm(enum backing backing, const char *name)
{
	bool ok = true;
	struct vm vm;

	pin_to(pmus[0].cpus);
	counter_create(&vm, backing, PMCR_E | PMCR_LC, 0, LAP_TURNS);
	for (int i = 0; i < 2 * __builtin_popcountll(all_cpus); i++) {
		pin_to(every_cpu(i));
		ok &= equal("the counter", next_value(&vm), 0);
	}
	vm_destroy(&vm);
	pin_to(all_cpus);
	result(ok, "without a map of events a guest's counter stands still everywhere, %s", name);
}

static void test_unmapped(void)
{
	test_numbers();
	test_unmapped_vm(BACKED_BY_FIXED, "fixed counters");
	test_unmapped_vm(BACKED_BY_DEFAULT, "default PMU");
}

static int set_counters(int pmu, unsigned int counters, uint64_t *n)
{
	struct vm vm;
	int status;

	if (vm_create_vcpu(&vm, PMU) ||
	    vcpu_set_attr(&vm, 0, KVM_ARM_VCPU_PMU_V3_SET_PMU, &pmus[pmu].type))
		die("PMU %s cannot be selected", pmus[pmu].name);
	*n = PMCR_N(vcpu_get_reg(&vm, 0, REG_PMCR_EL0));
	status = vcpu_set_attr(&vm, 0, KVM_ARM_VCPU_PMU_V3_SET_NR_COUNTERS, &counters);
	vm_destroy(&vm);
	return status;
}

/* One of the counters that can count cycles is the cycle counter. */
static void test_counters(void)
{
	unsigned int counters[MAX_PMUS];
	bool ok = true;
	uint64_t n;

	for (int i = 0; i < pmu_count; i++) {
		counters[i] = count_counters(&pmus[i]) - 1;
		ok &= equal("SET_NR_COUNTERS to all", set_counters(i, counters[i], &n), 0) &&
			equal("PMCR_EL0.N", n, counters[i]);
		ok &= equal("SET_NR_COUNTERS to one more", set_counters(i, counters[i] + 1, &n),
			    -EINVAL);
	}
	result(counters[0] != counters[1],
	       "two PMUs of the host have different numbers of event counters");
	result(ok, "a guest of one PMU has as many event counters as that PMU");
	test_counts_by_each();
}

static void test_overlap(void)
{
	result(equal("CPUs of the first", pmus[0].cpus, all_cpus) &&
	       equal("CPUs of the second", pmus[1].cpus, all_cpus),
	       "two PMUs of the host claim the same CPUs");
	test_counts_by_each();
}

static void test_init_elsewhere(uint64_t elsewhere)
{
	struct vm vm;
	bool ok;

	pin_to(elsewhere);
	/* There is no default PMU here; strict VMs need none. */
	ok = equal("with a default PMU", vm_create_vcpu(&vm, PMU), -ENODEV);
	vm_destroy(&vm);
	ok &= equal("strict", vm_create_vcpu(&vm, STRICT), 0);
	ok &= equal("fixed counters",
		    vcpu_set_attr(&vm, 0, KVM_ARM_VCPU_PMU_V3_FIXED_COUNTERS_ONLY, NULL), 0);
	vm_destroy(&vm);
	pin_to(all_cpus);
	result(ok, "a vCPU can be initialised on a CPU without a PMU if it is strict");
}

static void test_stands_still(uint64_t elsewhere)
{
	struct stepper stepper;
	bool ok;

	stepper_create(&stepper, PMU, BACKED_BY_FIXED);
	ok = counts_on(&stepper, all_cpus) && stands_still(&stepper, elsewhere) &&
	     check_registers(&stepper) && counts_on(&stepper, all_cpus);
	stepper_destroy(&stepper);
	result(ok, "a guest's counter stands still on CPUs without a PMU, "
	       "and counts exactly on the others before and after");
}

/* What the guest programs on a CPU without a PMU has its effect on the others. */
static void test_programmed_elsewhere(uint64_t elsewhere)
{
	struct stepper stepper;
	bool ok;

	stepper_create(&stepper, PMU, BACKED_BY_FIXED);
	pin_to(elsewhere);
	do_step(&stepper, OP_PMCCNTR, -(uint64_t)SOON, AT_EL1);
	ok = equal("PMCCNTR_EL0", read_counter(&stepper), -(uint64_t)SOON);
	ok = ok && stands_still(&stepper, elsewhere) && counts_on(&stepper, all_cpus) &&
	     equal("PMOVSSET_EL0", stepper.model.overflowed, PMU_CYCLE_BIT);
	stepper_destroy(&stepper);
	result(ok, "an overflow that was armed on a CPU without a PMU comes on time on the others");
}

static void test_partial(void)
{
	uint64_t elsewhere = ((1ULL << sysconf(_SC_NPROCESSORS_ONLN)) - 1) & ~all_cpus;
	const char *said = " has no PMU, guest counters stand still on it";
	char warning[128];
	bool ok;

	if (!elsewhere)
		die("each CPU of this host has a PMU");
	test_counts(BACKED_BY_FIXED, all_cpus, "with fixed counters only");
	ok = equal("warnings before", count_messages(said), 0);
	test_stands_still(elsewhere);
	test_programmed_elsewhere(elsewhere);
	snprintf(warning, sizeof(warning), "CPU%d%s; keep vCPUs off it", __builtin_ctzll(elsewhere),
		 said);
	ok &= equal("warnings", count_messages(said), 1);
	ok &= equal("that name the CPU and what to do", count_messages(warning), 1);
	result(ok, "one warning names the first CPU without a PMU that a vCPU ran on");
	test_init_elsewhere(elsewhere);
}

static void test_versions(void)
{
	const char *warning =
		"no PMU for guests, the CPUs differ in ID_AA64DFR0_EL1.PMUVer; "
		"boot with those of one version (nr_cpus=)";
	struct vm vm;
	bool ok;

	for (int i = 0; i < pmu_count; i++)
		count_counters(&pmus[i]);
	ok = equal("KVM_CAP_ARM_PMU_V3", capability(kvm_fd(), KVM_CAP_ARM_PMU_V3), 0);
	ok &= equal("KVM_CAP_ARM_PMU_V3_FIXED_COUNTERS_ONLY",
		    capability(kvm_fd(), KVM_CAP_ARM_PMU_V3_FIXED_COUNTERS_ONLY), 0);
	ok &= equal("KVM_ARM_VCPU_INIT with a PMU", vm_create_vcpu(&vm, PMU), -EINVAL);
	ok &= equal("KVM_ARM_VCPU_INIT without", vcpu_init(&vm, 0, 0), 0);
	ok &= equal("fixed counters",
		    vcpu_set_attr(&vm, 0, KVM_ARM_VCPU_PMU_V3_FIXED_COUNTERS_ONLY, NULL), -ENODEV);
	vm_destroy(&vm);
	result(ok, "no guest has a PMU where the CPUs differ in PMUVer, although the host has");
	result(equal("warnings", count_messages(warning), 1),
	       "one warning says why guests have no PMU, and what helps");
}

/* When the last CPU comes online again, it has another PMUVer */
static void test_late(void)
{
	struct vm before, vm;
	uint64_t version;
	int late = 0;
	bool ok;

	for_each_cpu(cpu, all_cpus)
		late = cpu;
	ok = equal("KVM_CAP_ARM_PMU_V3 before", capability(kvm_fd(), KVM_CAP_ARM_PMU_V3), 1);
	ok &= equal("KVM_ARM_VCPU_INIT before", vm_create_vcpu(&before, PMU), 0);
	version = PMUVER(vcpu_get_reg(&before, 0, REG_ID_AA64DFR0_EL1));
	set_online(late, false);
	set_online(late, true);
	ok &= equal("KVM_CAP_ARM_PMU_V3", capability(kvm_fd(), KVM_CAP_ARM_PMU_V3), 0);
	ok &= equal("KVM_CAP_ARM_PMU_V3_FIXED_COUNTERS_ONLY",
		    capability(kvm_fd(), KVM_CAP_ARM_PMU_V3_FIXED_COUNTERS_ONLY), 0);
	ok &= equal("KVM_ARM_VCPU_INIT", vm_create_vcpu(&vm, PMU), -EINVAL);
	vm_destroy(&vm);
	result(ok, "no new guest gets a PMU once a CPU has come online with another PMUVer");
	ok = equal("whether there was one", version != 0, true);
	ok &= equal("KVM_ARM_VCPU_INIT again", vcpu_init(&before, 0, PMU), 0);
	ok &= equal("KVM_ARM_VCPU_INIT without a PMU", vcpu_init(&before, 0, 0), -EINVAL);
	ok &= equal("PMUVer", PMUVER(vcpu_get_reg(&before, 0, REG_ID_AA64DFR0_EL1)), version);
	vm_destroy(&before);
	result(ok, "a guest that has a PMU keeps it, and can be reset");
}

const struct group groups[] = {
	{ "alien", test_alien, 2 },
	{ "unmapped", test_unmapped, 2 },
	{ "counters", test_counters, 2 },
	{ "overlap", test_overlap, 2 },
	{ "partial", test_partial, 1 },
	{ "versions", test_versions, 2 },
	{ "late", test_late, 2 },
	{ 0 }
};
