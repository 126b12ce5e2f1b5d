// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The storm's VMs: created, moved and interrupted while they run, and ended in one of several ways.
 */
#define _GNU_SOURCE
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "storm.h"

/* Moves and kicks of a VM, at most, and microseconds between two of them */
#define MAX_SHAKES	300
#define PAUSE_US	2000

void machine_create(const struct machine *machine, struct vm *vm)
{
	guest_create_vcpus(vm, machine->vcpus, PMU, machine->backing, machine->pmu, guest_storm);
}

static void start(struct machine *machine, int worker, uint64_t *sequence)
{
	memset(machine, 0, sizeof(*machine));
	machine->worker = worker;
	/* Most VMs have the mode, others run beside them */
	machine->backing = one_in(sequence, 4) ? BACKED_BY_PMU :
			   one_in(sequence, 4) ? BACKED_BY_DEFAULT : BACKED_BY_FIXED;
	machine->pmu = &pmus[draw(sequence) % pmu_count];
	machine->vcpus = 1 + draw(sequence) % MAX_VCPUS;
	machine_create(machine, &machine->vm);
	for (int i = 0; i < machine->vcpus; i++) {
		struct vcpu *vcpu = &machine->vcpu[i];

		vcpu->machine = machine;
		vcpu->index = i;
		vcpu->sequence = draw(sequence);
		pthread_mutex_init(&vcpu->outside, NULL);
		if (pthread_create(&vcpu->thread, NULL, vcpu_main, vcpu))
			die("starting a thread failed");
	}
	record(VMS);
}

/* Moves the thread to a CPU, to those of a PMU, or to all; some may be offline */
static void move(pthread_t thread, uint64_t *sequence)
{
	uint64_t choice = draw(sequence) >> 8, cpus = all_cpus;
	cpu_set_t set;

	if (one_in(sequence, 2))
		cpus = every_cpu(choice % CPU_SETSIZE);
	else if (!one_in(sequence, 8))
		cpus = every_pmu(choice % MAX_PMUS);
	CPU_ZERO(&set);
	for_each_cpu(cpu, cpus)
		CPU_SET(cpu, &set);
	if (!pthread_setaffinity_np(thread, sizeof(set), &set))
		record(MOVES);
}

static void kick(struct machine *machine)
{
	for (int i = 0; i < machine->vcpus; i++)
		pthread_kill(machine->vcpu[i].thread, SIGUSR1);
}

static void shake(struct machine *machine, uint64_t *sequence)
{
	pthread_t thread = machine->vcpu[draw(sequence) % machine->vcpus].thread;

	if (one_in(sequence, 4)) {
		pthread_kill(thread, SIGUSR1);
		record(KICKS);
	} else {
		move(thread, sequence);
	}
	usleep(draw(sequence) % PAUSE_US);
}

/* Closes the VM while its vCPUs are in KVM_RUN. KVM frees it when the last of them returns. */
static void abandon(struct machine *machine)
{
	for (int i = 0; i < machine->vcpus; i++)
		pthread_mutex_lock(&machine->vcpu[i].outside);
	atomic_store(&machine->over, true);
	vm_destroy(&machine->vm);
	for (int i = 0; i < machine->vcpus; i++)
		pthread_mutex_unlock(&machine->vcpu[i].outside);
	record(ABANDONED);
}

static void end(struct machine *machine, uint64_t *sequence)
{
	bool abandoned = one_in(sequence, 2);

	if (abandoned)
		abandon(machine);
	atomic_store(&machine->over, true);
	kick(machine);
	for (int i = 0; i < machine->vcpus; i++)
		pthread_join(machine->vcpu[i].thread, NULL);
	if (!abandoned)
		vm_destroy(&machine->vm);
}

static void wake(int number)
{
}

_Noreturn void worker_main(int number, uint64_t seed)
{
	/* The signal interrupts KVM_RUN */
	static const struct sigaction action = { .sa_handler = wake };
	static struct machine machine;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	sigaction(SIGUSR1, &action, NULL);
	while (!atomic_load(&storm->over)) {
		unsigned int shakes = 1 + draw(&seed) % MAX_SHAKES;

		start(&machine, number, &seed);
		while (shakes-- && !atomic_load(&storm->over))
			shake(&machine, &seed);
		end(&machine, &seed);
	}
	exit(0);
}
