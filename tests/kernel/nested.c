// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Claim: with fixed counters only, a guest that has EL2 sees no event counter at EL2 nor at EL1, and cannot give itself one by
 * MDCR_EL2.HPMN.
 *
 *   nested all   on a host with kvm-arm.mode=nested
 */
#include <stdio.h>
#include <string.h>

#include "counter.h"

#define EL1_OF_CURRENTEL	(1 << 2)
#define HPMN			0x1f

extern const char nested_guest[], nested_guest_end[];

static void test_guest(unsigned int features, enum backing backing, unsigned int counters, unsigned int hpmn, const char *name)
{
	const struct { const char *name; uint64_t mask, expected; } reports[] = {
		{ "PMCR_EL0.N at EL2", 0x1f << 11, counters << 11 },
		{ "MDCR_EL2.HPMN at reset", HPMN, counters },
		{ "MDCR_EL2.HPMN after writing 4", HPMN, hpmn },
		{ "PMCR_EL0.N at EL2 after that", 0x1f << 11, counters << 11 },
		{ "CurrentEL", ~0ULL, EL1_OF_CURRENTEL },
		{ "PMCR_EL0.N at EL1", 0x1f << 11, hpmn << 11 },
	};
	struct vm vm;
	bool ok = true;

	guest_create(&vm, features, backing, guest_image);
	memcpy(vm.ram, nested_guest, nested_guest_end - nested_guest);
	for (size_t i = 0; i < ARRAY_SIZE(reports); i++) {
		uint64_t value = next_value(&vm);

		if ((value & reports[i].mask) == reports[i].expected)
			continue;
		printf("# %s: expected 0x%llx, got 0x%llx\n", reports[i].name, (unsigned long long)reports[i].expected,
		       (unsigned long long)value);
		ok = false;
	}
	vm_destroy(&vm);
	result(ok, "%s", name);
}

static void test_all(void)
{
	const unsigned int hpmn = 4, of_pmu = 6;

	test_guest(PMU | EL2, BACKED_BY_FIXED, 0, 0, "no event counter at EL2 nor EL1");
	test_guest(STRICT | EL2, BACKED_BY_FIXED, 0, 0, "no event counter at EL2 nor EL1; strict");
	/* The emulator's PMUs have six; this shows that the guest would see them */
	pin_to(pmus[0].cpus);
	test_guest(PMU | EL2, BACKED_BY_PMU, of_pmu, hpmn, "unused: all event counters at EL2, as many as it says at EL1");
}

static const struct group groups[] = {
	{ "all", test_all, 1 },
	{ 0 }
};

int main(int argc, char **argv)
{
	return run_group(groups, argc, argv);
}
