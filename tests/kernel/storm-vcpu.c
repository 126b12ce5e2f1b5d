// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The storm's vCPUs. In each round the guest programs its cycle counter at random, or leaves it as
 * it is, and then reads it. storm-model.c has the values that it may read.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "storm.h"

/* Nanoseconds from a value to its overflow: at least this, at most 257 times as many */
#define SOON			100000ULL
/* Reads of the system counter in a round: some milliseconds at most */
#define MAX_READS		10000
/* Bytes of the largest register */
#define MAX_REG_SIZE		2048
#define MAX_REGS		1024

static uint64_t choose_value(uint64_t *sequence)
{
	uint64_t value = draw(sequence);

	/* Far from an overflow, of 32 bits and of 64 */
	if (!one_in(sequence, 3))
		return value & (0x7fffffffULL << 32 | 0x3fffffff);
	/* Overflows in this round or one of the next: of 64 bits, or of 32 */
	value = one_in(sequence, 2) ? ~0ULL : (value & 0x7fffffffULL << 32) | 0xffffffff;
	return value - (SOON << draw(sequence) % 9) - draw(sequence) % SOON;
}

static void choose_round(struct vcpu *vcpu, struct round *round)
{
	struct counter *counter = &vcpu->counter;
	uint64_t *sequence = &vcpu->sequence;

	memset(round, 0, sizeof(*round));
	round->backing = vcpu->machine->backing;
	round->reads = 100 + draw(sequence) % MAX_READS;
	if (!counter->programmed)
		round->steps = ALL_STEPS;
	else if (!must_wait(counter) && one_in(sequence, 2))
		round->steps = draw(sequence) & ALL_STEPS;
	round->pmcr = (one_in(sequence, 8) ? 0 : PMCR_E) | (one_in(sequence, 2) ? PMCR_LC : 0) |
		      (one_in(sequence, 8) ? PMCR_C : 0);
	/* Another width has another overflow, which may be near: write a new value, too. */
	if (round->steps & STEP(PMCR) && (round->pmcr ^ counter->pmcr) & PMCR_LC)
		round->steps |= STEP(STOP) | STEP(PMCCNTR) | STEP(START);
	/* Keep the counter disabled until its new value is written. */
	if (round->steps & (STEP(PMCR) | STEP(PMCCNTR)) && overflow_is_near(counter))
		round->steps |= STEP(STOP) | STEP(START);
	round->value = choose_value(sequence);
	round->filter = one_in(sequence, 8) ? EXCLUDE_EL1 : 0;
}

static void tell_guest(struct vcpu *vcpu, const struct round *round)
{
	const uint64_t arguments[] = {
		round->steps, round->pmcr, round->value, round->filter, round->reads,
		GUEST_GICR_SGI(vcpu->index),
	};

	for (size_t i = 0; i < ARRAY_SIZE(arguments); i++)
		vcpu_must_set_reg(&vcpu->machine->vm, vcpu->index, REG_X(i), arguments[i]);
}

static void start_guest(struct vcpu *vcpu)
{
	vcpu_must_set_reg(&vcpu->machine->vm, vcpu->index, REG_PC,
			  GUEST_RAM + (guest_storm - guest_image));
	memset(&vcpu->counter, 0, sizeof(vcpu->counter));
}

/* Registers */

/* Saves and restores some registers at any point of the guest's program. Nothing may change. */
static void save_and_restore(struct vcpu *vcpu)
{
	unsigned int chosen = draw(&vcpu->sequence), first = draw(&vcpu->sequence);
	struct vm *vm = &vcpu->machine->vm;
	struct saved saved = save_registers(vm, vcpu->index), again;

	for (size_t i = 0; i < PMU_REGISTERS; i++) {
		size_t j = (first + i) % PMU_REGISTERS;

		if (chosen >> j & 1)
			vcpu_must_set_reg(vm, vcpu->index, pmu_registers[j], saved.values[j]);
	}
	again = save_registers(vm, vcpu->index);
	for (int i = 0; i < PMU_REGISTERS; i++)
		if (again.values[i] != saved.values[i])
			broken(STATE, "register 0x%lx: saved 0x%lx, "
			       "after restoring registers 0x%x it is 0x%lx", pmu_registers[i],
			       saved.values[i], chosen, again.values[i]);
	record(SAVED);
}

