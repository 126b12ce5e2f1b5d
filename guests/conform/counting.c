// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What the cycle counter counts, and what it does not. Code enables it, spins and disables it at
 * one level, so that a count is exactly 0 when nothing is to be counted.
 */
#include "conform.h"

#define PMCCFILTR_NSK	(1UL << 29)
#define PMCCFILTR_NSU	(1UL << 28)
#define PMCCFILTR_NSH	(1UL << 27)
#define PMCCFILTR_M	(1UL << 26)
#define PMCCFILTR_EVENT	0xffffUL

#define READS		1000
/* Attempts, of which the shortest is taken: interruptions make the others longer */
#define ATTEMPTS	20
/* Counts vary by less than this factor between CPUs and by moves; it is less than DIVISOR */
#define FACTOR		4
#define DIVISOR		64

static uint64_t count_with(uint64_t pmcr, enum level level, uint64_t filter)
{
	reset_pmu();
	write_sysreg(PMUSERENR_EN, pmuserenr_el0);
	write_sysreg(filter, pmccfiltr_el0);
	write_sysreg(pmcr, pmcr_el0);
	isb();
	run_at(level, code_count, 0, false);
	return read_sysreg(pmccntr_el0);
}

static uint64_t count(enum level level, uint64_t filter)
{
	return count_with(PMCR_LC | PMCR_E, level, filter);
}

static uint64_t shortest_count(uint64_t pmcr)
{
	uint64_t shortest = ~0UL;

	for (int i = 0; i < ATTEMPTS; i++) {
		uint64_t cycles = count_with(pmcr, AT_EL1, 0);

		if (cycles < shortest)
			shortest = cycles;
	}
	return shortest;
}

static void check_counts(void)
{
	expect(count(AT_EL1, 0), "PMCCNTR_EL0 after code at EL1: expected more than 0, got 0");
	expect(count(AT_EL0, 0), "PMCCNTR_EL0 after code at EL0: expected more than 0, got 0");
}

/* PMCR_EL0.E = 0: all counters are disabled. */
static void check_global_enable(void)
{
	expect_equal("PMCCNTR_EL0 after code at EL1 with PMCR_EL0.E = 0", 0,
		     count_with(PMCR_LC, AT_EL1, 0));
	expect_equal("PMCCNTR_EL0 after code at EL0 with PMCR_EL0.E = 0", 0,
		     count_with(PMCR_LC, AT_EL0, 0));
	start_at(0, PMCR_LC);
	spin();
	write_sysreg_isb(PMCR_LC, pmcr_el0);
	expect_equal("PMCNTENSET_EL0 with PMCR_EL0.E = 0", CYCLE_BIT, read_sysreg(pmcntenset_el0));
	write_sysreg(PMCR_LC | PMCR_E, pmcr_el0);
	spin();
	expect(cycles_now(),
	       "PMCCNTR_EL0 after PMCR_EL0.E became 1 again: expected more than 0, got 0");
}

/* A counter that is stopped keeps its value, and goes on from there. */
static void check_stopped(void)
{
	uint64_t counted, stopped;

	start_at(0, PMCR_LC);
	spin();
	counted = cycles_now();
	write_sysreg(CYCLE_BIT, pmcntenclr_el0);
	stopped = cycles_now();
	expect(stopped >= counted,
	       "PMCCNTR_EL0 after PMCNTENCLR_EL0: expected at least 0x%lx, got 0x%lx", counted,
	       stopped);
	spin();
	expect_equal("PMCCNTR_EL0 after a while with PMCNTENSET_EL0.C = 0", stopped, cycles_now());
	write_sysreg_isb(CYCLE_BIT, pmcntenset_el0);
	spin();
	expect(cycles_now() > stopped,
	       "PMCCNTR_EL0 after PMCNTENSET_EL0: expected more than 0x%lx, got 0x%lx", stopped,
	       cycles_now());
}

/*
 * A counter that was started keeps counting. This takes long enough for a hypervisor to interrupt
 * and move the vCPU.
 */
