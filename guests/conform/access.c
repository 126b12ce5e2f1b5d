// SPDX-License-Identifier: GPL-2.0-or-later
/* Accesses to system registers, at EL0 or EL1, that may be undefined or trapped. */
#include "conform.h"

#define INSN_SYSREG_WRITE	0
#define INSN_SVC		0xd4000001
#define SPSR_I			(1 << 7)

const char *const result_names[] = {
	[DONE] = "no exception", [UNDEFINED] = "UNDEFINED", [TRAPPED] = "trapped to EL1",
	[OTHER_EXCEPTION] = "another exception",
};

struct outcome run_at(enum level level, const void *code, uint64_t operand, bool interrupts)
{
	uint64_t spsr = level == AT_EL0 ? SPSR_EL0T_DAIF : SPSR_EL1H_DAIF;
	struct outcome outcome;

	run(&outcome, (uint64_t)code + (level == AT_EL0 ? EL0_ALIAS : 0), operand,
	    interrupts ? spsr & ~SPSR_I : spsr);
	return outcome;
}

void spin(void)
{
	run_at(AT_EL1, code_spin, 0, false);
}

static enum result result_of(uint64_t esr)
{
	switch (ESR_EC(esr)) {
	case ESR_EC_SVC: return DONE;
	case ESR_EC_UNKNOWN: return UNDEFINED;
	case ESR_EC_SYSREG: return TRAPPED;
	default: return OTHER_EXCEPTION;
	}
}

/* The register is part of the instruction, so this writes the instruction and runs it. */
static struct access access_at(enum level level, unsigned int id, uint32_t direction,
			       uint64_t operand)
{
	static uint32_t code[2] __attribute__((aligned(8)));
	struct outcome outcome;

	code[0] = INSN_SYSREG | direction | id << INSN_SYSREG_ID_SHIFT;
	code[1] = INSN_SVC;
	asm volatile("dc cvau, %0; dsb ish; ic iallu; dsb ish; isb" : : "r"(code) : "memory");
	outcome = run_at(level, code, operand, false);
	return (struct access){ .result = result_of(outcome.esr), .value = outcome.value,
				.esr = outcome.esr };
}

struct access read_at(enum level level, unsigned int id)
{
	return access_at(level, id, INSN_SYSREG_READ, SENTINEL);
}

struct access write_at(enum level level, unsigned int id, uint64_t value)
{
	return access_at(level, id, INSN_SYSREG_WRITE, value);
}
