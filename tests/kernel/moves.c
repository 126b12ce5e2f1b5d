// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Claim: with fixed counters only, the cycle counter counts exactly the cycles that the guest
 * executes, whatever happens to the host's CPUs, and however the guest programs the counter
 * meanwhile.
 *
 * How it can tell: each step of the guest is compared with a model, see steps.h.
 *
 *   moves all    all tests, in the exact host
 *   moves many   some of them, with more steps
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "steps.h"

#define STEPS		1000
#define MANY_STEPS	10000
#define SLEEPS		100
/*
 * Microseconds from the start of a step, which first waits for idle CPUs, to the sleep in the guest
 */
#define SLEEP_BEGINS	20000
/* Few, because to take a CPU offline and back online is slow */
#define HOTPLUGS	16
#define HANDOVERS	8
#define HANDOVER_STEPS	4

/* First one CPU, then all of them: the affinity grows long after the events were created */
static uint64_t growing(int run)
{
	return run < STEPS / 2 ? first_cpu(pmus[0].cpus) : all_cpus;
}

/* Stays on a PMU for a number of runs that differs each time */
static uint64_t at_times(int run)
{
	return every_pmu(run * run / 64);
}

static void finish(struct stepper *stepper, bool ok, int steps, const char *name)
{
	ok &= check_registers(stepper);
	printf("# %d steps, counter at %lu\n", steps, stepper->model.value);
	stepper_destroy(stepper);
	result(ok, "%s", name);
}

static void test_moves(uint64_t (*where)(int), int steps, const char *name)
{
	struct stepper stepper;
	bool ok = true;
	int i;

	stepper_create(&stepper, PMU, BACKED_BY_FIXED);
	stepper.where = where;
	for (i = 0; ok && i < steps; i++)
		ok = check_step(&stepper, OP_NONE, 0, AT_EL1);
	finish(&stepper, ok, i, name);
}

/* All combinations of filters and levels; the counter is also written while it counts */
static void test_levels(uint64_t (*where)(int), const char *name)
{
	static const uint64_t filters[] = { 0, PMCCFILTR_P, PMCCFILTR_U,
					    PMCCFILTR_P | PMCCFILTR_U };
	static const struct { enum operation operation; uint64_t operand; } operations[] = {
		{ OP_NONE, 0 }, { OP_PMCCNTR, 0x123456789a },
		{ OP_PMCR, PMCR_E | PMCR_LC | PMCR_C }, { OP_NONE, 0 }, { OP_PMCR, PMCR_LC },
		{ OP_PMCR, PMCR_E | PMCR_LC }, { OP_PMCR, PMCR_E }, { OP_PMCR, PMCR_E | PMCR_LC },
		{ OP_PMCNTENCLR, PMU_CYCLE_BIT }, { OP_PMCCNTR, 1 },
		{ OP_PMCNTENSET, PMU_CYCLE_BIT },
	};
	struct stepper stepper;
	bool ok = true;
	int steps = 0;

	stepper_create(&stepper, PMU, BACKED_BY_FIXED);
	stepper.where = where;
	for (size_t i = 0; i < ARRAY_SIZE(filters); i++)
		for (enum level level = AT_EL1; level < LEVELS; level++) {
			ok &= check_step(&stepper, OP_PMCCFILTR, filters[i], level);
			for (size_t j = 0; j < ARRAY_SIZE(operations); j++, steps++)
				ok &= check_step(&stepper, operations[j].operation,
						 operations[j].operand, level);
		}
	finish(&stepper, ok, steps, name);
}