static void check_counts_on(void)
{
	uint64_t before, now;

	start_at(0, PMCR_LC);
	before = cycles_now();
	for (int i = 0; i < LONG_SPINS; i++, before = now) {
		enum level level = i % 2 ? AT_EL0 : AT_EL1;

		run_at(level, code_spin, 0, false);
		now = cycles_now();
		expect(now > before,
		       "PMCCNTR_EL0 after code at EL%u: expected more than 0x%lx, got 0x%lx",
		       level == AT_EL1, before, now);
	}
}

/* The value is far from 0 and from the old value, so it cannot be mistaken for them. */
static void check_write_while_counting(void)
{
	static const uint64_t value = 1UL << 48;
	uint64_t now;

	start_at(0, PMCR_LC);
	spin();
	write_sysreg(value, pmccntr_el0);
	now = cycles_now();
	expect(now >= value && now < 2 * value,
	       "PMCCNTR_EL0 after 0x%lx was written while it counts: expected no less, got 0x%lx",
	       value, now);
	spin();
	expect(cycles_now() > now, "PMCCNTR_EL0 after a while: expected more than 0x%lx, got 0x%lx",
	       now, cycles_now());
}

static void check_monotonic(void)
{
	uint64_t before, now;

	start_at(0, PMCR_LC);
	before = cycles_now();
	for (int i = 0; i < READS; i++, before = now) {
		now = cycles_now();
		expect(now >= before, "PMCCNTR_EL0: expected at least 0x%lx, got 0x%lx", before,
		       now);
	}
}

/* PMCR_EL0.C: 1 resets the cycle counter, 0 does not; the overflow flag stays. */
static void check_reset_cycle_counter(void)
{
	static const uint64_t value = 1UL << 48;

	reset_pmu();
	write_sysreg(value, pmccntr_el0);
	write_sysreg(CYCLE_BIT, pmovsset_el0);
	write_sysreg(PMCR_LC, pmcr_el0);
	expect_equal("PMCCNTR_EL0 after PMCR_EL0 was written with C = 0", value, cycles_now());
	write_sysreg(PMCR_LC | PMCR_C, pmcr_el0);
	expect_equal("PMCCNTR_EL0 after PMCR_EL0.C", 0, cycles_now());
	expect_equal("PMOVSSET_EL0 after PMCR_EL0.C", CYCLE_BIT, read_sysreg(pmovsset_el0));
	start_at(value, PMCR_LC);
	write_sysreg(PMCR_LC | PMCR_E | PMCR_C, pmcr_el0);
	spin();
	expect(cycles_now() > 0 && cycles_now() < value,
	       "PMCCNTR_EL0 after PMCR_EL0.C while it counts: expected little, got 0x%lx",
	       cycles_now());
}

/* PMCR_EL0.P: resets event counters, and not PMCCNTR_EL0. */
static void check_reset_event_counters(void)
{
	static const uint64_t value = 0x123456789;

	reset_pmu();
	write_sysreg(value, pmccntr_el0);
	write_sysreg(PMCR_LC | PMCR_P, pmcr_el0);
	expect_equal("PMCCNTR_EL0 after PMCR_EL0.P", value, cycles_now());
	if (!pmu.counters)
		return;
	write_sysreg_isb(0, pmselr_el0);
	write_sysreg(value, pmxevcntr_el0);
	write_sysreg(PMCR_LC | PMCR_P, pmcr_el0);
	isb();
	expect_equal("PMEVCNTR0_EL0 after PMCR_EL0.P", 0, read_sysreg(pmxevcntr_el0));
}

static void expect_divided(const char *what, uint64_t pmcr, uint64_t divisor)
{
	uint64_t undivided = shortest_count(pmcr), divided = shortest_count(pmcr | PMCR_D);
	uint64_t times = divided * divisor;

	expect(times > undivided / FACTOR && times < undivided * FACTOR,
	       "%s: expected 0x%lx / %lu or so, got 0x%lx", what, undivided, divisor, divided);
}

/* PMCR_EL0.D with LC = 0: every 64th cycle is counted; both bits only exist where AArch32 does. */
static void check_divider(void)
{
	expect_divided("PMCCNTR_EL0 with PMCR_EL0.D = 1, LC = 0", PMCR_E,
		       pmu.aarch32 ? DIVISOR : 1);
}

