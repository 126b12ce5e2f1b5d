// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Claim: after a reset by PSCI or by KVM_ARM_VCPU_INIT a vCPU's cycle counter counts like that of a
 * new vCPU, however it was programmed before, on any PMU, and after many resets. This holds with
 * fixed counters only and with the counters of one PMU.
 *
 * How it can tell: after the reset the registers must be those of a new VM. The guest then only
 * enables the counter, so all else is as the reset left it. Each step is compared with a model, see
 * steps.h.
 *
 *   reset all   all tests, in the exact host
 */
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>

#include "steps.h"

/* Offset of the programs that call the firmware in the guest's memory */
#define FIRMWARE_AT	(GUEST_RAM_SIZE - 0x1000)
/* Cycles to an overflow that is armed before the reset: some steps */
#define SOON		600
/* Steps after the reset: more than SOON cycles */
#define STEPS		8
#define REBOOTS		100

extern const char reset_guest[], reset_guest_end[];
extern const char reset_guest_off[], reset_guest_on[], reset_guest_system[];

/* The counter before the reset */
struct state {
	const char *name;
	uint64_t pmcr, filter, value;
	/* The last thing the guest does */
	enum operation last;
	uint64_t operand;
};

static const struct state states[] = {
	{ "running", PMCR_E | PMCR_LC },
	{ "not counting at EL1", PMCR_E | PMCR_LC, PMCCFILTR_P },
	{ "not counting at EL0", PMCR_E | PMCR_LC, PMCCFILTR_U },
	{ "not counting at all", PMCR_E | PMCR_LC, PMCCFILTR_P | PMCCFILTR_U },
	{ "near an overflow of 32 bits", PMCR_E, 0, (1ULL << 32) - SOON },
	{ "near an overflow of 64 bits", PMCR_E | PMCR_LC, 0, -SOON },
	{ "near an overflow, and disabled", PMCR_E, 0, (1ULL << 32) - SOON, OP_PMCNTENCLR,
	  PMU_CYCLE_BIT },
	{ "near an overflow, and disabled by PMCR_EL0.E", PMCR_E | PMCR_LC, 0, -SOON, OP_PMCR,
	  PMCR_LC },
	{ "filtered, and disabled", PMCR_E | PMCR_LC, PMCCFILTR_P, 0, OP_PMCNTENCLR,
	  PMU_CYCLE_BIT },
};

static uint64_t firmware_address(const char *program)
{
	return GUEST_RAM + FIRMWARE_AT + (program - reset_guest);
}

/* Completes the store to the window first: until then userspace must not change the PC */
static void jump_to(struct vm *vm, uint64_t address)
{
	if (vcpu_touch(vm, 0))
		die("completing the exit failed");
	vcpu_must_set_reg(vm, 0, REG_PC, address);
}

/*
 * Starts vCPU 0 again with the PMU as it is, as stepper_enter() expects. A reset clears x3, so it
 * is set again.
 */
static void start_over(struct vm *vm)
{
	vm_load(vm, guest_step_on);
	vcpu_must_set_reg(vm, 0, REG_X(3), STEP_TURNS);
}

static void reset_by_init(struct vm *vm)
{
	jump_to(vm, GUEST_RAM);
	for (int i = 0; i < 2; i++)
		if (vcpu_init(vm, i, PMU))
			die("KVM_ARM_VCPU_INIT of vCPU %d failed", i);
	start_over(vm);
}

static void reset_by_system(struct vm *vm)
{
	jump_to(vm, firmware_address(reset_guest_system));
	if (ioctl(vm->vcpu[0], KVM_RUN, 0) || vm->run[0]->exit_reason != KVM_EXIT_SYSTEM_EVENT ||
	    vm->run[0]->system_event.type != KVM_SYSTEM_EVENT_RESET)
		die("no reset of the system, but exit %u", vm->run[0]->exit_reason);
	reset_by_init(vm);
}

static void *run_other_vcpu(void *argument)
{
	struct vm *vm = argument;

	vcpu_must_set_reg(vm, 1, REG_PC, firmware_address(reset_guest_on));
	vcpu_must_set_reg(vm, 1, REG_X(20), GUEST_RAM + (guest_step_on - guest_image));
	if (ioctl(vm->vcpu[1], KVM_RUN, 0) || vm->run[1]->exit_reason != KVM_EXIT_MMIO)
		die("vCPU 1 did not turn vCPU 0 on, but exit %u", vm->run[1]->exit_reason);
	/* Completes the store */
	vm->run[1]->immediate_exit = 1;
	ioctl(vm->vcpu[1], KVM_RUN, 0);
	vm->run[1]->immediate_exit = 0;
	return NULL;
}

/*
 * vCPU 0 turns itself off, and vCPU 1 turns it on again: KVM resets it inside of KVM_RUN. Returns
 * after vCPU 0's first report.
 */
static void reset_by_power(struct vm *vm)
{
	pthread_t thread;
	uint64_t value;

	jump_to(vm, firmware_address(reset_guest_off));
	if (pthread_create(&thread, NULL, run_other_vcpu, vm))
		die("starting a thread failed");
	if (vm_run(vm, &value) != GUEST_VALUE)
		die("vCPU 0 did not start again, but exit %u", vm->run[0]->exit_reason);
	pthread_join(thread, NULL);
	/* Starts again, as after the other resets */
	jump_to(vm, GUEST_RAM);
	start_over(vm);
}

