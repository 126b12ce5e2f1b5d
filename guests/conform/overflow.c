// SPDX-License-Identifier: GPL-2.0-or-later
/* Overflows of the cycle counter, and the interrupt that they request. */
#include "conform.h"

#define ICC_IAR1_EL1	s3_0_c12_c12_0
#define ICC_EOIR1_EL1	s3_0_c12_c12_1

#define INTID_PMU	23			/* PPI of the virt machine, as the SBSA requires */
#define INTID_NONE	1023

/* Interrupts stay masked in PSTATE: the checks poll for them, except for one. */
void overflow_init(void)
{
	gic_enable(1 << INTID_PMU | 1 << INTID_TIMER);
}

static bool overflowed(void)
{
	isb();
	return read_sysreg(pmovsset_el0) & CYCLE_BIT;
}

static bool interrupt_pending(void)
{
	return gic_is_pending(INTID_PMU);
}

/* Acknowledges an interrupt and returns its INTID, or INTID_NONE. */
static uint64_t acknowledge(void)
{
	uint64_t interrupt;

	isb();
	interrupt = read_sysreg(ICC_IAR1_EL1);
	asm volatile("dsb sy" : : : "memory");
	return interrupt;
}

static void end_interrupt(uint64_t interrupt)
{
	write_sysreg_isb(interrupt, ICC_EOIR1_EL1);
}

static void clear_overflow(void)
{
	write_sysreg_isb(CYCLE_BIT, pmovsclr_el0);
}

/* PMCR_EL0.LC = 1: overflow is that of 64 bits. */
static void check_overflow_64(void)
{
	start_at(-NEAR, PMCR_LC);
	expect(wait_for(overflowed()),
	       "PMOVSSET_EL0.C after an overflow of 64 bits: expected 1, got 0");
	write_sysreg_isb(0, pmcr_el0);
	expect(read_sysreg(pmccntr_el0) < -2 * NEAR,
	       "PMCCNTR_EL0 after its overflow: expected little, got 0x%lx",
	       read_sysreg(pmccntr_el0));
}

/* An overflow that takes long comes when the counter wraps, and not before. */
static void check_overflow_late(void)
{
	uint64_t cycles, before, now;

	start_at(0, PMCR_LC);
	for (int i = 0; i < LONG_SPINS / 10; i++)
		spin();
	cycles = read_sysreg(pmccntr_el0) * 10;
	start_at(-cycles, PMCR_LC);
	now = 0;
	/* a counter that stands still ends the loop, too */
	do {
		bool flag = overflowed();

		before = now;
		expect(!flag || read_sysreg(pmccntr_el0) <= cycles,
		       "PMOVSSET_EL0.C before 0x%lx cycles were counted: expected 0, got 1",
		       cycles);
		spin();
		now = read_sysreg(pmccntr_el0);
	} while (now > cycles && now != before);
	expect(read_sysreg(pmccntr_el0) <= cycles,
	       "PMCCNTR_EL0 after long, started at 0x%lx: expected an overflow, got 0x%lx", -cycles,
	       read_sysreg(pmccntr_el0));
	expect(wait_for(overflowed()),
	       "PMOVSSET_EL0.C after 0x%lx cycles were counted: expected 1, got 0", cycles);
}

/* PMCR_EL0.LC = 0: PMCCNTR_EL0[31:0] overflows, all 64 bits count. LC is RES1 without AArch32. */
static void check_overflow_32(void)
{
	start_at(BEYOND_32 - NEAR, 0);
	if (pmu.aarch32) {
		expect(wait_for(overflowed()), "PMOVSSET_EL0.C after an overflow of 32 bits, "
		       "PMCR_EL0.LC = 0: expected 1, got 0");
	} else {
		spin();
		expect(!overflowed(), "PMOVSSET_EL0.C after an overflow of 32 bits, "
		       "PMCR_EL0.LC RES1: expected 0, got 1");
	}
	expect(read_sysreg(pmccntr_el0) >= BEYOND_32,
	       "PMCCNTR_EL0 after an overflow of 32 bits: expected at least 0x%lx, got 0x%lx",
	       BEYOND_32, read_sysreg(pmccntr_el0));
}

