// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * How Windows uses the PMU, as far as it is known: the loader's accesses in the order of a public
 * trap log, reads of the cycle counter in the kernel and in user mode, and what a profiler does.
 * Where a value is not known, all are tried. Windows needs no event counters, no PMCEID<n>_EL0 and
 * no PMMIR_EL1; other checks look at those.
 */
#include "conform.h"

#define PMCR_SIX_BITS	0x3f
#define PMCR_READ_ONLY	0xfffff800UL
#define NO_COUNTER	30		/* beyond any N */

static bool overflowed(void)
{
	isb();
	return read_sysreg(pmovsclr_el0) & CYCLE_BIT;
}

static void set_up(bool lc, uint64_t user)
{
	uint64_t before = read_sysreg(pmcr_el0), after;

	set_up_as_loader(lc, user);
	after = read_sysreg(pmcr_el0);
	expect_equal("PMCR_EL0.{IMP, IDCODE, N} written back as read", before & PMCR_READ_ONLY,
		     after & PMCR_READ_ONLY);
	expect_equal("PMCR_EL0.E", PMCR_E, after & PMCR_E);
	expect_equal("PMCNTENSET_EL0", CYCLE_BIT, read_sysreg(pmcntenset_el0) & LOW_32_BITS);
}

static void expect_counting(const char *when)
{
	uint64_t before, after;

	before = read_sysreg(pmccntr_el0);
	spin();
	after = cycles_now();
	expect(after > before, "PMCCNTR_EL0 %s: expected more than 0x%lx, got 0x%lx", when, before,
	       after);
}

/* The first check: in the first round nothing but the firmware may have written to the PMU. */
static void check_windows_untouched(void)
{
	set_up(false, PMUSERENR_EN);
	expect_counting("after the loader's set-up of an untouched PMU");
}

/* PMCR_EL0.LC only affects the overflow: the loader reads 64 bits of cycles in either case. */
static void check_windows_loader(void)
{
	for (int lc = false; lc <= true; lc++) {
		reset_pmu();
		set_up(lc, PMUSERENR_EN);
		expect_counting("after the loader's set-up");
		write_sysreg_isb(BEYOND_32 - NEAR, pmccntr_el0);
		expect(wait_for(read_sysreg(pmccntr_el0) >= BEYOND_32),
		       "PMCCNTR_EL0 from below 2^32, PMCR_EL0.LC %d: expected more, got 0x%lx",
		       lc, read_sysreg(pmccntr_el0));
		expect_counting("beyond 2^32");
	}
}

/* Bits of event counters that do not exist are ignored, and so are the upper halves. */
static void check_windows_bitmaps(void)
{
	uint64_t there = counter_bits();

	set_up(true, PMUSERENR_EN);
	for (uint64_t all = LOW_32_BITS; all; all = all == LOW_32_BITS ? ~0UL : 0) {
		write_sysreg_isb(all, pmcntenset_el0);
		expect_equal("PMCNTENSET_EL0 after all bits", there,
			     read_sysreg(pmcntenset_el0) & LOW_32_BITS);
		write_sysreg(all & ~CYCLE_BIT, pmcntenclr_el0);
		write_sysreg(all, pmovsclr_el0);
		write_sysreg(all, pmintenclr_el1);
		isb();
		expect_equal("PMCNTENSET_EL0 after all others are cleared", CYCLE_BIT,
			     read_sysreg(pmcntenset_el0) & LOW_32_BITS);
		expect_counting("with all others cleared");
	}
}

/* The kernel charges a thread with the cycles between two context switches, spent at EL0. */
static void check_windows_context_switches(void)
{
	set_up(true, PMUSERENR_EN);
	for (int i = 0; i < 20; i++) {
		uint64_t start = read_sysreg(pmccntr_el0), end;

		run_at(AT_EL0, code_spin, 0, false);
		end = cycles_now();
		expect(end > start,
		       "PMCCNTR_EL0 after a thread at EL0: expected more than 0x%lx, got 0x%lx",
		       start, end);
	}
}

/* ReadTimeStampCounter() reads PMCCNTR_EL0 in user mode, and gets the kernel's value. */
static void check_user_reads(uint64_t user)
{
	static const uint64_t start = 1UL << 48;
	struct access first, second;

	reset_pmu();
	set_up(true, user);
	write_sysreg_isb(start, pmccntr_el0);
	first = read_at(AT_EL0, SYS_PMCCNTR_EL0);
	run_at(AT_EL0, code_spin, 0, false);
	second = read_at(AT_EL0, SYS_PMCCNTR_EL0);
	expect(first.result == DONE && second.result == DONE,
	       "read of PMCCNTR_EL0 at EL0, PMUSERENR_EL0 0x%lx: expected %s, got %s", user,
	       result_names[DONE],
	       result_names[first.result == DONE ? second.result : first.result]);
	expect(first.value >= start && second.value > first.value && second.value < 2 * start,
	       "PMCCNTR_EL0 read at EL0, PMUSERENR_EL0 0x%lx: expected more and more from 0x%lx, "
	       "got 0x%lx and 0x%lx", user, start, first.value, second.value);
}

