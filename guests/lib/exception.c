// SPDX-License-Identifier: GPL-2.0-or-later
/* Exceptions are reported so that a person can read them, PMU register accesses by the register's name. */
#include "internal.h"

#define ESR_EC_SHIFT	26
#define ESR_EC_MASK	0x3f
#define ESR_EC_UNKNOWN	0x00

/* MRS and MSR (register): 1101 0101 00 L 1 o0 op1 CRn CRm op2 Rt */
#define INSN_SYSREG_MASK	0xffd00000
#define INSN_SYSREG		0xd5100000
#define INSN_SYSREG_READ	(1 << 21)
#define INSN_SYSREG_ID(insn)	(((insn) >> 5) & 0xffff)
#define SYSREG_ID(op0, op1, crn, crm, op2) \
	((((op0) & 3) << 14) | ((op1) << 11) | ((crn) << 7) | ((crm) << 3) | (op2))

static const struct {
	unsigned int id;
	const char *name;
} pmu_registers[] = {
	{ SYSREG_ID(3, 3, 9, 12, 0), "PMCR_EL0" },
	{ SYSREG_ID(3, 3, 9, 12, 1), "PMCNTENSET_EL0" },
	{ SYSREG_ID(3, 3, 9, 12, 2), "PMCNTENCLR_EL0" },
	{ SYSREG_ID(3, 3, 9, 12, 3), "PMOVSCLR_EL0" },
	{ SYSREG_ID(3, 3, 9, 12, 5), "PMSELR_EL0" },
	{ SYSREG_ID(3, 3, 9, 12, 6), "PMCEID0_EL0" },
	{ SYSREG_ID(3, 3, 9, 12, 7), "PMCEID1_EL0" },
	{ SYSREG_ID(3, 3, 9, 13, 0), "PMCCNTR_EL0" },
	{ SYSREG_ID(3, 3, 9, 14, 0), "PMUSERENR_EL0" },
	{ SYSREG_ID(3, 0, 9, 14, 1), "PMINTENSET_EL1" },
	{ SYSREG_ID(3, 0, 9, 14, 2), "PMINTENCLR_EL1" },
	{ SYSREG_ID(3, 0, 9, 14, 6), "PMMIR_EL1" },
	{ SYSREG_ID(3, 3, 14, 15, 7), "PMCCFILTR_EL0" },
};

static const char *const vector_names[] = { "synchronous", "IRQ", "FIQ", "SError" };

static const char *exception_class(uint64_t esr)
{
	switch (esr >> ESR_EC_SHIFT & ESR_EC_MASK) {
	case 0x00: return "undefined instruction";
	case 0x07: return "FP access";
	case 0x0e: return "illegal execution state";
	case 0x18: return "trapped system register";
	case 0x21: return "instruction abort";
	case 0x22: return "PC alignment fault";
	case 0x25: return "data abort";
	case 0x26: return "SP alignment fault";
	case 0x3c: return "BRK";
	default: return "unnamed class";
	}
}

static const char *register_name(uint32_t insn)
{
	for (size_t i = 0; i < ARRAY_SIZE(pmu_registers); i++)
		if (pmu_registers[i].id == INSN_SYSREG_ID(insn))
			return pmu_registers[i].name;
	return "a system register that is not of the PMU";
}

void lib_exception(uint64_t vector, uint64_t esr, uint64_t elr, uint64_t far)
{
	static unsigned int faulted[MAX_VCPUS];
	const char *kind = vector_names[vector % ARRAY_SIZE(vector_names)];
	uint32_t insn;

	/* an exception in the report itself: nothing more can be said */
	if (faulted[vcpu_index()]++)
		psci_system_off();
	if (vector % ARRAY_SIZE(vector_names) || (esr >> ESR_EC_SHIFT & ESR_EC_MASK) != ESR_EC_UNKNOWN)
		fail("%s exception, %s, vcpu=%u vector=%lu esr=0x%lx elr=0x%lx far=0x%lx",
		     kind, exception_class(esr), vcpu_index(), vector, esr, elr, far);
	insn = *(const uint32_t *)elr;
	if ((insn & INSN_SYSREG_MASK) != INSN_SYSREG)
		fail("%s exception, %s 0x%x, vcpu=%u esr=0x%lx elr=0x%lx",
		     kind, exception_class(esr), insn, vcpu_index(), esr, elr);
	fail("%s exception, %s of %s is undefined, insn=0x%x vcpu=%u esr=0x%lx elr=0x%lx", kind,
	     insn & INSN_SYSREG_READ ? "read" : "write", register_name(insn), insn, vcpu_index(), esr, elr);
}
