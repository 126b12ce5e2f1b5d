// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Claim: with fixed counters only, a guest sees a PMU that has a cycle counter and no event
 * counter, whatever the host's PMUs are.
 */
#include <stdio.h>

#include "counter.h"

#define CPU_CYCLES	0x11

static void test_identity(unsigned int features, const char *name)
{
	static const struct report registers[] = {
		{ "PMCR_EL0.N", 0x1f << 11, 0 },
		{ "PMCEID0_EL0", ~0ULL, 1 << CPU_CYCLES },
		{ "PMCEID1_EL0", ~0ULL, 0 },
		{ "PMMIR_EL1", ~0ULL, 0 },
		{ "PMCNTENSET_EL0 after writing all bits", ~0ULL, PMU_CYCLE_BIT },
	};
	struct vm vm;
	bool ok;

	if (!is_accepted(features)) {
		result(false, "%s", name);
		return;
	}
	guest_create(&vm, features, BACKED_BY_FIXED, guest_identify);
	ok = check_reports(&vm, registers, ARRAY_SIZE(registers));
	vm_destroy(&vm);
	result(ok, "%s", name);
}

static void test_undefined(const char *entry, const char *name)
{
	uint64_t esr = ~0ULL;
	struct vm vm;
	int offset;

	guest_create(&vm, PMU, BACKED_BY_FIXED, entry);
	offset = vm_run(&vm, &esr);
	vm_destroy(&vm);
	/* Exception class 0, unknown reason: the register is undefined */
	printf("# expected offset %d with class 0, got %d with ESR_EL1 0x%lx\n", GUEST_EXCEPTION,
	       offset, esr);
	result(offset == GUEST_EXCEPTION && esr >> 26 == 0, "%s", name);
}

static void test_all(void)
{
	test_identity(PMU, "the guest sees the cycle counter alone");
	test_identity(STRICT, "the guest sees the cycle counter alone; strict");
	test_undefined(guest_event_counter, "event counters are undefined");
	test_undefined(guest_selected_counter,
		       "event counters are undefined when selected by PMSELR_EL0");
}

const struct group groups[] = {
	{ "all", test_all, 1 },
	{ 0 }
};
