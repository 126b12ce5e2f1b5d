// SPDX-License-Identifier: GPL-2.0-or-later
/* What EL0 may do, by PMUSERENR_EL0. */
#include "conform.h"

/* Bits of PMUSERENR_EL0, of which any allows the access, or: */
#define NEVER	0		/* there is no such access at EL0, and it is UNDEFINED */
#define ALWAYS	(1 << 8)

#define EN	PMUSERENR_EN
#define SW	PMUSERENR_SW
#define CR	PMUSERENR_CR
#define ER	PMUSERENR_ER

#define PATTERN	0x123456789abcdefUL

static const struct user_access {
	unsigned int id;
	unsigned int read, write;
	bool event_counter;	/* PMSELR_EL0 selects one, so there has to be one */
} user_accesses[] = {
	{ SYS_PMCR_EL0, EN, EN, false },
	{ SYS_PMCNTENSET_EL0, EN, EN, false },
	{ SYS_PMCNTENCLR_EL0, EN, EN, false },
	{ SYS_PMOVSSET_EL0, EN, EN, false },
	{ SYS_PMOVSCLR_EL0, EN, EN, false },
	{ SYS_PMSWINC_EL0, NEVER, EN | SW, false },
	{ SYS_PMSELR_EL0, EN | ER, EN | ER, false },
	{ SYS_PMCEID0_EL0, EN, NEVER, false },
	{ SYS_PMCEID1_EL0, EN, NEVER, false },
	{ SYS_PMCCNTR_EL0, EN | CR, EN, false },
	{ SYS_PMCCFILTR_EL0, EN, EN, false },
	{ SYS_PMXEVTYPER_EL0, EN, EN, false },
	{ SYS_PMXEVTYPER_EL0, EN, EN, true },
	{ SYS_PMXEVCNTR_EL0, EN | ER, EN, true },
	{ SYS_PMUSERENR_EL0, ALWAYS, NEVER, false },
	{ SYS_PMINTENSET_EL1, NEVER, NEVER, false },
	{ SYS_PMINTENCLR_EL1, NEVER, NEVER, false },
	{ SYS_PMMIR_EL1, NEVER, NEVER, false },
};

static void allow(uint64_t bits)
{
	write_sysreg_isb(bits, pmuserenr_el0);
}

static struct access try(const struct user_access *access, bool is_write, uint64_t bits)
{
	reset_pmu();
	write_sysreg(access->event_counter ? 0 : CYCLE_COUNTER, pmselr_el0);
	allow(bits);
	return is_write ? write_at(AT_EL0, access->id, 0) : read_at(AT_EL0, access->id);
}

/* Calls for reads and writes of each register with each value of PMUSERENR_EL0 */
static void try_all(void (*judge)(const struct user_access *access, bool is_write, uint64_t bits))
{
	for (size_t i = 0; i < ARRAY_SIZE(user_accesses); i++) {
		const struct user_access *access = &user_accesses[i];

		if (access->event_counter && !pmu.counters)
			continue;
		for (uint64_t bits = 0; bits <= PMUSERENR_ALL; bits++)
			for (int is_write = 0; is_write <= 1; is_write++)
				judge(access, is_write, bits);
	}
}

static void judge_access(const struct user_access *access, bool is_write, uint64_t bits)
{
	unsigned int rule = is_write ? access->write : access->read;
	bool allowed = rule & (bits | ALWAYS);
	struct access got = try(access, is_write, bits);

	if (rule == NEVER)
		expect(got.result == UNDEFINED, "%s of %s at EL0: expected %s, got %s",
		       is_write ? "write" : "read", register_name(access->id),
		       result_names[UNDEFINED], result_names[got.result]);
	else
		expect((got.result == DONE) == allowed,
		       "%s of %s at EL0, PMUSERENR_EL0 0x%lx: expected %s, got %s",
		       is_write ? "write" : "read", register_name(access->id), bits,
		       allowed ? result_names[DONE] : "an exception", result_names[got.result]);
}

/* Whether another bit than EN allows some access to the register */
static bool has_own_bit(const struct user_access *access)
{
	return (access->read | access->write) & (SW | CR | ER);
}

static void judge_common_access(const struct user_access *access, bool is_write, uint64_t bits)
{
	if (!has_own_bit(access))
		judge_access(access, is_write, bits);
}

static void judge_own_access(const struct user_access *access, bool is_write, uint64_t bits)
{
	if (has_own_bit(access))
		judge_access(access, is_write, bits);
}

/* PMUSERENR_EL0.EN, and the accessibility of each register */
static void check_user_access(void)
{
	try_all(judge_common_access);
}

/* PMUSERENR_EL0: SW is for increments, CR for the cycle counter, ER for event counters. */
static void check_user_own_access(void)
{
	try_all(judge_own_access);
}

/* ESR_ELx, ISS for EC 0x18: Op0, Op2, Op1, CRn, Rt, CRm, Direction; Rt is X0 */
static uint64_t syndrome(unsigned int id, bool is_write)
{
	unsigned int op0 = id >> 14 & 3, op1 = id >> 11 & 7, crn = id >> 7 & 0xf,
		crm = id >> 3 & 0xf, op2 = id & 7;

	return (uint64_t)ESR_EC_SYSREG << ESR_EC_SHIFT | 1 << 25 | op0 << 20 | op2 << 17 |
	       op1 << 14 | crn << 10 | crm << 1 | !is_write;
}

static void judge_trap(const struct user_access *access, bool is_write, uint64_t bits)
{
	unsigned int rule = is_write ? access->write : access->read;
	struct access got;

	if (rule == NEVER || rule & (bits | ALWAYS))
		return;
	got = try(access, is_write, bits);
	expect(got.esr == syndrome(access->id, is_write),
	       "ESR_EL1 after a %s of %s at EL0, PMUSERENR_EL0 0x%lx: expected 0x%lx, got 0x%lx",
	       is_write ? "write" : "read", register_name(access->id), bits,
	       syndrome(access->id, is_write), got.esr);
}

/* PMUSERENR_EL0: what is not allowed is trapped to EL1, with 0x18 in ESR_EL1.EC. */
static void check_user_trap(void)
{
	try_all(judge_trap);
}

/* EL0 reads and writes the same counter as EL1. */
static void check_user_cycle_counter(void)
{
	reset_pmu();
	write_sysreg(PATTERN, pmccntr_el0);
	allow(CR);
	expect_equal("PMCCNTR_EL0, read at EL0", PATTERN, read_at(AT_EL0, SYS_PMCCNTR_EL0).value);
	allow(EN);
	write_at(AT_EL0, SYS_PMCCNTR_EL0, ~PATTERN);
	expect_equal("PMCCNTR_EL0, written at EL0", ~PATTERN, read_sysreg(pmccntr_el0));
}

struct check user_checks[] = {
	{ .name = "el0_access", .run = check_user_access },
	{ .name = "el0_access_sw_cr_er", .run = check_user_own_access },
	{ .name = "el0_trap", .run = check_user_trap },
	{ .name = "el0_cycle_counter", .run = check_user_cycle_counter },
	{ }
};