static void expect_no_overflow(uint64_t carry, uint64_t pmcr)
{
	start_at(carry - NEAR, pmcr);
	expect(wait_for(read_sysreg(pmccntr_el0) >= carry),
	       "PMCCNTR_EL0: expected at least 0x%lx, got 0x%lx", carry,
	       read_sysreg(pmccntr_el0));
	spin();
	expect(!overflowed(),
	       "PMOVSSET_EL0.C after a carry into 0x%lx, PMCR_EL0 0x%lx: expected 0, got 1", carry,
	       pmcr);
}

/* No other carry is an overflow. */
static void check_no_overflow(void)
{
	expect_no_overflow(BEYOND_32, PMCR_LC);
	expect_no_overflow(BEYOND_32 / 2, PMCR_LC);
	expect_no_overflow(BEYOND_32 / 2, 0);
}

/* Nor is a carry into bit 63. A check of its own, as implementations use signed numbers. */
static void check_no_overflow_63(void)
{
	expect_no_overflow(1UL << 63, PMCR_LC);
}

/* The flag stays until PMOVSCLR_EL0 clears it, and the counter then overflows again. */
static void check_overflow_stays(void)
{
	start_at(-NEAR, PMCR_LC);
	wait_for(overflowed());
	write_sysreg(0, pmccntr_el0);
	write_sysreg(CYCLE_BIT, pmcntenclr_el0);
	write_sysreg(0, pmovsclr_el0);
	expect(overflowed(), "PMOVSSET_EL0.C after all but PMOVSCLR_EL0: expected 1, got 0");
	clear_overflow();
	expect(!overflowed(), "PMOVSSET_EL0.C after PMOVSCLR_EL0: expected 0, got 1");
	write_sysreg(-NEAR, pmccntr_el0);
	write_sysreg(CYCLE_BIT, pmcntenset_el0);
	expect(wait_for(overflowed()), "PMOVSSET_EL0.C after another overflow: expected 1, got 0");
}

/* A write is no overflow, only counting is. */
static void check_write_is_no_overflow(void)
{
	start_at(~0UL << 40, PMCR_LC);
	write_sysreg(0, pmccntr_el0);
	expect(!overflowed(),
	       "PMOVSSET_EL0.C after 0 was written to PMCCNTR_EL0: expected 0, got 1");
	start_at(~0UL << 40, PMCR_LC);
	write_sysreg(PMCR_LC | PMCR_E | PMCR_C, pmcr_el0);
	expect(!overflowed(), "PMOVSSET_EL0.C after PMCR_EL0.C: expected 0, got 1");
}

static void start_interrupting(void)
{
	prepare_at(-NEAR);
	write_sysreg(CYCLE_BIT, pmintenset_el1);
	write_sysreg(PMCR_LC | PMCR_E, pmcr_el0);
	isb();
}

/* PMINTENSET_EL1.C = 1: an overflow interrupts, once if the handler clears the flag. */
static void check_interrupt(void)
{
	start_interrupting();
	expect(wait_for(interrupt_pending()),
	       "interrupt after an overflow: expected one, got none");
	expect_equal("ICC_IAR1_EL1 after an overflow", INTID_PMU, acknowledge());
	expect_equal("ICC_IAR1_EL1 while the interrupt is active", INTID_NONE, acknowledge());
	clear_overflow();
	end_interrupt(INTID_PMU);
	spin();
	expect_equal("ICC_IAR1_EL1 after the flag was cleared", INTID_NONE, acknowledge());
	expect(!interrupt_pending(), "GICR_ISPENDR0 after the flag was cleared: expected 0, got 1");
}

/* The request is a level: as long as the flag is set, the interrupt comes again. */
static void check_interrupt_level(void)
{
	start_interrupting();
	for (int i = 0; i < 3; i++) {
		uint64_t interrupt = INTID_NONE;

		expect(wait_for((interrupt = acknowledge()) != INTID_NONE),
		       "interrupt with the flag set: expected one, got none");
		if (interrupt != INTID_NONE)
			end_interrupt(interrupt);
	}
	clear_overflow();
	spin();
	expect_equal("ICC_IAR1_EL1 after the flag was cleared", INTID_NONE, acknowledge());
}

