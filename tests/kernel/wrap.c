// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Claim: with fixed counters only, an overflow of the cycle counter sets PMOVSSET_EL0 at the wrap,
 * of 32 bits and of 64. Its interrupt comes once and at the same time, wherever the vCPU was when
 * the overflow was armed, and wherever it has moved since. There is none when something is
 * disabled. A guest that samples by overflow gets its samples at the right period.
 *
 * How it can tell: the tests put the wrap on each cycle of a step in turn, including those at which
 * the guest exits and the vCPU moves. Each step is compared with a model, see steps.h.
 *
 *   wrap all    all tests, in the exact host
 */
#include <stdio.h>

#include "steps.h"

/* Cycles from the write of the counter to the wrap, at most: a bit more than two steps */
#define DUE_MAX		300
#define DUE_STEPS	4
#define SAMPLES_STEPS	1500
#define SAMPLES_PERIOD	1000
/* Instructions of the interrupt handler that are counted for each sample */
#define HANDLER		10
/* Cycles: two and a half ticks of the host */
#define SOME_TICKS	10000000

static const struct width { const char *name; uint64_t pmcr, wrap; } widths[] = {
	{ "32 bits", PMCR_E, 7ULL << 32 },
	{ "64 bits", PMCR_E | PMCR_LC, 0 },
};

/* Moves to a CPU chosen at random, the present one included. */
static uint64_t anywhere(int run)
{
	uint64_t state = run;

	return every_cpu((next_random(&state) >> 40) % __builtin_popcountll(all_cpus));
}

static const struct move { const char *name; uint64_t (*where)(int); } moves[] = {
	{ "at rest", NULL },
	{ "within a PMU", within_pmu },
	{ "across PMUs", every_pmu },
	{ "anywhere", anywhere },
};

/*
 * PMCR_EL0 when the counter is written and from the next step on, the value at which it might
 * overflow, and the interrupts expected
 */
static const struct change {
	const char *name;
	uint64_t before, after, value;
	int interrupts;
} changes[] = {
	{ "no interrupt at 2^32 of 64 bits", PMCR_E | PMCR_LC, PMCR_E | PMCR_LC, 1ULL << 32, 0 },
	{ "no interrupt at 2^63 of 64 bits", PMCR_E | PMCR_LC, PMCR_E | PMCR_LC, 1ULL << 63, 0 },
	{ "no interrupt at 2^32 when PMCR_EL0.LC gets set", PMCR_E, PMCR_E | PMCR_LC, 1ULL << 32,
	  0 },
	{ "one interrupt at 2^32 when PMCR_EL0.LC gets clear", PMCR_E | PMCR_LC, PMCR_E, 1ULL << 32,
	  1 },
};

static void create(struct stepper *stepper, const struct width *width)
{
	stepper_create(stepper, PMU, BACKED_BY_FIXED);
	if (!check_step(stepper, OP_PMCR, width->pmcr, AT_EL1))
		die("a step is not as before");
}

static void do_steps(struct stepper *stepper, int steps)
{
	for (int i = 0; i < steps; i++)
		do_step(stepper, OP_NONE, 0, AT_EL1);
}

/* Judges the flag only; the interrupt is disabled */
static void test_flag(const struct width *width, const struct move *move)
{
	struct stepper stepper;
	bool ok = true;

	create(&stepper, width);
	stepper.where = move->where;
	for (int due = 1; ok && due < DUE_MAX; due++) {
		ok = check_step(&stepper, OP_PMOVSCLR, PMU_CYCLE_BIT, AT_EL1) &&
			check_registers(&stepper);
		ok &= check_step(&stepper, OP_PMCCNTR, width->wrap - due, AT_EL1) &&
			check_registers(&stepper);
		for (int i = 1; ok && i < DUE_STEPS; i++)
			ok = check_step(&stepper, OP_NONE, 0, AT_EL1) && check_registers(&stepper);
		if (!ok)
			printf("# with a wrap %d cycles after the write\n", due);
	}
	ok &= !stepper.interrupts;
	stepper_destroy(&stepper);
	result(ok, "PMOVSSET_EL0 is set at the wrap of %s, %s", width->name, move->name);
}

/* How late the interrupt is, -1 if there is not exactly one */
static int64_t late(struct stepper *stepper, const struct width *width, int due)
{
	stepper->interrupts = 0;
	do_step(stepper, OP_PMCCNTR, width->wrap - due, AT_EL1);
	do_steps(stepper, DUE_STEPS - 1);
	if (stepper->interrupts == 1)
		return stepper->interrupted_at - width->wrap;
	printf("# %d interrupts for a wrap %d cycles after the write\n", stepper->interrupts, due);
	return -1;
}

