// SPDX-License-Identifier: GPL-2.0-or-later
/* Event counters, accessed directly and through PMSELR_EL0: implemented ones and all others. */
#include "conform.h"

#define PMSELR_SEL	0x1f
#define PATTERN		0x12345678UL

static void select(unsigned int counter)
{
	write_sysreg_isb(counter, pmselr_el0);
}

/* PMSELR_EL0.SEL holds any value that selects a counter; nothing is required of other values. */
static void check_selection(void)
{
	for (unsigned int n = 0; n <= pmu.counters; n++) {
		unsigned int counter = n == pmu.counters ? CYCLE_COUNTER : n;

		select(counter);
		expect_equal("PMSELR_EL0.SEL as written", counter,
			     read_sysreg(pmselr_el0) & PMSELR_SEL);
	}
}

/* PMSELR_EL0.SEL = 31: PMXEVTYPER_EL0 is PMCCFILTR_EL0. */
static void check_selected_filter(void)
{
	static const uint64_t values[] = { PMCCFILTR_P, PMCCFILTR_U, PMCCFILTR_P | PMCCFILTR_U, 0 };

	select(CYCLE_COUNTER);
	for (size_t i = 0; i < ARRAY_SIZE(values); i++) {
		write_sysreg(0, pmccfiltr_el0);
		write_sysreg(values[i], pmxevtyper_el0);
		isb();
		expect_equal("PMCCFILTR_EL0 as written to PMXEVTYPER_EL0", values[i],
			     read_sysreg(pmccfiltr_el0));
		write_sysreg(0, pmxevtyper_el0);
		write_sysreg(values[i], pmccfiltr_el0);
		isb();
		expect_equal("PMXEVTYPER_EL0 as written to PMCCFILTR_EL0", values[i],
			     read_sysreg(pmxevtyper_el0));
	}
}

/*
 * PMSELR_EL0.SEL = 31: accesses to PMXEVCNTR_EL0 are CONSTRAINED UNPREDICTABLE. They are UNDEFINED,
 * do nothing, are RAZ/WI, or behave as if SEL was UNKNOWN: as some event counter, or as one that is
 * not implemented, see below. None of these is the cycle counter. If one was, PMUSERENR_EL0.ER,
 * which is for event counters, would give EL0 the cycle counter.
 */
static void check_selected_cycle_counter(void)
{
	struct access got;

	reset_pmu();
	for (unsigned int n = 0; n < pmu.counters; n++)
		write_at(AT_EL1, event_counter(n), 0);
	write_sysreg_isb(PATTERN, pmccntr_el0);
	got = read_at(AT_EL1, SYS_PMXEVCNTR_EL0);
	expect(got.result == UNDEFINED ||
	       (got.result == DONE && (!got.value || got.value == SENTINEL)),
	       "read of PMXEVCNTR_EL0, PMSELR_EL0.SEL 31, PMCCNTR_EL0 0x%lx: "
	       "expected UNDEFINED, 0 or no effect, got %s and 0x%lx",
	       PATTERN, result_names[got.result], got.value);
	got = write_at(AT_EL1, SYS_PMXEVCNTR_EL0, ~PATTERN);
	expect(got.result == UNDEFINED || got.result == DONE,
	       "write of PMXEVCNTR_EL0, PMSELR_EL0.SEL 31: expected UNDEFINED or %s, got %s",
	       result_names[DONE], result_names[got.result]);
	expect_equal("PMCCNTR_EL0 after a write of PMXEVCNTR_EL0 with PMSELR_EL0.SEL 31", PATTERN,
		     read_sysreg(pmccntr_el0));
	write_sysreg(PATTERN, pmccntr_el0);
	write_sysreg(PMUSERENR_ER, pmuserenr_el0);
	isb();
	got = read_at(AT_EL0, SYS_PMXEVCNTR_EL0);
	expect(got.value != PATTERN, "read of PMXEVCNTR_EL0 at EL0, PMUSERENR_EL0 0x%x: "
	       "expected no cycle counter, got 0x%lx", PMUSERENR_ER, got.value);
}

/*
 * PMEVCNTR<n>_EL0, PMEVTYPER<n>_EL0, PMXEVCNTR_EL0, PMXEVTYPER_EL0, "Accessing": with FEAT_FGT,
 * accesses to event counters that are not implemented are UNDEFINED. Without, they are CONSTRAINED
 * UNPREDICTABLE: UNDEFINED, without effect or RAZ/WI.
 */