static const struct way { const char *name; void (*reset)(struct vm *vm); } ways[] = {
	{ "KVM_ARM_VCPU_INIT", reset_by_init },
	{ "SYSTEM_RESET and KVM_ARM_VCPU_INIT", reset_by_system },
	{ "CPU_OFF and CPU_ON", reset_by_power },
};

static const struct kind {
	const char *name;
	enum backing backing;
	uint64_t (*where)(int);
} kinds[] = {
	{ "fixed counters", BACKED_BY_FIXED, every_pmu },
	{ "one PMU", BACKED_BY_PMU, within_pmu },
};

/* Lets the model go on from these registers */
static void follow(struct stepper *stepper, const struct saved *saved)
{
	stepper->model = (struct model){
		.pmcr = saved->values[0], .enabled = saved->values[1],
		.overflowed = saved->values[3], .filter = saved->values[4],
		.value = saved->values[5],
	};
}

/* Creates a VM and runs vCPU 0 to its first report. Returns the registers of this new vCPU. */
static struct saved create(struct stepper *stepper, const struct kind *kind)
{
	struct vm *vm = &stepper->vm;
	struct saved fresh;

	stepper_create(stepper, PMU, kind->backing);
	vm_destroy(vm);
	guest_create_vcpus(vm, 2, PMU, kind->backing, &pmus[0], guest_step_on);
	/* The model knows of no event counters: PMCR_EL0.N is 0 */
	vcpu_must_set_reg(vm, 0, REG_PMCR_EL0, 0);
	memcpy((char *)vm->ram + FIRMWARE_AT, reset_guest, reset_guest_end - reset_guest);
	start_over(vm);
	stepper->where = kind->where;
	stepper->model = (struct model){ 0 };
	stepper_enter(stepper);
	fresh = save_registers(vm, 0);
	follow(stepper, &fresh);
	return fresh;
}

static bool is_fresh(struct stepper *stepper, const struct saved *fresh)
{
	struct saved saved = save_registers(&stepper->vm, 0);
	bool ok = true;

	for (int i = 0; i < PMU_REGISTERS; i++) {
		if (saved.values[i] == fresh->values[i])
			continue;
		printf("# register 0x%lx after the reset: expected 0x%lx, got 0x%lx\n",
		       pmu_registers[i], fresh->values[i], saved.values[i]);
		ok = false;
	}
	follow(stepper, fresh);
	return ok;
}

/*
 * Brings the guest's counter into the state, in steps on all PMUs that it may use, so that there
 * are perf events with that state on each of them
 */
static bool reach(struct stepper *stepper, const struct state *state)
{
	return check_step(stepper, OP_PMCCFILTR, state->filter, AT_EL1) &&
	       check_step(stepper, OP_PMCNTENSET, PMU_CYCLE_BIT, AT_EL1) &&
	       check_step(stepper, OP_PMCR, state->pmcr, AT_EL0) &&
	       check_step(stepper, OP_PMCCNTR, state->value, AT_EL1) &&
	       check_step(stepper, OP_NONE, 0, AT_EL0) &&
	       check_step(stepper, state->last, state->operand, AT_EL1);
}

/* Only enables the counter: a write of PMCR_EL0.LC might repair events that the reset left wrong */
static bool counts_afresh(struct stepper *stepper)
{
	bool ok = check_step(stepper, OP_PMOVSCLR, PMU_CYCLE_BIT, AT_EL1) &&
		  check_step(stepper, OP_PMCR, PMCR_E, AT_EL1) &&
		  check_step(stepper, OP_PMCNTENSET, PMU_CYCLE_BIT, AT_EL1);

	return ok && check_steps(stepper, STEPS, true);
}

static bool survives(struct stepper *stepper, const struct state *state, const struct way *way,
		     const struct saved *fresh)
{
	bool ok = reach(stepper, state);

	way->reset(&stepper->vm);
	stepper_enter(stepper);
	ok &= is_fresh(stepper, fresh);
	ok &= counts_afresh(stepper);
	if (!ok)
		printf("# it was %s before\n", state->name);
	return ok;
}

static void test_states(const struct kind *kind, const struct way *way)
{
	struct stepper stepper;
	struct saved fresh = create(&stepper, kind);
	bool ok = true;

	for (size_t i = 0; i < ARRAY_SIZE(states); i++)
		ok &= survives(&stepper, &states[i], way, &fresh);
	stepper_destroy(&stepper);
	result(ok, "%s: counts afresh after %s, whatever it was before", kind->name, way->name);
}

static void test_kind(const struct kind *kind)
{
	for (size_t i = 0; i < ARRAY_SIZE(ways); i++)
		test_states(kind, &ways[i]);
}

static void test_reboots(void)
{
	struct stepper stepper;
	struct saved fresh = create(&stepper, &kinds[0]);
	uint64_t seed = 6;
	bool ok = true;
	int i;

	for (i = 0; ok && i < REBOOTS; i++) {
		const struct state *state = &states[next_random(&seed) % ARRAY_SIZE(states)];

		ok = survives(&stepper, state, &ways[next_random(&seed) % ARRAY_SIZE(ways)],
			      &fresh);
	}
	printf("# %d reboots, %d runs\n", i, stepper.runs);
	stepper_destroy(&stepper);
	result(ok, "fixed counters: counts afresh after each of %d reboots, while it moves",
	       REBOOTS);
}

static void test_all(void)
{
	test_kind(&kinds[0]);
	test_reboots();
	test_kind(&kinds[1]);
}

const struct group groups[] = {
	{ "all", test_all, 2 },
	{ 0 }
};
