// SPDX-License-Identifier: GPL-2.0-or-later
#include "steps.h"

#include <stdio.h>

/* A part of a step has at most so many instructions besides its loop */
#define AROUND		20
/* Steps on a CPU */
#define SHORT		8

static bool counts_at(const struct model *model, enum level level)
{
	if (!model->enabled || !(model->pmcr & PMCR_E))
		return false;
	if (level == AT_EL0)
		return !(model->filter & PMCCFILTR_U);
	if (model->el2)
		return model->filter & PMCCFILTR_NSH && !(model->mdcr & MDCR_HCCD) &&
		       !(model->mdcr & MDCR_HPMD && model->pmcr & PMCR_DP);
	return !(model->filter & PMCCFILTR_P);
}

static void advance(struct model *model, uint64_t cycles)
{
	uint64_t before = model->value;

	model->value += cycles;
	if (model->pmcr & PMCR_LC ? model->value < before : model->value >> 32 != before >> 32)
		model->overflowed = PMU_CYCLE_BIT;
}

static void count(struct model *model, enum level level, uint64_t cycles)
{
	if (counts_at(model, level))
		advance(model, cycles);
}

static void write_pmcr(struct model *model, uint64_t pmcr)
{
	model->pmcr = pmcr & (PMCR_E | PMCR_DP | PMCR_LC);
	if (pmcr & PMCR_C)
		model->value = 0;
}

static void operate(struct model *model, enum operation operation, uint64_t operand)
{
	switch (operation) {
	case OP_PMCCNTR:
		model->value = operand;
		break;
	case OP_PMCR:
		write_pmcr(model, operand);
		break;
	case OP_PMCCFILTR:
		model->filter = operand;
		break;
	case OP_PMCNTENSET:
		model->enabled |= operand;
		break;
	case OP_PMCNTENCLR:
		model->enabled &= ~operand;
		break;
	case OP_PMOVSCLR:
		model->overflowed &= ~operand;
		break;
	case OP_MDCR:
		model->mdcr = operand;
		break;
	default:
		break;
	}
}

void write_register(struct stepper *stepper, uint64_t reg, uint64_t value)
{
	struct model *model = &stepper->model;

	vcpu_must_set_reg(&stepper->vm, 0, reg, value);
	switch (reg) {
	case REG_PMCCNTR_EL0:
		model->value = value;
		break;
	case REG_PMCR_EL0:
		write_pmcr(model, value);
		break;
	case REG_PMCCFILTR_EL0:
		model->filter = value;
		break;
	case REG_PMCNTENSET_EL0:
		model->enabled = value;
		break;
	case REG_PMOVSSET_EL0:
		model->overflowed = value;
		break;
	case REG_MDCR_EL2:
		model->mdcr = value;
		break;
	}
}

bool check_registers(struct stepper *stepper)
{
	const struct model *model = &stepper->model;
	struct vm *vm = &stepper->vm;
	bool ok;

	ok = equal("PMCCNTR_EL0", vcpu_get_reg(vm, 0, REG_PMCCNTR_EL0), model->value);
	ok &= equal("PMCR_EL0", vcpu_get_reg(vm, 0, REG_PMCR_EL0), model->pmcr);
	ok &= equal("PMCCFILTR_EL0", vcpu_get_reg(vm, 0, REG_PMCCFILTR_EL0), model->filter);
	ok &= equal("PMCNTENSET_EL0", vcpu_get_reg(vm, 0, REG_PMCNTENSET_EL0), model->enabled);
	ok &= equal("PMOVSSET_EL0", vcpu_get_reg(vm, 0, REG_PMOVSSET_EL0), model->overflowed);
	return ok;
}

/* Runs the guest to its next report, and counts the interrupts that it reports before. */
static uint64_t run(struct stepper *stepper)
{
	uint64_t value;
	int offset;

	for (;;) {
		if (stepper->where)
			pin_to(stepper->where(stepper->runs++));
		settle();
		offset = vm_run(&stepper->vm, &value);
		if (offset != GUEST_IRQ)
			break;
		stepper->interrupts++;
		stepper->interrupted_at = value;
	}
	if (offset != GUEST_VALUE)
		guest_stopped(&stepper->vm, offset, value);
	return value;
}