static void test_interrupt(const struct width *width, const struct move *move)
{
	struct stepper stepper;
	int64_t worst = 0;
	bool ok = true;

	create(&stepper, width);
	stepper.where = move->where;
	do_step(&stepper, OP_PMINTENSET, PMU_CYCLE_BIT, AT_EL1);
	for (int due = 1; ok && due < DUE_MAX; due++) {
		int64_t value = late(&stepper, width, due);

		ok = value >= 0 && value <= GUEST_LATE;
		if (value > worst)
			worst = value;
	}
	stepper_destroy(&stepper);
	printf("# at most %ld cycles late\n", worst);
	result(ok, "one interrupt at the wrap of %s, %s", width->name, move->name);
}

/* Does OPERATION when the wrap is near */
static void change_before_wrap(struct stepper *stepper, const struct width *width,
			       enum operation operation, uint64_t operand)
{
	create(stepper, width);
	stepper->where = every_pmu;
	do_step(stepper, OP_PMINTENSET, PMU_CYCLE_BIT, AT_EL1);
	do_step(stepper, OP_PMCCNTR, width->wrap - DUE_MAX, AT_EL1);
	do_step(stepper, operation, operand, AT_EL1);
	/* A wrap before the operation may set no flag, so check the counter, too */
	if (stepper->interrupts || vcpu_get_reg(&stepper->vm, 0, REG_PMOVSSET_EL0) ||
	    read_counter(stepper) - (width->wrap - DUE_MAX) >= DUE_MAX)
		die("the wrap was before the change");
}

/*
 * No interrupt while OPERATION disables something, one after OPPOSITE enables it: at once if the
 * counter wrapped meanwhile
 */
static void test_disabled(const struct width *width, enum operation operation, uint64_t operand,
			  enum operation opposite, uint64_t restore, const char *name)
{
	const bool counts = operation == OP_PMINTENCLR;
	struct stepper stepper;
	bool ok;

	change_before_wrap(&stepper, width, operation, operand);
	do_steps(&stepper, DUE_STEPS);
	ok = equal("interrupts, disabled", stepper.interrupts, 0);
	ok &= vcpu_get_reg(&stepper.vm, 0, REG_PMOVSSET_EL0) == (counts ? PMU_CYCLE_BIT : 0);
	do_step(&stepper, opposite, restore, AT_EL1);
	if (counts)
		ok &= equal("interrupts, enabled", stepper.interrupts, 1);
	do_steps(&stepper, DUE_STEPS);
	ok &= equal("interrupts, in the end", stepper.interrupts, 1);
	stepper_destroy(&stepper);
	result(ok, "no interrupt at the wrap of %s when %s", width->name, name);
}

/* How late the interrupt is, 0 if none is due, -1 if their number or the flag is wrong */
static int64_t late_after_change(const struct change *change)
{
	const struct width width = { .pmcr = change->before, .wrap = change->value };
	struct stepper stepper;
	int64_t value;
	bool ok;

	change_before_wrap(&stepper, &width, OP_PMCR, change->after);
	do_steps(&stepper, DUE_STEPS);
	/*
	 * To perf, the distance from just below 2^63 to 2^64 is a negative number. It takes twice
	 * the distance to 2^63 instead, and starts again at each move: so these steps have no
	 * moves.
	 */
	stepper.where = NULL;
	do_steps(&stepper, 2 * DUE_STEPS);
	ok = equal("interrupts, after the wrap", stepper.interrupts, change->interrupts);
	ok &= !vcpu_get_reg(&stepper.vm, 0, REG_PMOVSSET_EL0);
	value = stepper.interrupts ? stepper.interrupted_at - width.wrap : 0;
	stepper_destroy(&stepper);
	return ok ? value : -1;
}

static void test_change(const struct change *change)
{
	int64_t value = late_after_change(change);

	printf("# %ld cycles late\n", value);
	result(value >= 0 && value <= GUEST_LATE, "%s", change->name);
}