static void expect_register(struct vcpu *vcpu, uint64_t reg, uint64_t mask, uint64_t expected)
{
	uint64_t value = vcpu_get_reg(&vcpu->machine->vm, vcpu->index, reg);

	if ((value & mask) != expected)
		broken(STATE, "register 0x%lx: expected 0x%lx of 0x%lx, got 0x%lx", reg, expected,
		       mask, value);
}

/*
 * Between two rounds userspace must read what the guest programmed, and a counter that has not gone
 * back
 */
static void check_registers(struct vcpu *vcpu)
{
	struct counter *counter = &vcpu->counter;
	uint64_t value = vcpu_get_reg(&vcpu->machine->vm, vcpu->index, REG_PMCCNTR_EL0);
	bool fixed = vcpu->machine->backing == BACKED_BY_FIXED;

	expect_register(vcpu, REG_PMCR_EL0, PMCR_E | PMCR_LC | (fixed ? 0x1f << 11 : 0),
			counter->pmcr);
	expect_register(vcpu, REG_PMCNTENSET_EL0, PMU_CYCLE_BIT,
			counter->enabled ? PMU_CYCLE_BIT : 0);
	expect_register(vcpu, REG_PMINTENSET_EL1, PMU_CYCLE_BIT, PMU_CYCLE_BIT);
	expect_register(vcpu, REG_PMCCFILTR_EL0, EXCLUDE_EL1, counter->filter);
	if (!judge_register(counter, value))
		broken(COUNTS, "the guest read 0x%lx, userspace 0x%lx after it", counter->value,
		       value);
}

static void copy_registers(struct vm *from, struct vm *to)
{
	static __thread struct { uint64_t n, reg[MAX_REGS]; } list;
	uint8_t buffer[MAX_REG_SIZE];

	list.n = MAX_REGS;
	if (ioctl(from->vcpu[0], KVM_GET_REG_LIST, &list))
		die("KVM_GET_REG_LIST failed");
	for (uint64_t i = 0; i < list.n; i++) {
		struct kvm_one_reg argument = { .id = list.reg[i], .addr = (uintptr_t)buffer };

		if (ioctl(from->vcpu[0], KVM_GET_ONE_REG, &argument) ||
		    ioctl(to->vcpu[0], KVM_SET_ONE_REG, &argument))
			die("copying register 0x%lx failed", list.reg[i]);
	}
}

/* Migrates a VM with one vCPU. The guest sets the GIC up in each round, so it is not copied. */
static void move_to_fresh_vm(struct vcpu *vcpu)
{
	struct vm *vm = &vcpu->machine->vm, fresh;
	sigset_t kicks;

	/* A kick would interrupt KVM_CREATE_VM, too */
	sigemptyset(&kicks);
	sigaddset(&kicks, SIGUSR1);
	pthread_sigmask(SIG_BLOCK, &kicks, NULL);
	machine_create(vcpu->machine, &fresh);
	pthread_sigmask(SIG_UNBLOCK, &kicks, NULL);
	copy_registers(vm, &fresh);
	memcpy(fresh.ram, vm->ram, GUEST_RAM_SIZE);
	vm_destroy(vm);
	*vm = fresh;
	record(FRESH_VMS);
}

static void reset_vcpu(struct vcpu *vcpu)
{
	if (vcpu_init(&vcpu->machine->vm, vcpu->index, PMU))
		die("KVM_ARM_VCPU_INIT of a vCPU that ran failed");
	start_guest(vcpu);
	record(RESETS);
}