uint64_t do_step(struct stepper *stepper, enum operation operation, uint64_t operand,
		 enum level level)
{
	uint64_t value;

	set_argument(&stepper->vm, 0, operation);
	set_argument(&stepper->vm, 1, operand);
	set_argument(&stepper->vm, 2, level);
	value = run(stepper);
	stepper->ticks = vcpu_get_reg(&stepper->vm, 0, REG_X(7)) -
			 vcpu_get_reg(&stepper->vm, 0, REG_X(6));
	return value;
}

/*
 * The last line shows whether the counter is wrong, or another CPU did work, which counts as
 * cycles, too.
 */
static void explain_step(const struct stepper *stepper, enum operation operation, uint64_t operand,
			 enum level level, uint64_t value)
{
	printf("# operation %d with 0x%lx, loop at EL%d: expected 0x%lx, got 0x%lx\n", operation,
	       operand, level == AT_EL1, stepper->model.value, value);
	printf("# the loop took %lu ticks of the system counter, usually %lu\n", stepper->ticks,
	       stepper->quiet[level]);
}

bool check_step(struct stepper *stepper, enum operation operation, uint64_t operand,
		enum level level)
{
	struct model *model = &stepper->model;
	uint64_t value = do_step(stepper, operation, operand, level);
	bool ok;

	count(model, AT_EL1, stepper->head);
	operate(model, operation, operand);
	count(model, AT_EL1, stepper->rest[level]);
	if (level == AT_EL0)
		count(model, AT_EL0, stepper->el0);
	ok = value == model->value;
	if (!ok)
		explain_step(stepper, operation, operand, level, value);
	model->value = value;
	count(model, AT_EL1, stepper->tail);
	return ok;
}

bool check_long_step(struct stepper *stepper, uint64_t cycles)
{
	struct model *model = &stepper->model;
	uint64_t value, ahead, others;

	/* A turn has two instructions */
	set_argument(&stepper->vm, 3, STEP_TURNS + cycles / 2);
	value = do_step(stepper, OP_NONE, 0, AT_EL1);
	set_argument(&stepper->vm, 3, STEP_TURNS);
	count(model, AT_EL1, stepper->head + stepper->rest[AT_EL1] + cycles);
	ahead = value - model->value;
	others = stepper->ticks - stepper->quiet[AT_EL1] - cycles;
	if (ahead > others)
		printf("# expected 0x%lx and %lu more at most, got 0x%lx\n", model->value, others,
		       value);
	count(model, AT_EL1, ahead + stepper->tail);
	return ahead <= others;
}

/* By how much the counter grows in a step */
static uint64_t growth(struct stepper *stepper, enum level level)
{
	uint64_t last = do_step(stepper, OP_NONE, 0, level);

	return do_step(stepper, OP_NONE, 0, level) - last;
}

/* Measures the lengths of a step's parts. A filter separates the loop at EL0 from the rest. */
static void measure(struct stepper *stepper, uint64_t running_filter)
{
	uint64_t whole[LEVELS] = { growth(stepper, AT_EL1) }, value;

	stepper->quiet[AT_EL1] = stepper->ticks;
	stepper->rest[AT_EL1] = do_step(stepper, OP_PMCCNTR, 0, AT_EL1);
	value = do_step(stepper, OP_NONE, 0, AT_EL1);
	stepper->tail = vcpu_get_reg(&stepper->vm, 0, REG_PMCCNTR_EL0) - value;
	stepper->head = whole[AT_EL1] - stepper->rest[AT_EL1] - stepper->tail;
	if (stepper->model.el2)
		return;

	whole[AT_EL0] = growth(stepper, AT_EL0);
	stepper->quiet[AT_EL0] = stepper->ticks;
	do_step(stepper, OP_PMCCFILTR, PMCCFILTR_P, AT_EL0);
	stepper->el0 = growth(stepper, AT_EL0);
	do_step(stepper, OP_PMCCFILTR, running_filter, AT_EL1);
	stepper->rest[AT_EL0] = whole[AT_EL0] - stepper->el0 - stepper->head - stepper->tail;
}

static bool is_about(uint64_t cycles, uint64_t expected)
{
	return cycles >= expected && cycles <= expected + AROUND;
}

