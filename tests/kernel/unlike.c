// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Claim: with fixed counters only, a guest's cycle counter counts to the cycle on each CPU that has a PMU, whatever kinds of PMU a host has.
 *
 * How it can tell: what the guest counts is compared with a model, see steps.h. The groups are for the topologies of testbed/ that are
 * called so:
 *
 *   unlike overlap      PMUs that claim the same CPUs
 *   unlike partial      CPUs without a PMU
 */
#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "steps.h"

#define STEPS		8
/* Cycles to an overflow: some steps */
#define SOON		600

static uint64_t first_cpu(uint64_t cpus)
{
	return cpus & -cpus;
}

static bool equal(const char *what, uint64_t got, uint64_t expected)
{
	if (got != expected)
		printf("# %s: expected 0x%llx, got 0x%llx\n", what, (unsigned long long)expected, (unsigned long long)got);
	return got == expected;
}

/* BACKED_BY_PMU is by the first */
static void put_first(int i)
{
	struct host_pmu pmu = pmus[0];

	pmus[0] = pmus[i];
	pmus[i] = pmu;
}

/* Registers are not looked at: VMs with event counters have others */
static bool counts_exactly(struct stepper *stepper, uint64_t cpus)
{
	bool ok = true;

	for (int cpu = 0; ok && cpus >> cpu; cpu++) {
		if (!(cpus >> cpu & 1))
			continue;
		pin_to(1ULL << cpu);
		for (int i = 0; ok && i < STEPS; i++)
			ok = check_step(stepper, OP_NONE, 0, i & 1 ? AT_EL0 : AT_EL1);
	}
	return ok;
}

static void test_counts(enum backing backing, uint64_t cpus, const char *name)
{
	struct stepper stepper;
	bool ok;

	pin_to(first_cpu(pmus[0].cpus));
	stepper_create(&stepper, PMU, backing);
	ok = counts_exactly(&stepper, cpus) && counts_exactly(&stepper, cpus);
	stepper_destroy(&stepper);
	result(ok, "a guest's counter counts exactly, %s %s", name, backing == BACKED_BY_FIXED ? "on all CPUs that have a PMU" : pmus[0].name);
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

static void test_overlap(void)
{
	result(equal("CPUs of the first", pmus[0].cpus, all_cpus) && equal("CPUs of the second", pmus[1].cpus, all_cpus),
	       "two PMUs of the host claim the same CPUs");
	test_counts_by_each();
}

static void test_init_elsewhere(uint64_t elsewhere)
{
	bool ok = true;
	struct vm vm;

	pin_to(elsewhere);
	vm_create(&vm);
	vcpu_create(&vm, 0);
	/* There is no default PMU, which strict VMs do not have anyway. */
	ok &= equal("with a default PMU", vcpu_init(&vm, 0, PMU), -ENODEV);
	vm_destroy(&vm);
	vm_create(&vm);
	vcpu_create(&vm, 0);
	ok &= equal("strict", vcpu_init(&vm, 0, STRICT), 0);
	ok &= equal("fixed counters", vcpu_set_attr(&vm, 0, KVM_ARM_VCPU_PMU_V3_FIXED_COUNTERS_ONLY, NULL), 0);
	vm_destroy(&vm);
	pin_to(all_cpus);
	result(ok, "a vCPU can be initialised on a CPU without a PMU if it is strict");
}

static void test_stands_still(uint64_t elsewhere)
{
	struct stepper stepper;
	bool ok;

	pin_to(first_cpu(all_cpus));
	stepper_create(&stepper, PMU, BACKED_BY_FIXED);
	ok = counts_on(&stepper, all_cpus) && stands_still(&stepper, elsewhere) && check_registers(&stepper) &&
	     counts_on(&stepper, all_cpus);
	stepper_destroy(&stepper);
	result(ok, "a guest's counter stands still on CPUs without a PMU, and counts exactly on the others before and after");
}

/* What the guest programs on a CPU without a PMU holds on the others. */
static void test_programmed_elsewhere(uint64_t elsewhere)
{
	struct stepper stepper;
	bool ok;

	pin_to(first_cpu(all_cpus));
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

	if (!elsewhere)
		die("each CPU of this host has a PMU");
	test_counts(BACKED_BY_FIXED, all_cpus, "with fixed counters only");
	test_stands_still(elsewhere);
	test_programmed_elsewhere(elsewhere);
	test_init_elsewhere(elsewhere);
}

static const struct group groups[] = {
	{ "overlap", test_overlap, 2 },
	{ "partial", test_partial, 1 },
	{ 0 }
};

int main(int argc, char **argv)
{
	return run_group(groups, argc, argv);
}
