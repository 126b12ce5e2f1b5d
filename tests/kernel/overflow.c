// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Claim: overflow interrupts of the cycle counter that are 2^32 cycles apart come once each and
 * right after the wrap.
 *
 * How: the guest waits for interrupts most of the time. With kvm-arm.wfi_trap_policy=notrap the
 * emulated CPU waits inside the guest, where cycles count. The exact host skips that time, up to
 * the next tick of its kernel.
 *
 *   overflow wraparound   all tests, on a host with kvm-arm.wfi_trap_policy=notrap
 */
#include <stdio.h>

#include "counter.h"

/* Turns on each PMU: a tenth of a second, at the host's 250 ticks a second */
#define TURNS	25

/* Two overflows, 2^32 cycles apart; the first one comes early, unless the counter starts at 0. */
static void test_wraparound(uint64_t start, enum backing backing, const char *name)
{
	const uint64_t after = 1ULL << 28, end = 2;
	uint64_t value = 0;
	int offset, laps = 0, interrupts = 0, late = 0;
	struct vm vm;

	pin_to(pmus[0].cpus);
	counter_create(&vm, backing, PMCR_E, start, TURNS);
	vm_load(&vm, guest_idle);
	while (value >> 32 < end || (uint32_t)value < after) {
		if (backing == BACKED_BY_FIXED)
			pin_to(every_pmu(laps++));
		offset = vm_run(&vm, &value);
		if (offset == GUEST_EXCEPTION || offset < 0)
			guest_stopped(&vm, offset, value);
		if (offset != GUEST_IRQ)
			continue;
		interrupts++;
		late += (uint32_t)value > GUEST_LATE;
		printf("# interrupt %d with the counter at 0x%lx\n", interrupts, value);
	}
	vm_destroy(&vm);
	pin_to(all_cpus);
	printf("# expected 2 interrupts each right after a wrap, got %d, %d elsewhere\n",
	       interrupts, late);
	result(interrupts == 2 && !late, "%s", name);
}

static void test_wraparounds(void)
{
	const uint64_t early = (1ULL << 32) - (1ULL << 28);

	test_wraparound(early, BACKED_BY_DEFAULT,
			"without the mode: 32-bit overflows of the default PMU, "
			"right after each wrap");
	test_wraparound(0, BACKED_BY_DEFAULT,
			"without the mode: 32-bit overflows of the default PMU from 0, "
			"right after each wrap");
	test_wraparound(early, BACKED_BY_FIXED,
			"32-bit overflows: right after each wrap, across PMUs");
	test_wraparound(0, BACKED_BY_FIXED,
			"32-bit overflows from 0: right after each wrap, across PMUs");
}

const struct group groups[] = {
	{ "wraparound", test_wraparounds, 2 },
	{ 0 }
};
