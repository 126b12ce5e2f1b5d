// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Claim: the PMU behaves as the architecture requires of a PMUv3, even if it has no event counters.
 *
 * Why it matters: guests rely on the architecture and not on a hypervisor. Arm ARM (DDI 0487),
 * chapter "The Performance Monitors Extension", and the descriptions of the registers, which the
 * comments name.
 *
 * How it can tell: each check expects what the architecture requires for the values of the ID
 * registers and PMCR_EL0.N, so the same binary runs anywhere. Where behaviour is CONSTRAINED
 * UNPREDICTABLE, all that is permitted passes and nothing else. RES0 bits may keep what was
 * written, but must have no effect. Counts are compared with zero, with each other, or by a factor,
 * never with a clock. Durations are counted in spins, and only time in which the vCPU runs counts
 * towards a time limit: a vCPU that waits for its turn on the host is not late.
 */
#include "conform/conform.h"

#define ID_FIELD(reg, shift)	(read_sysreg(reg) >> (shift) & 0xf)
#define ID_PFR0_EL0_SHIFT	0
#define ID_PFR0_EL2_SHIFT	8
#define ID_PFR0_EL3_SHIFT	12
#define ID_MMFR0_FGT_SHIFT	56
#define ID_PFR0_AARCH32		2

/* The checks of how Windows uses the PMU come first: nothing has been written to it then. */
static struct check *const tables[] = {
	windows_checks, registers_checks, selection_checks, counting_checks, overflow_checks,
	user_checks,
};

enum { REPEAT, GROUP };
enum group { GROUP_ALL, GROUP_WINDOWS };
enum repeat { REPEAT_NO, REPEAT_UNTIL_INPUT };

static const char *const repeats[] = { "no", "until_input", NULL };

static const char *const groups[] = { "all", "windows", NULL };

static struct param params[] = {
	[REPEAT] = { .name = "repeat", .value = REPEAT_NO, .words = repeats },
	[GROUP] = { .name = "group", .value = GROUP_ALL, .words = groups },
};

struct pmu pmu;
struct check *check;
static unsigned int check_count, passed;

void expect_equal(const char *what, uint64_t expected, uint64_t got)
{
	expect(got == expected, "%s: expected 0x%lx, got 0x%lx", what, expected, got);
}

void reset_pmu(void)
{
	write_sysreg(PMCR_LC, pmcr_el0);
	write_sysreg(~0UL, pmcntenclr_el0);
	write_sysreg(~0UL, pmintenclr_el1);
	write_sysreg(~0UL, pmovsclr_el0);
	write_sysreg(0, pmccfiltr_el0);
	write_sysreg(0, pmccntr_el0);
	write_sysreg(CYCLE_COUNTER, pmselr_el0);
	write_sysreg(0, pmuserenr_el0);
	isb();
}

void prepare_at(uint64_t value)
{
	reset_pmu();
	write_sysreg(value, pmccntr_el0);
	write_sysreg(CYCLE_BIT, pmcntenset_el0);
}

void start_at(uint64_t value, uint64_t pmcr)
{
	prepare_at(value);
	write_sysreg(pmcr | PMCR_E, pmcr_el0);
	isb();
}

uint64_t cycles_now(void)
{
	isb();
	return read_sysreg(pmccntr_el0);
}

static void identify(void)
{
	pmu.version = ID_FIELD(id_aa64dfr0_el1, ID_DFR0_PMUVER_SHIFT);
	if (pmu.version == ID_PMUVER_NONE || pmu.version == ID_PMUVER_IMPDEF)
		stop("no PMU pmuver=0x%x", pmu.version);
	pmu.pmcr_at_reset = read_sysreg(pmcr_el0);
	pmu.counters = pmu.pmcr_at_reset >> PMCR_N_SHIFT & ((1 << PMCR_N_BITS) - 1);
	pmu.fgt = ID_FIELD(id_aa64mmfr0_el1, ID_MMFR0_FGT_SHIFT);
	/* A level can use AArch32 only if all levels below it can */
	pmu.aarch32 = ID_FIELD(id_aa64pfr0_el1, ID_PFR0_EL0_SHIFT) == ID_PFR0_AARCH32;
	pmu.el2 = ID_FIELD(id_aa64pfr0_el1, ID_PFR0_EL2_SHIFT);
	pmu.el3 = ID_FIELD(id_aa64pfr0_el1, ID_PFR0_EL3_SHIFT);
	print("conform pmuver=%u n=%u fgt=%u aarch32=%u el2=%u el3=%u repeat=%s", pmu.version,
	      pmu.counters, pmu.fgt, pmu.aarch32, pmu.el2, pmu.el3, repeats[params[REPEAT].value]);
}

static void for_each_check(void (*fn)(void))
{
	size_t count = params[GROUP].value == GROUP_WINDOWS ? 1 : ARRAY_SIZE(tables);

	for (size_t i = 0; i < count; i++)
		for (check = tables[i]; check->name; check++)
			fn();
}

/* A check that has failed has printed why; it does not run again. */
static void run_check(void)
{
	if (check->failed)
		return;
	check->run();
	reset_pmu();
}

static void run_checks(void)
{
	uint64_t rounds = 0;

	do {
		rounds++;
		for_each_check(run_check);
	} while (params[REPEAT].value == REPEAT_UNTIL_INPUT && !has_input());
	print("done rounds=%lu", rounds);
}

static void report_check(void)
{
	check_count++;
	if (check->failed)
		return;
	print("PASS %s", check->name);
	passed++;
}

void guest_main(void)
{
	read_params(params, ARRAY_SIZE(params));
	identify();
	overflow_init();
	run_checks();
	for_each_check(report_check);
	if (passed < check_count)
		fail("%u of %u checks", check_count - passed, check_count);
	pass("%u checks", check_count);
}