void stepper_create(struct stepper *stepper, unsigned int features, enum backing backing)
{
	bool el2 = features & EL2;
	uint64_t filter = el2 ? PMCCFILTR_NSH : 0;

	pin_to(first_cpu(pmus[0].cpus));
	*stepper = (struct stepper){ .model = { .el2 = el2 } };
	guest_create(&stepper->vm, features, backing, guest_step);
	set_argument(&stepper->vm, 3, STEP_TURNS);
	run(stepper);
	do_step(stepper, OP_PMCCFILTR, filter, AT_EL1);
	do_step(stepper, OP_PMCNTENSET, PMU_CYCLE_BIT, AT_EL1);
	do_step(stepper, OP_PMCR, PMCR_E | PMCR_LC, AT_EL1);
	measure(stepper, filter);
	printf("# a step: %lu cycles to the operation, %lu then, or %lu and %lu at EL0, "
	       "%lu to the report\n", stepper->head, stepper->rest[AT_EL1], stepper->rest[AT_EL0],
	       stepper->el0, stepper->tail);
	if (!is_about(stepper->rest[AT_EL1], 2 * STEP_TURNS) || !is_about(stepper->head, 0) ||
	    !is_about(stepper->tail, 0) ||
	    (!el2 && (!is_about(stepper->el0, 2 * STEP_TURNS) ||
		      !is_about(stepper->rest[AT_EL0], 0))))
		die("these are not the instructions of the guest; is this the exact host?");
	do_step(stepper, OP_PMCCNTR, 0, AT_EL1);
	stepper->model = (struct model){
		.pmcr = PMCR_E | PMCR_LC, .filter = filter, .enabled = PMU_CYCLE_BIT, .el2 = el2,
		.value = vcpu_get_reg(&stepper->vm, 0, REG_PMCCNTR_EL0),
		.mdcr = stepper->model.mdcr,
	};
}

uint64_t read_counter(struct stepper *stepper)
{
	return vcpu_get_reg(&stepper->vm, 0, REG_PMCCNTR_EL0);
}

bool stands_still(struct stepper *stepper, uint64_t cpus)
{
	bool ok = true;

	for_each_cpu(cpu, cpus) {
		uint64_t before, value;

		pin_to(1ULL << cpu);
		before = read_counter(stepper);
		for (int i = 0; i < SHORT; i++) {
			value = do_step(stepper, OP_NONE, 0, i & 1 ? AT_EL0 : AT_EL1);
			if (value == before)
				continue;
			printf("# CPU %d: expected 0x%lx, got 0x%lx\n", cpu, before, value);
			ok = false;
			break;
		}
	}
	return ok;
}

bool check_steps(struct stepper *stepper, int steps, bool registers)
{
	bool ok = true;

	for (int i = 0; ok && i < steps; i++)
		ok = check_step(stepper, OP_NONE, 0, i & 1 ? AT_EL0 : AT_EL1) &&
		     (!registers || check_registers(stepper));
	return ok;
}

bool check_cpus(struct stepper *stepper, uint64_t cpus, bool registers)
{
	for_each_cpu(cpu, cpus) {
		pin_to(1ULL << cpu);
		if (check_steps(stepper, SHORT, registers))
			continue;
		printf("# on CPU %d\n", cpu);
		return false;
	}
	return true;
}

bool counts_on(struct stepper *stepper, uint64_t cpus)
{
	stepper->model.value = read_counter(stepper);
	return check_cpus(stepper, cpus, true);
}

void stepper_restart(struct stepper *stepper)
{
	vm_destroy(&stepper->vm);
	guest_create(&stepper->vm, PMU, BACKED_BY_FIXED, guest_step_on);
	set_argument(&stepper->vm, 3, STEP_TURNS);
}

void stepper_enter(struct stepper *stepper)
{
	run(stepper);
	count(&stepper->model, AT_EL1, GUEST_STEP_ON);
}

void stepper_destroy(struct stepper *stepper)
{
	vm_destroy(&stepper->vm);
	pin_to(all_cpus);
}

uint64_t next_random(uint64_t *state)
{
	/* Knuth's linear congruential generator; only its upper bits are good */
	*state = *state * 6364136223846793005ULL + 1442695040888963407ULL;
	return *state >> 11;
}
