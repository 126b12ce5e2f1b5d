// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Claim: with fixed counters only, a guest's cycle counter stands still where events of the host
 * have taken all hardware counters. It keeps its value, and the guest can program it meanwhile.
 * Once the counters are released it counts again, exactly and without the guest's help, on the CPU
 * where it is, on other CPUs of the PMU, and on other PMUs.
 *
 * How it can tell: pinned events take every counter of the CPUs in question, which perf confirms.
 * What the guest counts afterwards is compared with a model, see steps.h, from the first step on.
 *
 *   taken all     all tests, in the exact host
 */
#include <stdio.h>
#include <unistd.h>

#include "steps.h"

#define ROUNDS		5
/* Cycles to an overflow: some steps */
#define SOON		600

static int events[MAX_CPUS][MAX_COUNTERS];
static int taken[MAX_CPUS];

/* Takes all counters of the CPUs that can count cycles */
static void take(uint64_t cpus)
{
	for (int i = 0; i < pmu_count; i++)
		for_each_cpu(cpu, cpus & pmus[i].cpus) {
			taken[cpu] = take_counters(&pmus[i], cpu, events[cpu], taken[cpu]);
			if (!taken[cpu])
				die("CPU %d had no counter to take", cpu);
		}
}

static void release(uint64_t cpus)
{
	for_each_cpu(cpu, cpus)
		while (taken[cpu])
			close(events[cpu][--taken[cpu]]);
}

/* Takes the counters of CPUS while the vCPU is on one of them. On ELSEWHERE it always counts. */
static bool comes_back(struct stepper *stepper, uint64_t cpus, uint64_t elsewhere)
{
	bool ok = counts_on(stepper, first_cpu(cpus));

	take(cpus);
	ok &= stands_still(stepper, cpus) && counts_on(stepper, elsewhere) &&
		stands_still(stepper, cpus);
	release(cpus);
	/* First on the CPU where the vCPU is, then on the others */
	return ok && counts_on(stepper, 1ULL << (63 - __builtin_clzll(cpus))) &&
		counts_on(stepper, cpus | elsewhere);
}

static void test_taken(uint64_t cpus, uint64_t elsewhere, const char *name)
{
	struct stepper stepper;
	bool ok = true;

	stepper_create(&stepper, PMU, BACKED_BY_FIXED);
	for (int i = 0; ok && i < ROUNDS; i++)
		ok = comes_back(&stepper, cpus, elsewhere);
	stepper_destroy(&stepper);
	result(ok, "stands still when the host has taken %s, and counts again afterwards", name);
}

/* What the guest programs while there is no counter has its effect afterwards */
static void test_programmed(void)
{
	static const struct { enum operation operation; uint64_t operand; } operations[] = {
		{ OP_PMCCNTR, 0x123456789a }, { OP_PMCCFILTR, PMCCFILTR_U }, { OP_PMCCFILTR, 0 },
		{ OP_PMCNTENCLR, PMU_CYCLE_BIT },
		{ OP_PMCNTENSET, PMU_CYCLE_BIT }, { OP_PMCR, PMCR_LC },
		{ OP_PMCR, PMCR_E | PMCR_LC }, { OP_PMCR, PMCR_E | PMCR_LC | PMCR_C },
	};
	struct stepper stepper;
	bool ok = true;

	stepper_create(&stepper, PMU, BACKED_BY_FIXED);
	for (size_t i = 0; ok && i < ARRAY_SIZE(operations); i++) {
		const uint64_t *filter = operations[i].operation == OP_PMCCFILTR
			? &operations[i].operand : NULL;

		take(all_cpus);
		ok = stands_still(&stepper, all_cpus);
		do_step(&stepper, operations[i].operation, operations[i].operand, AT_EL1);
		ok &= stands_still(&stepper, all_cpus);
		release(all_cpus);
		stepper.model.pmcr = vcpu_get_reg(&stepper.vm, 0, REG_PMCR_EL0);
		stepper.model.enabled = vcpu_get_reg(&stepper.vm, 0, REG_PMCNTENSET_EL0);
		if (filter)
			stepper.model.filter = *filter;
		if (operations[i].operation == OP_PMCCNTR)
			ok &= read_counter(&stepper) == operations[i].operand;
		ok &= counts_on(&stepper, all_cpus);
		if (!ok)
			printf("# after operation %d with 0x%lx\n", operations[i].operation,
			       operations[i].operand);
	}
	stepper_destroy(&stepper);
	result(ok, "what the guest programs meanwhile holds afterwards");
}

/* The overflow does not come while the counter stands still, and is on time afterwards */
static void test_overflow(uint64_t pmcr, uint64_t wrap, const char *name)
{
	struct stepper stepper;
	bool ok;

	stepper_create(&stepper, PMU, BACKED_BY_FIXED);
	ok = check_step(&stepper, OP_PMCR, pmcr, AT_EL1);
	for (int i = 0; ok && i < ROUNDS; i++) {
		pin_to(every_pmu(i));
		ok = check_step(&stepper, OP_PMOVSCLR, PMU_CYCLE_BIT, AT_EL1) &&
		     check_step(&stepper, OP_PMCCNTR, wrap - SOON, AT_EL1);
		take(all_cpus);
		ok = ok && stands_still(&stepper, all_cpus) &&
			!vcpu_get_reg(&stepper.vm, 0, REG_PMOVSSET_EL0);
		release(all_cpus);
		ok = ok && counts_on(&stepper, all_cpus);
	}
	ok = ok && stepper.model.overflowed;
	stepper_destroy(&stepper);
	result(ok, "an overflow of %s is on time after the counter stood still", name);
}

static void test_all(void)
{
	uint64_t cpu = first_cpu(pmus[0].cpus), pmu = pmus[0].cpus;

	test_taken(cpu, all_cpus & ~cpu, "a CPU's counters");
	test_taken(pmu, all_cpus & ~pmu, "a PMU's counters");
	test_taken(all_cpus, 0, "all counters");
	test_programmed();
	test_overflow(PMCR_E, 7ULL << 32, "32 bits");
	test_overflow(PMCR_E | PMCR_LC, 0, "64 bits");
}

const struct group groups[] = {
	{ "all", test_all, 2 },
	{ 0 }
};