/* PMCR_EL0.D: without effect when PMCR_EL0.LC is 1. */
static void check_divider_long(void)
{
	expect_divided("PMCCNTR_EL0 with PMCR_EL0.D = 1, LC = 1", PMCR_E | PMCR_LC, 1);
}

/* PMCR_EL0.DP: no counting where it is prohibited. It is allowed at Non-secure EL1 and EL0. */
static void check_prohibited(void)
{
	for (enum level level = AT_EL1; level <= AT_EL0; level++)
		expect(count_with(PMCR_LC | PMCR_E | PMCR_DP, level, 0),
		       "PMCCNTR_EL0 after EL%u with PMCR_EL0.DP = 1: expected more than 0, got 0",
		       level == AT_EL1);
}

static void expect_counted(enum level level, uint64_t filter, bool counted)
{
	uint64_t cycles = count(level, filter);

	expect(!cycles == !counted,
	       "PMCCNTR_EL0 after EL%u with PMCCFILTR_EL0 0x%lx: expected %s, got 0x%lx",
	       level == AT_EL1, filter, counted ? "more than 0" : "0", cycles);
}

/* PMCCFILTR_EL0.{P, U} filter EL1 and EL0. */
static void check_filters(void)
{
	expect_counted(AT_EL1, 0, true);
	expect_counted(AT_EL0, 0, true);
	expect_counted(AT_EL1, PMCCFILTR_P, false);
	expect_counted(AT_EL0, PMCCFILTR_P, true);
	expect_counted(AT_EL1, PMCCFILTR_U, true);
	expect_counted(AT_EL0, PMCCFILTR_U, false);
	expect_counted(AT_EL1, PMCCFILTR_P | PMCCFILTR_U, false);
	expect_counted(AT_EL0, PMCCFILTR_P | PMCCFILTR_U, false);
}

/* PMCCFILTR_EL0.{NSK, NSU, M}: RES0 without EL3. NSH: no effect at EL1 and EL0. Event: RES0. */
static void check_filter_res0(void)
{
	uint64_t none = PMCCFILTR_EVENT | PMCCFILTR_NSH |
		(pmu.el3 ? 0 : PMCCFILTR_NSK | PMCCFILTR_NSU | PMCCFILTR_M);

	expect_counted(AT_EL1, none, true);
	expect_counted(AT_EL0, none, true);
	expect_counted(AT_EL1, none | PMCCFILTR_P, false);
	expect_counted(AT_EL0, none | PMCCFILTR_U, false);
}

/* WFI: counting is IMPLEMENTATION DEFINED. The counter does not go back, and counts afterwards. */
static void check_wfi(void)
{
	uint64_t before, after;

	start_at(0, PMCR_LC);
	spin();
	before = cycles_now();
	idle(1000);
	after = cycles_now();
	expect(after >= before, "PMCCNTR_EL0 after WFI: expected at least 0x%lx, got 0x%lx", before,
	       after);
	spin();
	expect(cycles_now() > after,
	       "PMCCNTR_EL0 a while after WFI: expected more than 0x%lx, got 0x%lx", after,
	       cycles_now());
}

struct check counting_checks[] = {
	{ .name = "counts", .run = check_counts },
	{ .name = "pmcr_e", .run = check_global_enable },
	{ .name = "stopped", .run = check_stopped },
	{ .name = "counts_on", .run = check_counts_on },
	{ .name = "write_while_counting", .run = check_write_while_counting },
	{ .name = "monotonic", .run = check_monotonic },
	{ .name = "pmcr_c", .run = check_reset_cycle_counter },
	{ .name = "pmcr_p", .run = check_reset_event_counters },
	{ .name = "pmcr_d", .run = check_divider },
	{ .name = "pmcr_d_with_lc", .run = check_divider_long },
	{ .name = "pmcr_dp", .run = check_prohibited },
	{ .name = "pmccfiltr_p_u", .run = check_filters },
	{ .name = "pmccfiltr_res0", .run = check_filter_res0 },
	{ .name = "wfi", .run = check_wfi },
	{ }
};
