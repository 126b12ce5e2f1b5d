// SPDX-License-Identifier: GPL-2.0-or-later
/* What registers hold, at EL1. */
#include "conform.h"

#define PMCR_LOW_BITS	0x3ff			/* IMP, IDCODE and N are above */
#define PMUVER_RESERVED	(1 << 2 | 1 << 3 | 1 << 10 | 1 << 11 | 1 << 12 | 1 << 13 | 1 << 14)
#define EVENT_SW_INCR	0x00
#define EVENT_STALL_SLOT 0x3f
#define PMMIR_SLOTS	0xff
#define PMMIR_RES0	0xfffffffff0000000UL

/* ID_AA64DFR0_EL1.PMUVer: values not defined are reserved. */
static void check_version(void)
{
	expect(!(PMUVER_RESERVED >> pmu.version & 1),
	       "ID_AA64DFR0_EL1.PMUVer: expected a version, got 0x%x, which is reserved",
	       pmu.version);
}

/* PMCR_EL0.E: 0 on a Warm reset. The other fields that matter here are UNKNOWN then. */
static void check_reset(void)
{
	expect_equal("PMCR_EL0.E after reset", 0, pmu.pmcr_at_reset & PMCR_E);
}

/* PMCR_EL0.{IMP, IDCODE, N}: read-only. */
static void check_read_only_fields(void)
{
	uint64_t before = read_sysreg(pmcr_el0) & LOW_32_BITS & ~PMCR_LOW_BITS;

	for (unsigned int n = 0; n <= 31; n++) {
		write_sysreg(PMCR_LC | n << PMCR_N_SHIFT | n << 16 | (uint64_t)n << 24, pmcr_el0);
		isb();
		expect_equal("PMCR_EL0[31:10] after another value was written", before,
			     read_sysreg(pmcr_el0) & LOW_32_BITS & ~PMCR_LOW_BITS);
	}
}

/* PMCR_EL0.{C, P}: read as zero */
static void check_write_only_bits(void)
{
	write_sysreg_isb(PMCR_LC | PMCR_C | PMCR_P, pmcr_el0);
	expect_equal("PMCR_EL0.{C, P} after 1 was written", 0,
		     read_sysreg(pmcr_el0) & (PMCR_C | PMCR_P));
}

