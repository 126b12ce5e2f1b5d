// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A model of the values that a guest's cycle counter may have in a storm.
 *
 * In the emulator the system counter and the cycle counter count the same nanoseconds: the system
 * counter always, the cycle counter only while the guest runs. Three bounds follow for the cycle
 * counter.
 *   - It counts no more than the system counter, read before and after it.
 *   - It counts no less than the system counter does in the guest's steps that are shorter than
 *     STORM_GAP: the guest does not exit in those. A longer step says nothing, as the guest may
 *     have exited.
 *   - It stands still while it is disabled or filtered at EL1.
 * A count that is lost, added twice or taken back breaks one of them.
 *
 * The bounds hold in the exact host, where one thread runs all CPUs and timers in turn. Where CPUs
 * run in parallel, an overflow may come early: the emulator's overflow timer can expire between the
 * two hooks of an exception return, which do not hold the lock, and pmccntr_op_start() then counts
 * the time that the first hook had stored (QEMU 10.0.2, target/arm/tcg/helper-a64.c).
 */
#include "storm.h"

/*
 * Nanoseconds, some seconds. An overflow that is nearer may happen just before the guest programs
 * the counter. KVM may lose such an overflow, which hardware does not, so the guest waits for it
 * first.
 */
#define NEAR			(1ULL << 31)
/* Rounds from an overflow to its interrupt, at most: it may follow a round's last read. */
#define LATE_ROUNDS		1

static bool counts(const struct counter *counter)
{
	return counter->enabled && counter->pmcr & PMCR_E && !(counter->filter & EXCLUDE_EL1);
}

/* Cycles from value to the next overflow; 0 stands for 2^64 */
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
	return counter->overflows != counter->interrupts ||
		(counts(counter) && overflow_is_near(counter));
}

/* Counts the overflow, if there is one, between the last value passed and this one. */
static void pass(struct counter *counter, uint64_t value)
{
	uint64_t count = value - counter->passed, distance = to_overflow(counter, counter->passed);

	/* Already passed: an interrupt came between the read of this value and its report. */
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
		record(PROGRAMMED);
}

void judge_interrupt(struct counter *counter, uint64_t value)
{
	pass(counter, value);
	record(INTERRUPTS);
	if (++counter->interrupts <= counter->overflows)
		return;
	broken(OVERFLOWS, "an interrupt with the counter at 0x%lx and PMCR_EL0 0x%lx, "
	       "but there was no overflow", value, counter->pmcr);
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
	broken(OVERFLOWS, "no interrupt %u rounds after the overflow; the counter is at 0x%lx, "
	       "PMCR_EL0 0x%lx", counter->late, counter->value, counter->pmcr);
	counter->interrupts = counter->overflows;
}

static void expect_count(const struct counter *counter, const struct round *round, const char *when,
			 uint64_t from, uint64_t to, uint64_t least, uint64_t most)
{
	uint64_t count = to - from;

	if (count >= least && count <= most)
		return;
	broken(COUNTS, "%s: from 0x%lx to 0x%lx, expected %lu to %lu, got %ld; "
	       "backing %d, steps 0x%x, PMCR_EL0 0x%lx", when, from, to, least, most, count,
	       round->backing, round->steps, counter->pmcr);
}

void judge_round(struct counter *counter, const struct round *round, const struct sample *sample)
{
	bool written = round->steps & STEP(PMCCNTR) ||
		(round->steps & STEP(PMCR) && round->pmcr & PMCR_C);
	uint64_t since = written ? sample->begin : counter->time;
	/* The default PMU counts on its own CPUs only. */
	uint64_t least = round->counts && round->backing != BACKED_BY_DEFAULT ?
			 sample->in_guest : 0;
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
