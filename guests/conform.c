// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Claim: the PMU is what the architecture says a PMUv3 is, one with no event counters included.
 *
 * Why it matters: guests rely on the architecture and not on a hypervisor. Arm ARM (DDI 0487),
 * chapter "The Performance Monitors Extension", and the descriptions of the registers, which the
 * comments name.
 *
 * How it can tell: each check asks for what the ID registers and PMCR_EL0.N make the architecture
 * ask for, so that the same binary runs anywhere. Where behaviour is CONSTRAINED UNPREDICTABLE, all
 * that is permitted passes and nothing else. RES0 bits may keep what was written, but have no
 * effect. What the counter counts is compared with zero, with itself, or by a factor: no clock is.
 * How long something lasts is counted in spins, and what is waited for has time while the vCPU
 * runs: one that waits for its turn is not late.
 */
#include <string.h>

#include "conform/conform.h"

#define WINDOWS		"windows_"		/* names of how Windows uses the PMU begin so */
#define ID_FIELD(reg, shift)	(read_sysreg(reg) >> (shift) & 0xf)
#define ID_PFR0_EL0_SHIFT	0
#define ID_PFR0_EL2_SHIFT	8
#define ID_PFR0_EL3_SHIFT	12
#define ID_MMFR0_FGT_SHIFT	56
#define ID_PFR0_AARCH32		2