static bool read_is_permitted(struct access got, uint64_t also)
{
	if (got.result == UNDEFINED)
		return true;
	return !pmu.fgt && got.result == DONE &&
		(!got.value || got.value == SENTINEL || got.value == also);
}

static bool write_is_permitted(struct access got)
{
	return got.result == UNDEFINED || (!pmu.fgt && got.result == DONE);
}

static void expect_nothing_at(const char *name, unsigned int id, unsigned int n, uint64_t also)
{
	const char *expected =
		pmu.fgt ? "UNDEFINED, as with FEAT_FGT" : "UNDEFINED, 0 or no effect";
	struct access got = read_at(AT_EL1, id);

	expect(read_is_permitted(got, also), "read of %s, n %u: expected %s, got %s and 0x%lx",
	       name, n, expected, result_names[got.result], got.value);
	got = write_at(AT_EL1, id, PATTERN);
	expect(write_is_permitted(got), "write of %s, n %u: expected %s, got %s", name, n, expected,
	       result_names[got.result]);
	expect_equal("PMCCNTR_EL0 afterwards", 0, read_sysreg(pmccntr_el0));
	expect_equal("PMCNTENSET_EL0 afterwards", 0, read_sysreg(pmcntenset_el0));
}

/* PMSELR_EL0: the effect may also be that of another SEL; for PMXEVTYPER_EL0, that of 31. */
static void check_selected_beyond(void)
{
	reset_pmu();
	for (unsigned int i = 0; i < pmu.counters; i++) {
		write_at(AT_EL1, event_counter(i), 0);
		write_at(AT_EL1, event_type(i), 0);
	}
	for (unsigned int n = pmu.counters; n < CYCLE_COUNTER; n++) {
		write_sysreg(PMCCFILTR_P, pmccfiltr_el0);
		select(n);
		expect_nothing_at("PMXEVCNTR_EL0, PMSELR_EL0.SEL n", SYS_PMXEVCNTR_EL0, n, 0);
		expect_nothing_at("PMXEVTYPER_EL0, PMSELR_EL0.SEL n", SYS_PMXEVTYPER_EL0, n,
				  PMCCFILTR_P);
	}
}

static void check_direct_beyond(void)
{
	reset_pmu();
	for (unsigned int n = pmu.counters; n < CYCLE_COUNTER; n++) {
		expect_nothing_at("PMEVCNTR<n>_EL0", event_counter(n), n, 0);
		expect_nothing_at("PMEVTYPER<n>_EL0", event_type(n), n, 0);
	}
}

/* Event counters hold what is written, 32 bits before FEAT_PMUv3p5; PMSELR_EL0 selects them. */
static void check_event_counters(void)
{
	uint64_t mask = pmu.version >= PMUV3P5 ? ~0UL : LOW_32_BITS;

	reset_pmu();
	for (unsigned int n = 0; n < pmu.counters; n++) {
		uint64_t value = 0x0123456700000000 + PATTERN + n;

		write_at(AT_EL1, event_type(n), EVENT_CPU_CYCLES);
		write_at(AT_EL1, event_counter(n), value);
		select(n);
		expect_equal("PMEVCNTR<n>_EL0 as written", value & mask,
			     read_at(AT_EL1, event_counter(n)).value);
		expect_equal("PMXEVCNTR_EL0 as written to PMEVCNTR<n>_EL0", value & mask,
			     read_sysreg(pmxevcntr_el0));
		expect_equal("PMEVTYPER<n>_EL0 as written", EVENT_CPU_CYCLES,
			     read_at(AT_EL1, event_type(n)).value);
		expect_equal("PMXEVTYPER_EL0 as written to PMEVTYPER<n>_EL0", EVENT_CPU_CYCLES,
			     read_sysreg(pmxevtyper_el0));
	}
}

struct check selection_checks[] = {
	{ .name = "pmselr", .run = check_selection },
	{ .name = "pmxevtyper_31", .run = check_selected_filter },
	{ .name = "pmxevcntr_31", .run = check_selected_cycle_counter },
	{ .name = "pmxev_beyond_n", .run = check_selected_beyond },
	{ .name = "pmev_beyond_n", .run = check_direct_beyond },
	{ .name = "pmev_below_n", .run = check_event_counters },
	{ }
};
