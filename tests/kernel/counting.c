// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Claim: with fixed counters only, the cycle counter counts on all CPUs and loses nothing on the way from one PMU to another. And:
 * without, a VM is as it was, with a counter that stands still or a vCPU that does not run on CPUs of another PMU.
 *
 * How it can tell: under instruction counting (qemu -icount shift=0) each lap of the guest's loop takes the same number of
 * cycles, so the laps between moves must be equal to those without, to the cycle.
 *
 *   counting all      all tests, on a kernel that has the mode, under instruction counting
 *   counting unused   VMs without the mode, on any kernel
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <unistd.h>

#include "counter.h"

#define SAVES		16
/*
 * Under instruction counting a cycle is an instruction of any of the emulator's CPUs. When a host CPU that should be idle has
 * something to do during a lap, the lap gets longer; never shorter.
 */
#define NOISY_LAPS	(LAPS / 20)
/* Some times what a noisy lap was seen to be longer by */
#define NOISE		20000

/* From one CPU to all of them: affinity that grows when the events have long been there */
static uint64_t growing(int i)
{
	return i < LAPS / 2 ? pmus[0].cpus & -pmus[0].cpus : all_cpus;
}

/* Laps that have to be LENGTH long: LAST is the counter at the end of the latest */
struct laps {
	uint64_t length, last;
	int shorter, longer;
};

static void run_lap(struct laps *laps, struct vm *vm, int number)
{
	uint64_t value = next_value(vm), cycles = value - laps->last;

	if (cycles != laps->length)
		printf("# lap %d: expected %llu cycles, got %llu\n", number, (unsigned long long)laps->length,
		       (unsigned long long)cycles);
	laps->shorter += cycles < laps->length;
	laps->longer += cycles > laps->length;
	laps->last = value;
}

/* Are all laps LENGTH long, but for the NOISY_LAPS? */
static bool laps_are_equal(struct vm *vm, uint64_t length, uint64_t (*where)(int))
{
	uint64_t start = next_value(vm);
	struct laps laps = { .length = length, .last = start };

	for (int i = 0; i < LAPS; i++) {
		pin_to(where(i));
		run_lap(&laps, vm, i);
	}
	printf("# %llu of %llu cycles over %d laps\n", (unsigned long long)(laps.last - start), (unsigned long long)length * LAPS,
	       LAPS);
	return !laps.shorter && laps.longer <= NOISY_LAPS;
}

static void test_moves(uint64_t (*where)(int), const char *name)
{
	uint64_t length;
	struct vm vm;
	bool equal;

	pin_to(pmus[0].cpus & -pmus[0].cpus);
	counter_create(&vm, BACKED_BY_FIXED, PMCR_E | PMCR_LC, 0, LAP_TURNS);
	length = lap_length(&vm);
	equal = laps_are_equal(&vm, length, where);
	vm_destroy(&vm);
	pin_to(all_cpus);
	if (length < 2 * LAP_TURNS || length > 2 * LAP_TURNS + LAP_OVERHEAD)
		printf("# a lap is %llu cycles, expected %d to %d; is this instruction counting?\n", (unsigned long long)length,
		       2 * LAP_TURNS, 2 * LAP_TURNS + LAP_OVERHEAD);
	result(equal && length >= 2 * LAP_TURNS && length <= 2 * LAP_TURNS + LAP_OVERHEAD, "%s", name);
}

/* Moves while in KVM_RUN: another thread does them, until told to stop. */
struct mover {
	pthread_t thread;
	pthread_t target;
	/* Microseconds between two moves, at most */
	unsigned int pause;
	volatile bool stop;
	unsigned int moves;
};

static void *move_target(void *argument)
{
	struct mover *mover = argument;

	while (!mover->stop) {
		uint64_t cpus = every_pmu(mover->moves);
		cpu_set_t set;

		CPU_ZERO(&set);
		for (int cpu = 0; cpu < 64; cpu++)
			if (cpus >> cpu & 1)
				CPU_SET(cpu, &set);
		pthread_setaffinity_np(mover->target, sizeof(set), &set);
		mover->moves++;
		/* All but even, so that moves meet the vCPU anywhere */
		usleep(mover->moves * 7919 % mover->pause);
	}
	return NULL;
}

static void test_moves_in_guest(void)
{
	/*
	 * A lap is 10 ms at one instruction a nanosecond, which makes for several moves. The thread that moves makes all laps
	 * noisy, see NOISY_LAPS. But what the guest executes is a lower bound.
	 */
	const uint64_t turns = 5000000, laps = 20, executed = laps * 2 * turns;
	struct mover mover = { .target = pthread_self(), .pause = 2000 };
	uint64_t total, start;
	struct vm vm;

	pin_to(pmus[0].cpus);
	counter_create(&vm, BACKED_BY_FIXED, PMCR_E | PMCR_LC, 0, turns);
	start = total = next_value(&vm);
	if (pthread_create(&mover.thread, NULL, move_target, &mover))
		die("starting a thread failed");
	for (uint64_t i = 0; i < laps; i++)
		total = next_value(&vm) - start;
	mover.stop = true;
	pthread_join(mover.thread, NULL);
	vm_destroy(&vm);
	pin_to(all_cpus);
	printf("# %llu moves, expected at least %llu cycles, got %llu\n", (unsigned long long)mover.moves, (unsigned long long)executed,
	       (unsigned long long)total);
	result(mover.moves >= laps && total >= executed && total < executed + executed / 10, "counts when moved while the guest runs");
}

