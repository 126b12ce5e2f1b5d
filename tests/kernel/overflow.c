// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Claim: overflow interrupts of the cycle counter that are 2^32 cycles apart come once each and right after the wrap.
 *
 *   overflow wraparound   all tests; instruction counting is too slow for them
 */
#include <stdio.h>

#include "counter.h"

/* Two overflows, 2^32 cycles apart; the first one comes early, unless the counter starts at 0. */
static void test_wraparound(uint64_t start, enum backing backing, const char *name)
{
	/* A tenth of a second in each PMU; the counter runs at 1 GHz in the emulator, so the handler sees little more than 0 */
	const uint64_t turns = 1000000, late = 1ULL << 28, end = 2;
	uint64_t value = 0;
	int offset, laps = 0, interrupts = 0, bad = 0;
	unsigned int reason;
	struct vm vm;

	pin_to(pmus[0].cpus);
	counter_create(&vm, backing, PMCR_E, start, turns);
	while (value >> 32 < end || (uint32_t)value < late) {
		if (backing == BACKED_BY_FIXED)
			pin_to(every_pmu(laps++));
		offset = vm_run(&vm, &value, &reason);
		if (offset == GUEST_EXCEPTION || offset < 0)
			die("the guest stopped: offset %d, KVM exit %u, value 0x%llx", offset, reason, (unsigned long long)value);
		if (offset != GUEST_IRQ)
			continue;
		interrupts++;
		bad += (uint32_t)value >= late;
		printf("# interrupt %d with the counter at 0x%llx\n", interrupts, (unsigned long long)value);
	}
	vm_destroy(&vm);
	pin_to(all_cpus);
	printf("# expected 2 interrupts each right after a wrap, got %d, %d elsewhere\n", interrupts, bad);
	result(interrupts == 2 && !bad, "%s", name);
}

static void test_wraparounds(void)
{
	const uint64_t early = (1ULL << 32) - (1ULL << 28);

	test_wraparound(early, BACKED_BY_DEFAULT, "unused: 32-bit overflows of the default PMU, right after each wrap");
	test_wraparound(0, BACKED_BY_DEFAULT, "unused: 32-bit overflows of the default PMU from 0, right after each wrap");
	test_wraparound(early, BACKED_BY_FIXED, "32-bit overflows: right after each wrap, across PMUs");
	test_wraparound(0, BACKED_BY_FIXED, "32-bit overflows from 0: right after each wrap, across PMUs");
}

static const struct group groups[] = {
	{ "wraparound", test_wraparounds, 2 },
	{ 0 }
};

int main(int argc, char **argv)
{
	return run_group(groups, argc, argv);
}