static void check_windows_user_en(void)
{
	check_user_reads(PMUSERENR_EN);
}

static void check_windows_user_cr_er(void)
{
	check_user_reads(PMUSERENR_CR | PMUSERENR_ER);
	check_user_reads(PMUSERENR_EN | PMUSERENR_CR | PMUSERENR_ER);
}

/*
 * ReadPMC() selects a counter and reads it in user mode. For one that does not exist, and for 31,
 * any permitted result passes; the cycle counter must go on counting.
 */
static void check_windows_read_pmc(void)
{
	static const unsigned int selected[] = { CYCLE_COUNTER, NO_COUNTER };
	static const uint64_t users[] = { PMUSERENR_EN, PMUSERENR_ER, PMUSERENR_CR | PMUSERENR_ER };

	for (size_t i = 0; i < ARRAY_SIZE(selected) * ARRAY_SIZE(users); i++) {
		struct access got;

		reset_pmu();
		set_up(true, users[i % ARRAY_SIZE(users)]);
		got = write_at(AT_EL0, SYS_PMSELR_EL0, selected[i / ARRAY_SIZE(users)]);
		expect(got.result != OTHER_EXCEPTION, "write of PMSELR_EL0 at EL0: got %s",
		       result_names[got.result]);
		got = read_at(AT_EL0, SYS_PMXEVCNTR_EL0);
		expect(got.result != OTHER_EXCEPTION, "read of PMXEVCNTR_EL0 at EL0: got %s",
		       result_names[got.result]);
		expect_counting("after ReadPMC()");
	}
}

/*
 * A profiler that takes PMCR_EL0 for six bits, as on older architectures, clears LC. The counter
 * keeps its value.
 */
static void check_windows_profiler(void)
{
	uint64_t pmcr, stopped;

	set_up(true, PMUSERENR_EN);
	pmcr = read_sysreg(pmcr_el0) & PMCR_SIX_BITS;
	write_sysreg_isb(pmcr & ~(uint64_t)PMCR_E, pmcr_el0);
	stopped = read_sysreg(pmccntr_el0);
	spin();
	expect_equal("PMCCNTR_EL0 with PMCR_EL0.E 0", stopped, read_sysreg(pmccntr_el0));
	write_sysreg((pmcr & ~(uint64_t)PMCR_E) | PMCR_P, pmcr_el0);
	write_sysreg(LOW_32_BITS, pmovsclr_el0);
	isb();
	expect_equal("PMCCNTR_EL0 after PMCR_EL0.P", stopped, read_sysreg(pmccntr_el0));
	write_sysreg_isb(pmcr | PMCR_E, pmcr_el0);
	expect_counting("with PMCR_EL0.E 1 again");
}

/* A sampling profiler: with LC = 0 it writes the counter, and clears the overflow of 32 bits. */
static void check_windows_profiler_overflow(void)
{
	set_up(false, PMUSERENR_EN);
	for (int i = 0; i < 3; i++) {
		write_sysreg_isb(BEYOND_32 - NEAR, pmccntr_el0);
		expect(!pmu.aarch32 || wait_for(overflowed()), "PMOVSCLR_EL0.C after an overflow "
		       "of 32 bits, PMCR_EL0.LC 0: expected 1, got 0");
		write_sysreg(CYCLE_BIT, pmovsclr_el0);
		expect(!overflowed(), "PMOVSCLR_EL0.C after it was cleared: expected 0, got 1");
		expect_counting("after an overflow");
	}
}

struct check windows_checks[] = {
	{ .name = "windows_untouched", .run = check_windows_untouched },
	{ .name = "windows_loader", .run = check_windows_loader },
	{ .name = "windows_bitmaps", .run = check_windows_bitmaps },
	{ .name = "windows_context_switches", .run = check_windows_context_switches },
	{ .name = "windows_user_en", .run = check_windows_user_en },
	{ .name = "windows_user_cr_er", .run = check_windows_user_cr_er },
	{ .name = "windows_read_pmc", .run = check_windows_read_pmc },
	{ .name = "windows_profiler", .run = check_windows_profiler },
	{ .name = "windows_profiler_overflow", .run = check_windows_profiler_overflow },
	{ }
};