static void test_random(int steps, uint64_t seed)
{
	static const enum operation operations[] = {
		OP_NONE, OP_PMCCNTR, OP_PMCR, OP_PMCCFILTR, OP_PMCNTENSET, OP_PMCNTENCLR,
		OP_PMOVSCLR,
	};
	struct stepper stepper;
	bool ok = true;
	int i;

	stepper_create(&stepper, PMU, BACKED_BY_FIXED);
	stepper.where = every_pmu;
	for (i = 0; ok && i < steps; i++) {
		uint64_t random = next_random(&seed), operand = PMU_CYCLE_BIT;
		enum operation operation = operations[random % ARRAY_SIZE(operations)];

		random = next_random(&seed);
		if (operation == OP_PMCR)
			operand = (random & 3 ? PMCR_E : 0) | (random & 4 ? PMCR_LC : 0) |
				  (random & 8 ? PMCR_C : 0);
		else if (operation == OP_PMCCFILTR)
			operand = random & 4 ? 0 : (random & 3) << 30;
		else if (operation == OP_PMCCNTR)
			/* Half of them overflow soon, at 32 bits or at 64 */
			operand = random & 1 ? random
				: (random & 2 ? 1ULL << 32 : 0) - (random >> 8 & 0x3ff);
		ok = check_step(&stepper, operation, operand,
				next_random(&seed) & 1 ? AT_EL0 : AT_EL1) &&
		     check_registers(&stepper);
	}
	finish(&stepper, ok, i, "counts exactly when the guest programs the counter between moves");
}

/*
 * CPU 0 stays online. The PMU without CPU 0 loses its CPUs one by one, each while the vCPU is on
 * it, and gets them back.
 */
static void test_hotplug(void)
{
	const struct host_pmu *pmu = pmus[0].cpus & 1 ? &pmus[1] : &pmus[0];
	uint64_t elsewhere = all_cpus & ~pmu->cpus;
	struct stepper stepper;
	int steps = 0, moved = 0;
	bool ok = true;

	stepper_create(&stepper, PMU, BACKED_BY_FIXED);
	for (int i = 0; i < HOTPLUGS; i++) {
		int cpu = __builtin_ctzll(pmu->cpus);

		for (; pmu->cpus >> cpu & 1; cpu++) {
			pin_to(1ULL << cpu);
			ok &= check_step(&stepper, OP_NONE, 0, AT_EL1);
			pin_to(1ULL << cpu | elsewhere);
			set_online(cpu, false);
			moved += elsewhere >> sched_getcpu() & 1;
			ok &= check_step(&stepper, OP_NONE, 0, AT_EL1);
			steps += 2;
		}
		while (pmu->cpus >> --cpu & 1)
			set_online(cpu, true);
		ok &= check_step(&stepper, OP_NONE, 0, AT_EL1);
		steps++;
	}
	printf("# CPUs of %s went offline, %d times below the vCPU\n", pmu->name, moved);
	finish(&stepper, ok && moved == HOTPLUGS * __builtin_popcountll(pmu->cpus), steps,
	       "counts exactly when CPUs go offline below the vCPU and come back");
}

/* A vCPU that sleeps in the guest's WFI, in a thread of its own */
struct sleeper {
	struct stepper stepper;
	/* The thread, and the latest sleep that it began */
	atomic_int tid, begun;
	/* Posted when the next sleep may begin, and when a sleep is over */
	sem_t next, over;
	bool ok;
};

static void *run_sleeper(void *argument)
{
	struct sleeper *sleeper = argument;

	stepper_create(&sleeper->stepper, PMU, BACKED_BY_FIXED);
	sleeper->ok = check_step(&sleeper->stepper, OP_MASK, 0, AT_EL1);
	sleeper->tid = gettid();
	for (int i = 1; i <= SLEEPS; i++) {
		sem_wait(&sleeper->next);
		sleeper->begun = i;
		sleeper->ok &= check_step(&sleeper->stepper, OP_WFI, 0, AT_EL1);
		sem_post(&sleeper->over);
	}
	return NULL;
}

static bool sleeps(int tid)
{
	char path[64], line[512], *name_end;
	FILE *stream;

	snprintf(path, sizeof(path), "/proc/self/task/%d/stat", tid);
	stream = fopen(path, "re");
	if (!stream || !fgets(line, sizeof(line), stream) || !(name_end = strrchr(line, ')')))
		die("reading %s failed", path);
	fclose(stream);
	return name_end[2] == 'S';
}