static void act_between_rounds(struct vcpu *vcpu)
{
	uint64_t *sequence = &vcpu->sequence;
	bool fresh = vcpu->machine->vcpus == 1 && one_in(sequence, 4);

	if (one_in(sequence, 4))
		check_registers(vcpu);
	if (one_in(sequence, 4))
		save_and_restore(vcpu);
	if (!fresh && !one_in(sequence, 64))
		return;
	/*
	 * Complete the store of the report. Otherwise a new VM would repeat it, or KVM would
	 * complete it after the reset.
	 */
	if (vcpu_touch(&vcpu->machine->vm, vcpu->index))
		die("KVM_RUN with immediate_exit failed");
	if (fresh)
		move_to_fresh_vm(vcpu);
	else
		reset_vcpu(vcpu);
}

/* Rounds */

static bool is_over(const struct vcpu *vcpu)
{
	return atomic_load(&vcpu->machine->over) || atomic_load(&storm->over);
}

/* Moves the thread to the CPUs of the VM's own PMU; all of them may be offline. */
static void go_home(const struct vcpu *vcpu)
{
	if (try_pin_to(vcpu->machine->pmu->cpus))
		usleep(1000);
}

/* False when the machine or the storm is over before the guest reports the end of the round */
static bool run_round(struct vcpu *vcpu)
{
	struct machine *machine = vcpu->machine;
	int fd, status;

	while (!is_over(vcpu)) {
		struct kvm_run *run = machine->vm.run[vcpu->index];
		uint64_t value;

		fd = machine->vm.vcpu[vcpu->index];
		pthread_mutex_unlock(&vcpu->outside);
		status = ioctl(fd, KVM_RUN, 0) ? -errno : 0;
		pthread_mutex_lock(&vcpu->outside);
		if (is_over(vcpu))
			return false;
		if (status == -EINTR) {
			if (one_in(&vcpu->sequence, 2))
				save_and_restore(vcpu);
			continue;
		}
		memcpy(&value, run->mmio.data, sizeof(value));
		if (status) {
			broken(LIFE, "KVM_RUN failed: %s", strerror(-status));
		} else if (run->exit_reason == KVM_EXIT_FAIL_ENTRY &&
			   machine->backing == BACKED_BY_PMU) {
			record(REFUSED);
			go_home(vcpu);
		} else if (run->exit_reason != KVM_EXIT_MMIO) {
			broken(LIFE, "KVM exit %u", run->exit_reason);
		} else if (run->mmio.phys_addr == GUEST_MMIO + GUEST_IRQ) {
			judge_interrupt(&vcpu->counter, value);
		} else if (run->mmio.phys_addr == GUEST_MMIO + GUEST_VALUE) {
			return true;
		} else {
			broken(LIFE, "the guest stopped: address 0x%lx, value 0x%lx",
			       (uint64_t)run->mmio.phys_addr, value);
		}
	}
	return false;
}

static void read_sample(struct vcpu *vcpu, struct sample *sample)
{
	uint64_t *values = (uint64_t *)sample;

	for (size_t i = 0; i < sizeof(*sample) / sizeof(*values); i++) {
		/* x25 and x26 belong to the guest's interrupt handler */
		values[i] = vcpu_get_reg(&vcpu->machine->vm, vcpu->index,
					 REG_X(i < 4 ? 21 + i : 23 + i));
	}
}

static void end_round(struct vcpu *vcpu)
{
	atomic_fetch_add(&storm->progress[vcpu->machine->worker], 1);
	record(ROUNDS);
}

void *vcpu_main(void *argument)
{
	struct vcpu *vcpu = argument;
	struct sample sample;
	struct round round;

	pthread_mutex_lock(&vcpu->outside);
	if (!is_over(vcpu))
		start_guest(vcpu);
	while (!is_over(vcpu)) {
		choose_round(vcpu, &round);
		tell_guest(vcpu, &round);
		apply_round(&vcpu->counter, &round);
		if (!run_round(vcpu))
			break;
		read_sample(vcpu, &sample);
		judge_round(&vcpu->counter, &round, &sample);
		end_round(vcpu);
		act_between_rounds(vcpu);
	}
	pthread_mutex_unlock(&vcpu->outside);
	return NULL;
}