/* The guest programs the counter all the time, so that it is moved while KVM creates and releases events. */
static void test_moves_while_programming(void)
{
	const uint64_t turns = 1000, laps = 10000;
	struct mover mover = { .target = pthread_self(), .pause = 100 };
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
	printf("# %u moves, expected at least %llu cycles, got %llu\n", mover.moves, (unsigned long long)(2 * turns),
	       (unsigned long long)least);
	result(mover.moves >= laps / 50 && least >= 2 * turns, "counts when moved while the guest programs the counter");
}

static void set_online(int cpu, bool online)
{
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "/sys/devices/system/cpu/cpu%d/online", cpu);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0 || write(fd, online ? "1" : "0", 1) != 1)
		die("setting CPU %d %s failed", cpu, online ? "online" : "offline");
	close(fd);
}

static void test_hotplug(void)
{
	const char *name = "counts exactly when the CPUs below it go offline and come back";
	struct host_pmu *away = &pmus[pmu_count - 1];
	uint64_t length, start, value;
	struct vm vm;
	int i;

	if (away->cpus & 1) {
		away = &pmus[0];
	}
	pin_to(away->cpus);
	counter_create(&vm, BACKED_BY_FIXED, PMCR_E | PMCR_LC, 0, LAP_TURNS);
	length = lap_length(&vm);
	start = next_value(&vm);
	for (i = 0; i < 4; i++) {
		for (int cpu = 0; cpu < 64; cpu++)
			if (away->cpus >> cpu & 1)
				set_online(cpu, i & 1);
		pin_to(i & 1 ? away->cpus : all_cpus & ~away->cpus);
		value = next_value(&vm);
	}
	vm_destroy(&vm);
	pin_to(all_cpus);
	printf("# %s away: expected %llu cycles, got %llu\n", away->name, (unsigned long long)(4 * length),
	       (unsigned long long)(value - start));
	/* The host has a lot to do here */
	result(value - start >= 4 * length && value - start < 4 * (length + NOISE), "%s", name);
}

static void test_save_restore(void)
{
	static const uint64_t registers[] = {
		REG_PMCR_EL0, REG_PMCNTENSET_EL0, REG_PMINTENSET_EL1, REG_PMOVSSET_EL0, REG_PMCCFILTR_EL0, REG_PMCCNTR_EL0,
	};
	const size_t count = ARRAY_SIZE(registers);
	uint64_t saved[ARRAY_SIZE(registers)];
	struct laps laps = { 0 };
	struct vm vm;

	pin_to(pmus[0].cpus);
	counter_create(&vm, BACKED_BY_FIXED, PMCR_E | PMCR_LC, 0x123456789a, LAP_TURNS);
	laps.length = lap_length(&vm);
	laps.last = next_value(&vm);
	for (int i = 0; i < SAVES; i++) {
		pin_to(every_pmu(i));
		for (size_t j = 0; j < count; j++)
			saved[j] = vcpu_get_reg(&vm, 0, registers[j]);
		for (size_t j = 0; j < count; j++)
			if (vcpu_set_reg(&vm, 0, registers[j], saved[j]))
				die("writing back a register of the PMU failed");
		run_lap(&laps, &vm, i);
	}
	vm_destroy(&vm);
	pin_to(all_cpus);
	result(!laps.shorter && laps.longer <= SAVES / 4, "userspace saves and restores it exactly, moves in between");
}

static void test_default_pmu(void)
{
	uint64_t first, second, length;
	struct vm vm;

	pin_to(pmus[0].cpus);
	counter_create(&vm, BACKED_BY_DEFAULT, PMCR_E | PMCR_LC, 0, LAP_TURNS);
	length = lap_length(&vm);
	pin_to(pmus[1].cpus);
	next_value(&vm);
	first = next_value(&vm);
	second = next_value(&vm);
	vm_destroy(&vm);
	pin_to(all_cpus);
	printf("# default PMU: a lap is %llu cycles on its CPUs, expected 0 on others, got %llu\n", (unsigned long long)length,
	       (unsigned long long)(second - first));
	result(length >= 2 * LAP_TURNS && first == second, "unused: the default PMU counts on its CPUs, and stands still elsewhere");
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
	offset = vm_run(&vm, &value, &reason);
	vm_destroy(&vm);
	pin_to(all_cpus);
	printf("# SET_PMU: expected KVM exit %d elsewhere, got %u with offset %d\n", KVM_EXIT_FAIL_ENTRY, reason, offset);
	result(reason == KVM_EXIT_FAIL_ENTRY, "unused: after SET_PMU a vCPU does not run on other CPUs");
}

static void test_unused(void)
{
	test_default_pmu();
	test_set_pmu();
}

static void test_all(void)
{
	test_moves(within_pmu, "counts exactly within a PMU");
	test_moves(every_pmu, "counts exactly across PMUs");
	test_moves(every_cpu, "counts exactly on all CPUs");
	test_moves(growing, "counts exactly when the affinity grows");
	test_moves_in_guest();
	test_moves_while_programming();
	test_hotplug();
	test_save_restore();
	test_unused();
}

static const struct group groups[] = {
	{ "all", test_all, 2 },
	{ "unused", test_unused, 2 },
	{ 0 }
};

int main(int argc, char **argv)
{
	return run_group(groups, argc, argv);
}
