// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Claim: with fixed counters only, the cycle counter loses no cycle when the vCPU moves while the
 * guest runs, or while KVM programs the counter; moves.c has the other moves. Without the mode, a
 * VM behaves as before: on CPUs of another PMU its counter stands still, or its vCPU does not run.
 *
 * How it can tell: the instructions that the guest executes are a lower bound. The counter may be
 * ahead of them: an instruction of any emulated CPU is a cycle, and another thread moves the vCPU
 * meanwhile. The ticks of the system counter are an upper bound.
 *
 *   counting all            all tests, on a kernel that has the mode, in the exact host
 *   counting default_pmu    VMs without the mode, on any kernel
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <stdio.h>
#include <unistd.h>

#include "counter.h"

/* A thread that moves another one during KVM_RUN, until it is told to stop */
struct mover {
	pthread_t thread;
	int target;
	/* Microseconds between two moves, at most */
	unsigned int pause;
	volatile bool stop;
	unsigned int moves;
};

static void *move_target(void *argument)
{
	struct mover *mover = argument;

	while (!mover->stop) {
		pin_thread_to(mover->target, every_pmu(mover->moves));
		mover->moves++;
		/* Spreads the pauses almost evenly, so that moves hit the vCPU at any point */
		usleep(mover->moves * 7919 % mover->pause);
	}
	return NULL;
}

static void test_moves_in_guest(void)
{
	/* A lap is 10 ms at one instruction a nanosecond, which is enough for several moves */
	const uint64_t turns = 5000000, laps = 20, executed = laps * 2 * turns;
	struct mover mover = { .target = gettid(), .pause = 2000 };
	uint64_t total, start, begin, passed;
	struct vm vm;

	pin_to(pmus[0].cpus);
	counter_create(&vm, BACKED_BY_FIXED, PMCR_E | PMCR_LC, 0, turns);
	begin = read_cntvct();
	start = total = next_value(&vm);
	if (pthread_create(&mover.thread, NULL, move_target, &mover))
		die("starting a thread failed");
	for (uint64_t i = 0; i < laps; i++)
		total = next_value(&vm) - start;
	passed = read_cntvct() - begin;
	mover.stop = true;
	pthread_join(mover.thread, NULL);
	vm_destroy(&vm);
	pin_to(all_cpus);
	printf("# %u moves, expected %lu to %lu cycles, got %lu\n", mover.moves, executed, passed,
	       total);
	result(mover.moves >= laps && total >= executed && total <= passed,
	       "counts when moved while the guest runs");
}

/*
 * The guest programs the counter all the time, so the moves happen while KVM creates and releases
 * events.
 */
static void test_moves_while_programming(void)
{
	const uint64_t turns = 1000, laps = 10000;
	struct mover mover = { .target = gettid(), .pause = 100 };
	uint64_t value, least = ~0ULL;
	struct vm vm;

	pin_to(pmus[0].cpus);
	guest_create(&vm, PMU, BACKED_BY_FIXED, guest_program);
	set_argument(&vm, 3, turns);
	if (pthread_create(&mover.thread, NULL, move_target, &mover))
		die("starting a thread failed");
	for (uint64_t i = 0; i < laps; i++) {
		value = next_value(&vm);
		if (value < least)
			least = value;
	}
	mover.stop = true;
	pthread_join(mover.thread, NULL);
	vm_destroy(&vm);
	pin_to(all_cpus);
	printf("# %u moves, expected at least %lu cycles, got %lu\n", mover.moves, 2 * turns,
	       least);
	result(mover.moves >= laps / 50 && least >= 2 * turns,
	       "counts when moved while the guest programs the counter");
}

static void test_default_pmu(void)
{
	uint64_t first, second, length;
	struct vm vm;

	pin_to(pmus[0].cpus);
	counter_create(&vm, BACKED_BY_DEFAULT, PMCR_E | PMCR_LC, 0, LAP_TURNS);
	next_value(&vm);
	first = next_value(&vm);
	length = next_value(&vm) - first;
	pin_to(pmus[1].cpus);
	next_value(&vm);
	first = next_value(&vm);
	second = next_value(&vm);
	vm_destroy(&vm);
	pin_to(all_cpus);
	printf("# default PMU: a lap is %lu cycles on its CPUs, expected 0 on others, got %lu\n",
	       length, second - first);
	result(length >= 2 * LAP_TURNS && length <= 2 * LAP_TURNS + LAP_OVERHEAD && first == second,
	       "without the mode: the default PMU counts on its CPUs, and stands still elsewhere");
}

static void test_set_pmu(void)
{
	unsigned int reason;
	uint64_t value;
	struct vm vm;
	int offset;

	pin_to(pmus[0].cpus);
	counter_create(&vm, BACKED_BY_PMU, PMCR_E | PMCR_LC, 0, LAP_TURNS);
	next_value(&vm);
	pin_to(pmus[1].cpus);
	offset = vm_run(&vm, &value);
	reason = vm.run[0]->exit_reason;
	vm_destroy(&vm);
	pin_to(all_cpus);
	printf("# SET_PMU: expected KVM exit %d elsewhere, got %u with offset %d\n",
	       KVM_EXIT_FAIL_ENTRY, reason, offset);
	result(reason == KVM_EXIT_FAIL_ENTRY,
	       "without the mode: after SET_PMU a vCPU does not run on other CPUs");
}

static void test_without_mode(void)
{
	test_default_pmu();
	test_set_pmu();
}

static void test_all(void)
{
	test_moves_in_guest();
	test_moves_while_programming();
	test_without_mode();
}

const struct group groups[] = {
	{ "all", test_all, 2 },
	{ "default_pmu", test_without_mode, 2 },
	{ 0 }
};
