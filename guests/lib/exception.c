// SPDX-License-Identifier: GPL-2.0-or-later
/* Reports exceptions in words, with the name of the register for accesses to the PMU. */
#include "internal.h"

#define NAMED(name)	{ SYS_##name, #name }

static const struct {
	unsigned int id;
	const char *name;
} pmu_registers[] = {
	NAMED(PMCR_EL0),
	NAMED(PMCNTENSET_EL0),
	NAMED(PMCNTENCLR_EL0),
	NAMED(PMOVSCLR_EL0),
	NAMED(PMSWINC_EL0),
	NAMED(PMSELR_EL0),
	NAMED(PMCEID0_EL0),
	NAMED(PMCEID1_EL0),
	NAMED(PMCCNTR_EL0),
	NAMED(PMXEVTYPER_EL0),
	NAMED(PMXEVCNTR_EL0),
	NAMED(PMUSERENR_EL0),
	NAMED(PMOVSSET_EL0),
	NAMED(PMINTENSET_EL1),
	NAMED(PMINTENCLR_EL1),
	NAMED(PMMIR_EL1),
	NAMED(PMCCFILTR_EL0),
};

static const char *const vector_names[] = { "synchronous", "IRQ", "FIQ", "SError" };

static const char *exception_class(uint64_t esr)
{
	switch (ESR_EC(esr)) {
	case ESR_EC_UNKNOWN: return "undefined instruction";
	case 0x07: return "FP access";
	case 0x0e: return "illegal execution state";
	case ESR_EC_SYSREG: return "trapped system register";
	case 0x21: return "instruction abort";
	case 0x22: return "PC alignment fault";
	case 0x25: return "data abort";
	case 0x26: return "SP alignment fault";
	case 0x3c: return "BRK";
	default: return "unnamed class";
	}
}

const char *register_name(unsigned int id)
{
	for (size_t i = 0; i < ARRAY_SIZE(pmu_registers); i++)
		if (pmu_registers[i].id == id)
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
	if (vector % ARRAY_SIZE(vector_names) || ESR_EC(esr) != ESR_EC_UNKNOWN)
		fail("%s exception, %s, vcpu=%u vector=%lu esr=0x%lx elr=0x%lx far=0x%lx",
		     kind, exception_class(esr), vcpu_index(), vector, esr, elr, far);
	insn = *(const uint32_t *)elr;
	if ((insn & INSN_SYSREG_MASK) != INSN_SYSREG)
		fail("%s exception, %s 0x%x, vcpu=%u esr=0x%lx elr=0x%lx",
		     kind, exception_class(esr), insn, vcpu_index(), esr, elr);
	fail("%s exception, %s of %s is undefined, insn=0x%x vcpu=%u esr=0x%lx elr=0x%lx", kind,
	     insn & INSN_SYSREG_READ ? "read" : "write", register_name(INSN_SYSREG_ID(insn)), insn,
	     vcpu_index(), esr, elr);
}
