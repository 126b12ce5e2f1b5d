// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Claim: with fixed counters only, a guest that has EL2 sees no event counter at EL2 or EL1, and
 * cannot get one by MDCR_EL2.HPMN. With the counters of a PMU, those that EL2 reserves for itself
 * keep their bits whatever EL1 does. At EL1 the cycle counter counts by the filter for EL1, even if
 * EL2 has used it before.
 *
 *   nested all   on a host with kvm-arm.mode=nested
 */
#include <stdio.h>
#include <string.h>

#include "steps.h"

#define EL1_OF_CURRENTEL	(1 << 2)
#define HPMN			0x1f

extern const char nested_guest[], nested_guest_end[], nested_bits[], nested_filter[];

static void create(struct vm *vm, unsigned int features, enum backing backing, const char *entry)
{
	guest_create(vm, features, backing, guest_image);
	memcpy(vm->ram, nested_guest, nested_guest_end - nested_guest);
	vcpu_must_set_reg(vm, 0, REG_PC, GUEST_RAM + (entry - nested_guest));
}

static void test_guest(unsigned int features, enum backing backing, unsigned int counters,
		       unsigned int hpmn, const char *name)
{
	const struct report reports[] = {
		{ "PMCR_EL0.N at EL2", 0x1f << 11, counters << 11 },
		{ "MDCR_EL2.HPMN at reset", HPMN, counters },
		{ "MDCR_EL2.HPMN after writing 4", HPMN, hpmn },
		{ "PMCR_EL0.N at EL2 after that", 0x1f << 11, counters << 11 },
		{ "CurrentEL", ~0ULL, EL1_OF_CURRENTEL },
		{ "PMCR_EL0.N at EL1", 0x1f << 11, hpmn << 11 },
	};
	struct vm vm;
	bool ok;

	if (!is_accepted(features)) {
		result(false, "%s", name);
		return;
	}
	create(&vm, features, backing, nested_guest);
	ok = check_reports(&vm, reports, ARRAY_SIZE(reports));
	vm_destroy(&vm);
	result(ok, "%s", name);
}

/* Whether userspace saves these bits while the guest is at EL1 */
static bool saves_all(struct vm *vm, uint64_t bits, uint64_t mask)
{
	static const struct { const char *name; uint64_t reg; } registers[] = {
		{ "PMCNTENSET_EL0, saved at EL1", REG_PMCNTENSET_EL0 },
		{ "PMINTENSET_EL1, saved at EL1", REG_PMINTENSET_EL1 },
		{ "PMOVSSET_EL0, saved at EL1", REG_PMOVSSET_EL0 },
	};
	bool ok = true;

	for (size_t i = 0; i < ARRAY_SIZE(registers); i++)
		ok &= equal(registers[i].name, vcpu_get_reg(vm, 0, registers[i].reg) & mask, bits);
	return ok;
}

/* The bits of counters 0 and 5; EL2 has reserved counter 5 */
static void test_bits(void)
{
	static const struct { const char *name; uint64_t expected; } reports[] = {
		{ "PMCNTENSET_EL0 at EL2", 0x21 }, { "PMCNTENSET_EL0 at EL1", 0x1 },
		{ "PMINTENSET_EL1 at EL1", 0x1 }, { "PMOVSSET_EL0 at EL1", 0x1 },
		{ "PMCNTENSET_EL0 at EL1 after PMCR_EL0.E", 0x1 },
		{ "PMCNTENSET_EL0 at EL1 after PMCR_EL0.{E,LC,LP}", 0x1 },
		{ "PMCNTENSET_EL0 at EL2 again", 0x21 },
		{ "PMINTENSET_EL1 at EL2 again", 0x21 }, { "PMOVSSET_EL0 at EL2 again", 0x21 },
	};
	const uint64_t counters = 0x3f;
	struct vm vm;
	bool ok = true, saved = true;

	pin_to(pmus[0].cpus);
	create(&vm, PMU | EL2, BACKED_BY_PMU, nested_bits);
	for (size_t i = 0; i < ARRAY_SIZE(reports); i++) {
		ok &= equal(reports[i].name, next_value(&vm) & counters, reports[i].expected);
		saved &= saves_all(&vm, 0x21, counters);
	}
	vm_destroy(&vm);
	result(ok, "counters that EL2 has reserved keep their bits, which EL1 does not see");
	result(saved, "userspace saves these bits when the guest is at EL1, too");
}

static void test_restored_bits(void)
{
	const uint64_t counters = 0x3f;
	struct vm vm;
	bool ok = true;

	pin_to(pmus[0].cpus);
	create(&vm, PMU | EL2, BACKED_BY_PMU, nested_bits);
	for (int i = 0; i < 2; i++)
		next_value(&vm);
	/* The guest is at EL1 */
	vcpu_set_reg(&vm, 0, REG_PMCNTENSET_EL0, 0x3f);
	vcpu_set_reg(&vm, 0, REG_PMINTENSET_EL1, 0x3f);
	vcpu_set_reg(&vm, 0, REG_PMOVSSET_EL0, 0x3f);
	ok &= saves_all(&vm, 0x3f, counters);
	for (int i = 0; i < 4; i++)
		next_value(&vm);
	ok &= equal("PMCNTENSET_EL0 at EL2 again", next_value(&vm) & counters, 0x3f);
	vm_destroy(&vm);
	result(ok, "userspace restores these bits when the guest is at EL1, too");
}

static void test_filter(enum backing backing, uint64_t filter, bool counts, const char *kind)
{
	struct vm vm;
	uint64_t count;
	bool ok;

	pin_to(pmus[0].cpus);
	create(&vm, PMU | EL2, backing, nested_filter);
	set_argument(&vm, 20, filter);
	count = next_value(&vm);
	vm_destroy(&vm);
	ok = counts ? count >= 2 * GUEST_READS && count <= 2 * GUEST_READS + LAP_OVERHEAD : !count;
	if (!ok)
		printf("# with PMCCFILTR_EL0 0x%lx it counted %lu at EL1\n", filter, count);
	result(ok, counts ? "%s: filtered at EL2, it counts at EL1 after EL2 used it" :
	       "%s: filtered at EL1, it stands still there after EL2 used it", kind);
}

static void test_filters(enum backing backing, const char *kind)
{
	test_filter(backing, PMCCFILTR_NSH | PMCCFILTR_P, false, kind);
	test_filter(backing, 0, true, kind);
}

static void test_all(void)
{
	const unsigned int hpmn = 4, of_pmu = 6;

	test_guest(PMU | EL2, BACKED_BY_FIXED, 0, 0, "no event counter at EL2 nor EL1");
	test_guest(STRICT | EL2, BACKED_BY_FIXED, 0, 0, "no event counter at EL2 nor EL1; strict");
	/* The emulator's PMUs have six event counters, which a guest without the mode sees */
	pin_to(pmus[0].cpus);
	test_guest(PMU | EL2, BACKED_BY_PMU, of_pmu, hpmn,
		   "without the mode: all event counters at EL2, as many as it says at EL1");
	test_bits();
	test_restored_bits();
	test_filters(BACKED_BY_PMU, "one PMU");
	test_filters(BACKED_BY_FIXED, "fixed counters");
}

const struct group groups[] = {
	{ "all", test_all, 1 },
	{ 0 }
};