/* PMCR_EL0: bits that are RW, some of them only by a condition; RES0 or RES1 otherwise. */
static void check_writable_bits(void)
{
	const struct {
		const char *name;
		uint64_t bit;
		bool writable;
	} bits[] = {
		{ "PMCR_EL0.E", PMCR_E, true },
		{ "PMCR_EL0.D", PMCR_D, pmu.aarch32 },
		{ "PMCR_EL0.DP", PMCR_DP, pmu.el3 || (pmu.el2 && pmu.version >= PMUV3P1) },
		{ "PMCR_EL0.LC", PMCR_LC, pmu.aarch32 },
		{ "PMCR_EL0.LP", PMCR_LP, pmu.version >= PMUV3P5 },
		{ "PMCR_EL0.FZO", PMCR_FZO, pmu.version >= PMUV3P7 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(bits); i++) {
		if (!bits[i].writable)
			continue;
		write_sysreg_isb(bits[i].bit, pmcr_el0);
		expect_equal(bits[i].name, bits[i].bit, read_sysreg(pmcr_el0) & bits[i].bit);
		write_sysreg_isb(0, pmcr_el0);
		expect_equal(bits[i].name, 0, read_sysreg(pmcr_el0) & bits[i].bit);
	}
}

#define low_bits(reg)	(read_sysreg(reg) & LOW_32_BITS)

/* Bits that one register sets and another clears. Both read the same; [30:N] are RAZ/WI. */
#define check_bit_registers(set, clr) ({						\
	uint64_t all_ = counter_bits(), others_ = all_ & ~CYCLE_BIT;			\
											\
	write_sysreg(~0UL, clr);							\
	isb();										\
	expect_equal(#set " after all was cleared", 0, low_bits(set));			\
	write_sysreg(~0UL, set);							\
	isb();										\
	expect_equal(#set " after all was set", all_, low_bits(set));			\
	expect_equal(#clr " after all was set", all_, low_bits(clr));			\
	write_sysreg(0, set);								\
	write_sysreg(0, clr);								\
	isb();										\
	expect_equal(#set " after zeros were written", all_, low_bits(set));		\
	write_sysreg(CYCLE_BIT, clr);							\
	isb();										\
	expect_equal(#set " after C was cleared", others_, low_bits(set));		\
	expect_equal(#clr " after C was cleared", others_, low_bits(clr));		\
})

static void check_enable_bits(void)
{
	check_bit_registers(pmcntenset_el0, pmcntenclr_el0);
}

static void check_interrupt_bits(void)
{
	check_bit_registers(pmintenset_el1, pmintenclr_el1);
}

static void check_overflow_bits(void)
{
	check_bit_registers(pmovsset_el0, pmovsclr_el0);
}

/* PMCCNTR_EL0.CCNT is 64 bits, whatever PMCR_EL0.LC says about its overflow. */
static void check_cycle_counter_64(void)
{
	static const uint64_t values[] = { ~0UL, 0x0123456789abcdef, 0xfedcba9876543210, 1,
					   1UL << 63, 0 };

	for (size_t i = 0; i < 2 * ARRAY_SIZE(values); i++) {
		write_sysreg(i % 2 ? PMCR_LC : 0, pmcr_el0);
		write_sysreg(values[i / 2], pmccntr_el0);
		isb();
		expect_equal("PMCCNTR_EL0 as written", values[i / 2], read_sysreg(pmccntr_el0));
	}
}

/* PMCCFILTR_EL0.{P, U}: RW. The other bits are for levels that may not exist. */
static void check_filter_bits(void)
{
	static const uint64_t values[] = { PMCCFILTR_P, PMCCFILTR_U, PMCCFILTR_P | PMCCFILTR_U, 0 };

	for (size_t i = 0; i < ARRAY_SIZE(values); i++) {
		write_sysreg_isb(values[i], pmccfiltr_el0);
		expect_equal("PMCCFILTR_EL0.{P, U} as written", values[i],
			     read_sysreg(pmccfiltr_el0) & (PMCCFILTR_P | PMCCFILTR_U));
	}
}

/* PMUSERENR_EL0.{ER, CR, SW, EN}: RW at EL1. */
static void check_user_enable_bits(void)
{
	for (uint64_t value = PMUSERENR_ALL; value <= PMUSERENR_ALL; value--) {
		write_sysreg_isb(value, pmuserenr_el0);
		expect_equal("PMUSERENR_EL0.{ER, CR, SW, EN} as written", value,
			     read_sysreg(pmuserenr_el0) & PMUSERENR_ALL);
	}
}

/* PMCEID<n>_EL0: CPU_CYCLES, and SW_INCR if it can be counted. IDhi: FEAT_PMUv3p1. */
static void check_event_ids(void)
{
	uint64_t low = read_sysreg(pmceid0_el0), high = read_sysreg(pmceid1_el0);

	expect_equal("PMCEID0_EL0 for CPU_CYCLES", 1, low >> EVENT_CPU_CYCLES & 1);
	if (pmu.counters)
		expect_equal("PMCEID0_EL0 for SW_INCR", 1, low >> EVENT_SW_INCR & 1);
	if (pmu.version < PMUV3P1) {
		expect_equal("PMCEID0_EL0.IDhi before PMUv3p1", 0, low >> 32);
		expect_equal("PMCEID1_EL0.IDhi before PMUv3p1", 0, high >> 32);
	}
}

/* PMMIR_EL1: UNDEFINED before FEAT_PMUv3p4. SLOTS is zero only without STALL_SLOT. */
static void check_pmmir(void)
{
	struct access got = read_at(AT_EL1, SYS_PMMIR_EL1);
	bool stall_slot = read_sysreg(pmceid1_el0) >> (EVENT_STALL_SLOT - 32) & 1;

	if (pmu.version < PMUV3P4) {
		expect(got.result == UNDEFINED,
		       "read of PMMIR_EL1 before PMUv3p4: expected %s, got %s",
		       result_names[UNDEFINED], result_names[got.result]);
		return;
	}
	expect(got.result == DONE, "read of PMMIR_EL1: expected %s, got %s", result_names[DONE],
	       result_names[got.result]);
	expect_equal("PMMIR_EL1, RES0 bits", 0, got.value & PMMIR_RES0);
	expect(!stall_slot || got.value & PMMIR_SLOTS,
	       "PMMIR_EL1.SLOTS with STALL_SLOT: expected more than 0, got 0x%lx", got.value);
}

/* Some registers have no encoding for MSR, others none for MRS. */
static void check_no_such_access(void)
{
	static const unsigned int read_only[] = { SYS_PMCEID0_EL0, SYS_PMCEID1_EL0, SYS_PMMIR_EL1 };
	struct access got;

	for (size_t i = 0; i < ARRAY_SIZE(read_only); i++) {
		got = write_at(AT_EL1, read_only[i], 0);
		expect(got.result == UNDEFINED, "write of %s: expected %s, got %s",
		       register_name(read_only[i]), result_names[UNDEFINED],
		       result_names[got.result]);
	}
	got = read_at(AT_EL1, SYS_PMSWINC_EL0);
	expect(got.result == UNDEFINED, "read of PMSWINC_EL0: expected %s, got %s",
	       result_names[UNDEFINED], result_names[got.result]);
}

/* PMSWINC_EL0: increments event counters that count SW_INCR, and nothing else. */
static void check_software_increment(void)
{
	static const uint64_t start = 1000;

	reset_pmu();
	write_sysreg(start, pmccntr_el0);
	if (pmu.counters) {
		write_at(AT_EL1, event_type(0), EVENT_SW_INCR);
		write_at(AT_EL1, event_counter(0), start);
		write_sysreg(1, pmcntenset_el0);
	}
	write_sysreg_isb(PMCR_LC | PMCR_E, pmcr_el0);
	for (int i = 0; i < 3; i++)
		expect_equal("result of a write of PMSWINC_EL0", DONE,
			     write_at(AT_EL1, SYS_PMSWINC_EL0, ~0UL).result);
	if (pmu.counters)
		expect_equal("PMEVCNTR0_EL0 after three increments", start + 3,
			     read_at(AT_EL1, event_counter(0)).value);
	expect_equal("PMCCNTR_EL0, disabled, after PMSWINC_EL0", start, read_sysreg(pmccntr_el0));
	expect_equal("PMOVSSET_EL0 after PMSWINC_EL0", 0, read_sysreg(pmovsset_el0));
}

struct check registers_checks[] = {
	{ .name = "reset", .run = check_reset },
	{ .name = "version", .run = check_version },
	{ .name = "pmcr_read_only_fields", .run = check_read_only_fields },
	{ .name = "pmcr_write_only_bits", .run = check_write_only_bits },
	{ .name = "pmcr_writable_bits", .run = check_writable_bits },
	{ .name = "pmcnten_bits", .run = check_enable_bits },
	{ .name = "pminten_bits", .run = check_interrupt_bits },
	{ .name = "pmovs_bits", .run = check_overflow_bits },
	{ .name = "pmccntr_64_bits", .run = check_cycle_counter_64 },
	{ .name = "pmccfiltr_bits", .run = check_filter_bits },
	{ .name = "pmuserenr_bits", .run = check_user_enable_bits },
	{ .name = "pmceid", .run = check_event_ids },
	{ .name = "pmmir", .run = check_pmmir },
	{ .name = "no_such_access", .run = check_no_such_access },
	{ .name = "pmswinc", .run = check_software_increment },
	{ }
};