static void set_wake_line(const struct vm *vm, int level)
{
	struct kvm_irq_level line = { .irq = KVM_ARM_IRQ_TYPE_PPI << KVM_ARM_IRQ_TYPE_SHIFT |
				      GUEST_WAKE_PPI, .level = level };

	if (ioctl(vm->fd, KVM_IRQ_LINE, &line))
		die("KVM_IRQ_LINE failed");
}

/*
 * This thread waits while the guest runs: instructions of another CPU may count as the guest's
 * cycles.
 */
static void test_sleep(void)
{
	struct sleeper sleeper = { .begun = 0 };
	pthread_t thread;

	if (sem_init(&sleeper.next, 0, 1) || sem_init(&sleeper.over, 0, 0))
		die("making a semaphore failed");
	if (pthread_create(&thread, NULL, run_sleeper, &sleeper))
		die("starting a thread failed");
	for (int i = 1; i <= SLEEPS; i++) {
		do
			usleep(SLEEP_BEGINS);
		while (sleeper.begun < i || !sleeps(sleeper.tid));
		pin_thread_to(sleeper.tid, every_pmu(i));
		set_wake_line(&sleeper.stepper.vm, 1);
		sem_wait(&sleeper.over);
		set_wake_line(&sleeper.stepper.vm, 0);
		sem_post(&sleeper.next);
	}
	pthread_join(thread, NULL);
	finish(&sleeper.stepper, sleeper.ok, SLEEPS,
	       "counts exactly when the vCPU is moved while it sleeps");
}

/* A vCPU that threads hand on to each other */
struct handover {
	struct stepper *stepper;
	bool ok;
};

static void *run_handover(void *argument)
{
	struct handover *handover = argument;

	for (int i = 0; i < HANDOVER_STEPS; i++)
		handover->ok &= check_step(handover->stepper, OP_NONE, 0, AT_EL1);
	return NULL;
}

/* This thread and new ones, which end, take turns. An event counts for the thread that made it. */
static void test_handover(enum backing backing, uint64_t (*where)(int), const char *name)
{
	struct stepper stepper;
	struct handover handover = { .stepper = &stepper, .ok = true };
	pthread_t thread;

	stepper_create(&stepper, PMU, backing);
	stepper.where = where;
	for (int i = 0; handover.ok && i < HANDOVERS; i++) {
		run_handover(&handover);
		if (pthread_create(&thread, NULL, run_handover, &handover))
			die("starting a thread failed");
		pthread_join(thread, NULL);
	}
	stepper_destroy(&stepper);
	result(handover.ok, "%s", name);
}

static void test_all(void)
{
	test_moves(every_pmu, STEPS, "counts exactly across PMUs");
	test_moves(every_cpu, STEPS, "counts exactly on all CPUs");
	test_moves(at_times, STEPS, "counts exactly when it stays on a PMU for a while");
	test_moves(growing, STEPS, "counts exactly when the affinity grows");
	test_moves(within_pmu, STEPS, "counts exactly within a PMU");
	test_levels(NULL, "counts at the levels that the filter says");
	test_levels(every_pmu, "counts at the levels that the filter says, across PMUs");
	test_random(STEPS, 1);
	test_hotplug();
	test_sleep();
	test_handover(BACKED_BY_FIXED, every_pmu, "counts exactly when other threads run the vCPU");
	test_handover(BACKED_BY_PMU, within_pmu,
		      "without the mode: counts exactly when other threads run the vCPU");
}

static void test_many(void)
{
	test_moves(every_pmu, MANY_STEPS, "counts exactly across PMUs");
	test_moves(every_cpu, MANY_STEPS, "counts exactly on all CPUs");
	test_random(MANY_STEPS, 2);
}

const struct group groups[] = {
	{ "all", test_all, 2 },
	{ "many", test_many, 2 },
	{ 0 }
};
