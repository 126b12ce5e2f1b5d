// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What a guest's counter may be in a storm, after what was done to it.
 *
 * The emulator's system counter and its cycle counter count the same nanoseconds, the first always, the second in the guest only. So
 * the second
 *   - counts at most what the first does, between reads around it;
 *   - counts at least what the guest saw pass of the first in steps of less than STORM_GAP, in which there is no exit to the host;
 *   - stands still when it is disabled or does not count at EL1.
 * Counts that get lost, are added twice or go back break these. Nothing is known of longer steps: the guest may have been left.
 *
 * This is for the exact host. Where CPUs run in parallel the emulator may make up what a counter lacks to its overflow, when the timer for
 * that goes off between the two hooks of an exception return (QEMU 10.0.2, target/arm/tcg/helper-a64.c: the lock is not held there, and
 * pmccntr_op_start() takes the time that the first hook left for a count). In the exact host one thread runs all CPUs and the timers,
 * one after the other.
 */
#include "storm.h"

/*
 * An overflow this near (the nanoseconds are some seconds) may happen before the guest gets to program the counter, and KVM
 * may then forget it, as hardware may not. So the guest waits for it.
 */
#define NEAR			(1ULL << 31)
/* Rounds that end after an overflow and before its interrupt, at most: it may come between the guest's last look and its report */
#define LATE_ROUNDS		1

static bool counts(const struct counter *counter)
{
	return counter->enabled && counter->pmcr & PMCR_E && !(counter->filter & EXCLUDE_EL1);
}

/* Counts from value to the next overflow; 0 when that is 2^64 */
static uint64_t to_overflow(const struct counter *counter, uint64_t value)
{
	return counter->pmcr & PMCR_LC ? -value : (1ULL << 32) - (uint32_t)value;
}

bool overflow_is_near(const struct counter *counter)
{
	uint64_t distance = to_overflow(counter, counter->value);

	return distance && distance < NEAR;
}

bool must_wait(const struct counter *counter)
{
	return counter->overflows != counter->interrupts || (counts(counter) && overflow_is_near(counter));
}

/* The counter got to value: has it overflowed? */
static void pass(struct counter *counter, uint64_t value)
{
	uint64_t count = value - counter->passed, distance = to_overflow(counter, counter->passed);

	/* An interrupt came between this value and its being reported */
	if (-count < AGES)
		return;
	counter->passed = value;
	counter->overflows += distance && count >= distance;
}

static void start_at(struct counter *counter, uint64_t value)
{
	counter->value = counter->passed = value;
}

static void apply_step(struct counter *counter, const struct round *round, int step)
{
	switch (step) {
	case STORM_STOP:
		counter->enabled = false;
		break;
	case STORM_PMCR:
		counter->pmcr = round->pmcr & ~PMCR_C;
		if (round->pmcr & PMCR_C)
			start_at(counter, 0);
		break;
	case STORM_PMCCNTR:
		start_at(counter, round->value);
		break;
	case STORM_PMCCFILTR:
		counter->filter = round->filter;
		break;
	case STORM_START:
		counter->enabled = true;
		break;
	}
}

void apply_round(struct counter *counter, struct round *round)
{
	round->counted = counts(counter);
	for (int step = 0; step < NR_STEPS; step++) {
		if (!(round->steps >> step & 1))
			continue;
		apply_step(counter, round, step);
		round->counted |= counts(counter);
	}
	counter->programmed = true;
	round->counts = counts(counter);
	if (round->steps)
		did(PROGRAMMED);
}

void judge_interrupt(struct counter *counter, uint64_t value)
{
	pass(counter, value);
	did(INTERRUPTS);
	if (++counter->interrupts <= counter->overflows)
		return;
	broken(OVERFLOWS, "an interrupt with the counter at 0x%llx and PMCR_EL0 0x%llx, but there was no overflow",
	       (unsigned long long)value, (unsigned long long)counter->pmcr);
	counter->overflows = counter->interrupts;
}

static void judge_lateness(struct counter *counter)
{
	if (counter->overflows == counter->interrupts) {
		counter->late = 0;
		return;
	}
	if (++counter->late <= LATE_ROUNDS)
		return;
	broken(OVERFLOWS, "no interrupt %u rounds after the overflow; the counter is at 0x%llx, PMCR_EL0 0x%llx", counter->late,
	       (unsigned long long)counter->value, (unsigned long long)counter->pmcr);
	counter->interrupts = counter->overflows;
}

static void expect_count(const struct counter *counter, const struct round *round, const char *when, uint64_t from, uint64_t to, uint64_t least,
			 uint64_t most)
{
	uint64_t count = to - from;

	if (count >= least && count <= most)
		return;
	broken(COUNTS, "%s: from 0x%llx to 0x%llx, expected %llu to %llu, got %lld; backing %d, steps 0x%x, PMCR_EL0 0x%llx", when,
	       (unsigned long long)from, (unsigned long long)to, (unsigned long long)least, (unsigned long long)most, (long long)count,
	       round->backing, round->steps, (unsigned long long)counter->pmcr);
}

void judge_round(struct counter *counter, const struct round *round, const struct sample *sample)
{
	bool written = round->steps & STEP(PMCCNTR) || (round->steps & STEP(PMCR) && round->pmcr & PMCR_C);
	uint64_t since = written ? sample->begin : counter->time;
	/* The default PMU counts on its CPUs alone */
	uint64_t least = round->counts && round->backing != BACKED_BY_DEFAULT ? sample->in_guest : 0;
	uint64_t most = round->counts ? sample->end - sample->before_first : 0;

	expect_count(counter, round, "since the last round", counter->value, sample->first, 0,
		     round->counted ? sample->after_first - since : 0);
	expect_count(counter, round, "within a round", sample->first, sample->second, least, most);
	pass(counter, sample->second);
	counter->value = sample->second;
	counter->time = sample->last;
	judge_lateness(counter);
}

bool judge_register(struct counter *counter, uint64_t value)
{
	if (value - counter->value > (counts(counter) ? AGES : 0))
		return false;
	counter->value = value;
	pass(counter, value);
	return true;
}
