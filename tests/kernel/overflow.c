// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Claim: with fixed counters only, the overflow interrupt of the cycle counter comes once and on time, wherever the vCPU has been.
 *
 *   overflow all          all tests, under instruction counting
 *   overflow wraparound   overflows that are 2^32 cycles apart, for which instruction counting is too slow
 */
#include <stdio.h>

#include "counter.h"

struct overflow {
	const char *name;
	/* PMCR_EL0 when the counter is written, and afterwards */
	uint64_t first_pmcr, pmcr;
	uint64_t start;
	/* Cycles from start to the overflow, 0 when there is none */
	uint64_t due;
};

/* Due after some laps, so that the vCPU has moved before */
#define OVERFLOW_DUE	5000
#define OVERFLOW_ATTEMPTS	3

static const struct overflow overflows[] = {
	{ "32-bit overflow: one interrupt, on time", PMCR_E, PMCR_E, (1ULL << 32) - OVERFLOW_DUE, OVERFLOW_DUE },
	{ "32-bit overflow of a large value: one interrupt, on time", PMCR_E, PMCR_E, (7ULL << 32) - OVERFLOW_DUE, OVERFLOW_DUE },
	{ "64-bit overflow: one interrupt, on time", PMCR_E | PMCR_LC, PMCR_E | PMCR_LC, 0ULL - OVERFLOW_DUE, OVERFLOW_DUE },
	{ "64-bit overflow: none at 2^32", PMCR_E | PMCR_LC, PMCR_E | PMCR_LC, (1ULL << 32) - OVERFLOW_DUE, 0 },
	{ "64-bit overflow after all: none at 2^32", PMCR_E, PMCR_E | PMCR_LC, (1ULL << 32) - OVERFLOW_DUE, 0 },
	{ "32-bit overflow after all: one interrupt, on time", PMCR_E | PMCR_LC, PMCR_E, (1ULL << 32) - OVERFLOW_DUE, OVERFLOW_DUE },
};

/* How late the interrupt is; -1 when it comes early, not once or not at all. An overflow without a due time is never late. */
static int64_t measure_overflow(const struct overflow *overflow, uint64_t (*where)(int), uint64_t *length)
{
	int offset, laps = 0, interrupts = 0;
	uint64_t value, at = 0;
	unsigned int reason;
	struct vm vm;

	pin_to(pmus[0].cpus & -pmus[0].cpus);
	counter_create(&vm, BACKED_BY_FIXED, overflow->pmcr, overflow->start, LAP_TURNS);
	set_argument(&vm, 0, overflow->first_pmcr);
	*length = lap_length(&vm);
	while (laps < LAPS) {
		pin_to(where(laps));
		offset = vm_run(&vm, &value, &reason);
		if (offset != GUEST_IRQ && offset != GUEST_VALUE)
			die("the guest stopped: offset %d, KVM exit %u, value 0x%llx", offset, reason, (unsigned long long)value);
		laps += offset == GUEST_VALUE;
		if (offset != GUEST_IRQ)
			continue;
		interrupts++;
		at = value - overflow->start;
	}
	vm_destroy(&vm);
	pin_to(all_cpus);
	printf("# %d interrupts in %d laps, the last at %llu, due at %llu\n", interrupts, laps, (unsigned long long)at,
	       (unsigned long long)overflow->due);
	if (!overflow->due)
		return interrupts ? -1 : 0;
	return interrupts == 1 && at >= overflow->due ? (int64_t)(at - overflow->due) : -1;
}

/* On time is before the lap is over in which the overflow is due; that lap may be a noisy one, but not each time. */
static void test_overflow(const struct overflow *overflow, uint64_t (*where)(int), const char *how)
{
	bool on_time = false, ok = true;
	uint64_t length;

	for (int i = 0; ok && !on_time && i < OVERFLOW_ATTEMPTS; i++) {
		int64_t late = measure_overflow(overflow, where, &length);

		ok = late >= 0;
		on_time = late < (int64_t)length;
	}
	result(ok && on_time, "%s, %s", overflow->name, how);
}

static void test_overflows(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(overflows); i++) {
		test_overflow(&overflows[i], within_pmu, "within a PMU");
		test_overflow(&overflows[i], every_pmu, "across PMUs");
	}
}

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
	{ "all", test_overflows, 2 },
	{ "wraparound", test_wraparounds, 2 },
	{ 0 }
};

int main(int argc, char **argv)
{
	return run_group(groups, argc, argv);
}