/* A flag that is set does not interrupt while PMCR_EL0.E is clear */
static void test_stopped(const struct width *width)
{
	struct stepper stepper;
	bool ok = true;

	create(&stepper, width);
	stepper.where = every_pmu;
	do_step(&stepper, OP_PMCCNTR, width->wrap - 1, AT_EL1);
	do_step(&stepper, OP_PMCR, width->pmcr & ~PMCR_E, AT_EL1);
	do_step(&stepper, OP_PMINTENSET, PMU_CYCLE_BIT, AT_EL1);
	do_steps(&stepper, DUE_STEPS);
	ok &= equal("interrupts, with PMCR_EL0.E clear", stepper.interrupts, 0);
	do_step(&stepper, OP_PMCR, width->pmcr, AT_EL1);
	ok &= equal("interrupts, with PMCR_EL0.E set", stepper.interrupts, 1);
	stepper_destroy(&stepper);
	result(ok, "an overflow of %s interrupts when PMCR_EL0.E gets set", width->name);
}

/*
 * Each sample must be one period long. All samples together must be what steps and handler
 * executed.
 */
static void test_samples(const struct width *width, const struct move *move)
{
	uint64_t start = width->wrap - SAMPLES_PERIOD, count, late, steps, since, others;
	struct stepper stepper;

	create(&stepper, width);
	set_argument(&stepper.vm, 26, start);
	do_step(&stepper, OP_PMINTENSET, PMU_CYCLE_BIT, AT_EL1);
	stepper.where = move->where;
	do_step(&stepper, OP_PMCCNTR, start, AT_EL1);
	do_steps(&stepper, SAMPLES_STEPS);
	count = vcpu_get_reg(&stepper.vm, 0, REG_X(20));
	late = vcpu_get_reg(&stepper.vm, 0, REG_X(25));
	since = read_counter(&stepper) - start;
	steps = (SAMPLES_STEPS + 1) * (stepper.rest[AT_EL1] + stepper.tail) +
		SAMPLES_STEPS * stepper.head;
	others = count * SAMPLES_PERIOD + vcpu_get_reg(&stepper.vm, 0, REG_X(24)) + since - steps;
	stepper_destroy(&stepper);
	printf("# %lu samples, %lu of them late; %lu cycles of steps, others %lu, "
	       "%lu after the last sample\n", count, late, steps, others, since);
	result(!late && since <= SAMPLES_PERIOD + GUEST_LATE && others == count * HANDLER,
	       "samples of %s come at their period, %s", width->name, move->name);
}

/*
 * Returns the old rate, in samples a second. perf throttles an event that overflows as often in a
 * tick.
 */
static int set_sample_rate(int rate)
{
	FILE *file = fopen("/proc/sys/kernel/perf_event_max_sample_rate", "r+");
	int old;

	if (!file || fscanf(file, "%d", &old) != 1)
		die("perf's sample rate cannot be read");
	rewind(file);
	if (fprintf(file, "%d\n", rate) < 0 || fclose(file))
		die("perf's sample rate cannot be set to %d", rate);
	return old;
}

/*
 * perf starts a throttled event again at a tick. KVM has started it before, and it has counted
 * since.
 */
static void test_throttled(const struct width *width)
{
	int rate = set_sample_rate(1);
	struct stepper stepper;
	bool ok;

	create(&stepper, width);
	ok = check_step(&stepper, OP_PMCCNTR, width->wrap - stepper.rest[AT_EL1] / 2, AT_EL1);
	ok = ok && check_long_step(&stepper, SOME_TICKS) && check_registers(&stepper);
	stepper_destroy(&stepper);
	set_sample_rate(rate);
	result(ok, "it counts on after a wrap of %s for which perf throttles it", width->name);
}

static void test_all(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(widths); i++) {
		for (size_t j = 0; j < ARRAY_SIZE(moves); j++) {
			test_flag(&widths[i], &moves[j]);
			test_interrupt(&widths[i], &moves[j]);
			test_samples(&widths[i], &moves[j]);
		}
		test_disabled(&widths[i], OP_PMINTENCLR, PMU_CYCLE_BIT, OP_PMINTENSET,
			      PMU_CYCLE_BIT, "PMINTENSET_EL1 is clear");
		test_disabled(&widths[i], OP_PMCNTENCLR, PMU_CYCLE_BIT, OP_PMCNTENSET,
			      PMU_CYCLE_BIT, "PMCNTENSET_EL0 is clear");
		test_disabled(&widths[i], OP_PMCR, widths[i].pmcr & ~PMCR_E, OP_PMCR,
			      widths[i].pmcr, "PMCR_EL0.E is clear");
		test_stopped(&widths[i]);
		test_throttled(&widths[i]);
	}
	for (size_t i = 0; i < ARRAY_SIZE(changes); i++)
		test_change(&changes[i]);
}

const struct group groups[] = {
	{ "all", test_all, 2 },
	{ 0 }
};