static const struct check {
	const char *name;
	void (*run)(void);
} checks[] = {
	/* first: nothing has been written yet. Those of how Windows uses the PMU */
	{ "windows_untouched", check_windows_untouched },
	{ "windows_loader", check_windows_loader },
	{ "windows_bitmaps", check_windows_bitmaps },
	{ "windows_context_switches", check_windows_context_switches },
	{ "windows_user_en", check_windows_user_en },
	{ "windows_user_cr_er", check_windows_user_cr_er },
	{ "windows_read_pmc", check_windows_read_pmc },
	{ "windows_profiler", check_windows_profiler },
	{ "windows_profiler_overflow", check_windows_profiler_overflow },
	/* what Windows is not known to need */
	{ "reset", check_reset },
	{ "version", check_version },
	{ "pmcr_read_only_fields", check_read_only_fields },
	{ "pmcr_write_only_bits", check_write_only_bits },
	{ "pmcr_writable_bits", check_writable_bits },
	{ "pmcnten_bits", check_enable_bits },
	{ "pminten_bits", check_interrupt_bits },
	{ "pmovs_bits", check_overflow_bits },
	{ "pmccntr_64_bits", check_cycle_counter_64 },
	{ "pmccfiltr_bits", check_filter_bits },
	{ "pmuserenr_bits", check_user_enable_bits },
	{ "pmceid", check_event_ids },
	{ "pmmir", check_pmmir },
	{ "no_such_access", check_no_such_access },
	{ "pmswinc", check_software_increment },
	{ "pmselr", check_selection },
	{ "pmxevtyper_31", check_selected_filter },
	{ "pmxevcntr_31", check_selected_cycle_counter },
	{ "pmxev_beyond_n", check_selected_beyond },
	{ "pmev_beyond_n", check_direct_beyond },
	{ "pmev_below_n", check_event_counters },
	{ "counts", check_counts },
	{ "pmcr_e", check_global_enable },
	{ "stopped", check_stopped },
	{ "counts_on", check_counts_on },
	{ "write_while_counting", check_write_while_counting },
	{ "monotonic", check_monotonic },
	{ "pmcr_c", check_reset_cycle_counter },
	{ "pmcr_p", check_reset_event_counters },
	{ "pmcr_d", check_divider },
	{ "pmcr_d_with_lc", check_divider_long },
	{ "pmcr_dp", check_prohibited },
	{ "pmccfiltr_p_u", check_filters },
	{ "pmccfiltr_res0", check_filter_res0 },
	{ "wfi", check_wfi },
	{ "overflow_64", check_overflow_64 },
	{ "overflow_late", check_overflow_late },
	{ "overflow_32", check_overflow_32 },
	{ "no_overflow", check_no_overflow },
	{ "no_overflow_63", check_no_overflow_63 },
	{ "overflow_stays", check_overflow_stays },
	{ "write_is_no_overflow", check_write_is_no_overflow },
	{ "interrupt_once", check_interrupt },
	{ "interrupt_level", check_interrupt_level },
	{ "interrupt_pminten", check_interrupt_enable },
	{ "interrupt_pmcr_e", check_interrupt_global_enable },
	{ "interrupt_by_pmovsset", check_interrupt_by_software },
	{ "interrupt_at_el0", check_interrupt_at_el0 },
	{ "el0_access", check_user_access },
	{ "el0_access_sw_cr_er", check_user_own_access },
	{ "el0_trap", check_user_trap },
	{ "el0_cycle_counter", check_user_cycle_counter },
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
static unsigned int check_count = ARRAY_SIZE(checks);
static bool failed[ARRAY_SIZE(checks)];
static unsigned int current;

const char *check_name(void)
{
	return checks[current].name;
}

bool first_failure(void)
{
	bool first = !failed[current];

	failed[current] = true;
	return first;
}

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

static void identify(void)
{
	pmu.version = ID_FIELD(id_aa64dfr0_el1, ID_DFR0_PMUVER_SHIFT);
	if (pmu.version == ID_PMUVER_NONE || pmu.version == ID_PMUVER_IMPDEF)
		stop("no PMU pmuver=0x%x", pmu.version);
	pmu.pmcr_at_reset = read_sysreg(pmcr_el0);
	pmu.counters = pmu.pmcr_at_reset >> PMCR_N_SHIFT & ((1 << PMCR_N_BITS) - 1);
	pmu.fgt = ID_FIELD(id_aa64mmfr0_el1, ID_MMFR0_FGT_SHIFT);
	/* A level may only use AArch32 if all below may */
	pmu.aarch32 = ID_FIELD(id_aa64pfr0_el1, ID_PFR0_EL0_SHIFT) == ID_PFR0_AARCH32;
	pmu.el2 = ID_FIELD(id_aa64pfr0_el1, ID_PFR0_EL2_SHIFT);
	pmu.el3 = ID_FIELD(id_aa64pfr0_el1, ID_PFR0_EL3_SHIFT);
	print("conform pmuver=%u n=%u fgt=%u aarch32=%u el2=%u el3=%u repeat=%s", pmu.version,
	      pmu.counters, pmu.fgt, pmu.aarch32, pmu.el2, pmu.el3, repeats[params[REPEAT].value]);
}

/*
 * Each check once, and again until something is typed if asked for; one that has failed has said
 * so.
 */
static void run_checks(void)
{
	uint64_t rounds = 0;

	do {
		rounds++;
		for (current = 0; current < check_count; current++) {
			if (failed[current])
				continue;
			checks[current].run();
			reset_pmu();
		}
	} while (params[REPEAT].value == REPEAT_UNTIL_INPUT && !has_input());
	print("done rounds=%lu", rounds);
}

static unsigned int print_passed(void)
{
	unsigned int passed = 0;

	for (unsigned int i = 0; i < check_count; i++) {
		if (failed[i])
			continue;
		print("PASS %s", checks[i].name);
		passed++;
	}
	return passed;
}

static unsigned int count_windows_checks(void)
{
	unsigned int count = 0;

	while (!strncmp(checks[count].name, WINDOWS, strlen(WINDOWS)))
		count++;
	return count;
}

void guest_main(void)
{
	unsigned int passed;

	read_params(params, ARRAY_SIZE(params));
	if (params[GROUP].value == GROUP_WINDOWS)
		check_count = count_windows_checks();
	write_sysreg(vectors_of_run, vbar_el1);
	isb();
	identify();
	overflow_init();
	run_checks();
	passed = print_passed();
	if (passed < check_count)
		fail("%u of %u checks", check_count - passed, check_count);
	pass("%u checks", check_count);
}