/* PMINTENSET_EL1.C = 0: an overflow only sets the flag. It interrupts as soon as C becomes 1. */
static void check_interrupt_enable(void)
{
	start_at(-NEAR, PMCR_LC);
	wait_for(overflowed());
	spin();
	expect(!interrupt_pending(), "interrupt with PMINTENSET_EL1.C = 0: expected none, got one");
	write_sysreg_isb(CYCLE_BIT, pmintenset_el1);
	expect(wait_for(interrupt_pending()),
	       "interrupt once PMINTENSET_EL1.C is 1: expected one, got none");
	write_sysreg_isb(CYCLE_BIT, pmintenclr_el1);
	expect(wait_for(!interrupt_pending()),
	       "interrupt after PMINTENCLR_EL1.C: expected none, got one");
}

/* PMCR_EL0.E = 0: no overflow requests an interrupt. */
static void check_interrupt_global_enable(void)
{
	reset_pmu();
	write_sysreg(CYCLE_BIT, pmintenset_el1);
	write_sysreg(CYCLE_BIT, pmovsset_el0);
	isb();
	spin();
	expect(!interrupt_pending(), "interrupt with PMCR_EL0.E = 0: expected none, got one");
	write_sysreg_isb(PMCR_LC | PMCR_E, pmcr_el0);
	expect(wait_for(interrupt_pending()),
	       "interrupt once PMCR_EL0.E is 1: expected one, got none");
	write_sysreg_isb(PMCR_LC, pmcr_el0);
	expect(wait_for(!interrupt_pending()),
	       "interrupt once PMCR_EL0.E is 0 again: expected none, got one");
}

/* A flag that software sets requests an interrupt, too. */
static void check_interrupt_by_software(void)
{
	reset_pmu();
	write_sysreg(PMCR_LC | PMCR_E, pmcr_el0);
	write_sysreg(CYCLE_BIT, pmintenset_el1);
	write_sysreg(CYCLE_BIT, pmovsset_el0);
	isb();
	expect(wait_for(interrupt_pending()),
	       "interrupt after PMOVSSET_EL0: expected one, got none");
	clear_overflow();
	expect(wait_for(!interrupt_pending()),
	       "interrupt after PMOVSCLR_EL0: expected none, got one");
}

/* The interrupt is taken from EL0 to EL1, in the middle of the code that is counted. */
static void check_interrupt_at_el0(void)
{
	struct outcome outcome = { .vector = 0 };

	prepare_at(-NEAR);
	write_sysreg(CYCLE_BIT, pmintenset_el1);
	write_sysreg(PMCCFILTR_P, pmccfiltr_el0);
	write_sysreg(PMCR_LC | PMCR_E, pmcr_el0);
	isb();
	expect(!overflowed(), "PMOVSSET_EL0.C before anything ran at EL0: expected 0, got 1");
	wait_for((outcome = run_at(AT_EL0, code_spin, 0, true)).vector == VECTOR_IRQ_EL0);
	expect_equal("vector after an overflow at EL0", VECTOR_IRQ_EL0, outcome.vector);
	expect_equal("ICC_IAR1_EL1 after an overflow at EL0", INTID_PMU, acknowledge());
	clear_overflow();
	end_interrupt(INTID_PMU);
}

struct check overflow_checks[] = {
	{ .name = "overflow_64", .run = check_overflow_64 },
	{ .name = "overflow_late", .run = check_overflow_late },
	{ .name = "overflow_32", .run = check_overflow_32 },
	{ .name = "no_overflow", .run = check_no_overflow },
	{ .name = "no_overflow_63", .run = check_no_overflow_63 },
	{ .name = "overflow_stays", .run = check_overflow_stays },
	{ .name = "write_is_no_overflow", .run = check_write_is_no_overflow },
	{ .name = "interrupt_once", .run = check_interrupt },
	{ .name = "interrupt_level", .run = check_interrupt_level },
	{ .name = "interrupt_pminten", .run = check_interrupt_enable },
	{ .name = "interrupt_pmcr_e", .run = check_interrupt_global_enable },
	{ .name = "interrupt_by_pmovsset", .run = check_interrupt_by_software },
	{ .name = "interrupt_at_el0", .run = check_interrupt_at_el0 },
	{ }
};
