// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What a guest's counter may be in a storm, after what was done to it; without KVM, so that storm-judge.c can try it.
 *
 * The bounds hold without instruction counting, too, where time is the build machine's. In the emulator the system counter and
 * the cycle counter count the same nanoseconds, the first always, the second in the guest only. So the second
 *   - counts at most what the first does, between reads around it;
 *   - counts at least what the guest saw pass of the first in steps of less than STORM_GAP, in which there is no exit to the host;
 *   - stands still when it is disabled or does not count at EL1.
 * Counts that get lost, are added twice or go back break these, whatever the load. Gaps are not held against anybody.
 *
 * But an overflow may come early, with the counts that were missing made up: the emulator's PMU does so when the timer for an overflow goes
 * off between the two hooks of an exception return (QEMU 10.0.2, target/arm/tcg/helper-a64.c: the lock is not held there, and
 * pmccntr_op_start() takes the time that the first hook left for a count). perf on the stock kernel, without KVM, sees it, too. These
 * are told apart, and may be few; wrap.c has the exact test of when an overflow comes. It can also be the timer of what was programmed
 * before, and then any period ends early, also one that KVM gives to an overflow which is farther than perf's periods are long. What such
 * a period lacks is less than its length by what was counted since it began.
 */
#include "storm.h"

/*
 * An overflow this near (the nanoseconds are some seconds) may happen before the guest gets to program the counter, and KVM
 * may then forget it, as hardware may not. So the guest waits for it.
 */
#define NEAR			(1ULL << 31)

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
	if (distance && distance <= PERIOD_REARMED)
		counter->overflows += count >= distance;
	else if (count >= AGES)
		counter->period_ended = true;
}

/* The counter got from a value count farther: is that what it may have counted? */
static bool is_possible(struct counter *counter, uint64_t from, uint64_t count, uint64_t most)
{
	uint64_t distance = to_overflow(counter, from), elapsed = from - counter->start;
	const struct { uint64_t least, most; } early[] = {
		{ distance, distance },
		{ PERIOD_REARMED - elapsed, PERIOD_REARMED },
		{ PERIOD_NEW - elapsed, PERIOD_NEW },
	};

	if (count <= most)
		return true;
	for (size_t i = 0; i < ARRAY_SIZE(early); i++) {
		if (distance && early[i].least > distance)
			continue;
		if (!early[i].most || count < early[i].least || count > early[i].most + most)
			continue;
		atomic_fetch_add(&storm->early, 1);
		counter->start = from + early[i].least;
		return true;
	}
	return false;
}

static void start_at(struct counter *counter, uint64_t value)
{
	counter->value = counter->passed = counter->start = value;
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
	/* So early that it is no overflow, but KVM takes a period's end for one, if the perf event has a period */
	if (counter->period_ended && counter->interrupts == counter->overflows) {
		counter->period_ended = false;
		return;
	}
	if (++counter->interrupts > counter->overflows)
		broken(OVERFLOWS, "an interrupt with the counter at 0x%llx and PMCR_EL0 0x%llx, but there was no overflow",
		       (unsigned long long)value, (unsigned long long)counter->pmcr);
}

static void expect_count(struct counter *counter, const struct round *round, const char *when, uint64_t from, uint64_t to, uint64_t least,
			 uint64_t most)
{
	uint64_t count = to - from;

	if (count >= least && is_possible(counter, from, count, most))
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
	uint64_t most = round->counts ? sample->end - sample->before_first : 0, count = sample->second - sample->first;

	expect_count(counter, round, "since the last round", counter->value, sample->first, 0,
		     round->counted ? sample->after_first - since : 0);
	expect_count(counter, round, "within a round", sample->first, sample->second, least, most);
	/* What an early overflow makes up, decades of cycles, nobody can have witnessed */
	if (least && count <= most) {
		atomic_fetch_add(&storm->witnessed, least);
		atomic_fetch_add(&storm->counted, count);
	}
	pass(counter, sample->second);
	counter->value = sample->second;
	counter->time = sample->last;
	counter->late = counter->overflows == counter->interrupts ? 0 : counter->late + 1;
}

bool judge_register(struct counter *counter, uint64_t value)
{
	uint64_t count = value - counter->value;

	if (counts(counter) ? !is_possible(counter, counter->value, count, AGES) : count)
		return false;
	counter->value = value;
	pass(counter, value);
	return true;
}
