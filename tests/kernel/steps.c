// SPDX-License-Identifier: GPL-2.0-or-later
#include "steps.h"

#include <stdio.h>
#include <unistd.h>

/*
 * When an overflow is near or just was, the emulator goes round its CPUs in the middle of the guest, to be on time. The system
 * counter does not tell all of what others do then.
 */
#define NEAR		2048
#define NOISE		50000
/* An interrupt of another CPU takes more instructions; by hundreds KVM_RUN is longer when the PMU is another one */
#define LEAST_NOISE	1000
#define SETTLE_US	20000
#define TURNS		64
/* To find a step that nothing disturbed */
#define TRIES		3
/* Instructions around what is counted, at most */
#define AROUND		20
#define X(n)		(REG_CORE(regs.regs[0]) + (n) * 2)

static bool counts_at(const struct model *model, enum level level)
{
	if (!model->enabled || !(model->pmcr & PMCR_E))
		return false;
	if (level == AT_EL0)
		return !(model->filter & PMCCFILTR_U);
	if (model->el2)
		return model->filter & PMCCFILTR_NSH && !(model->mdcr & MDCR_HPMD);
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

static uint64_t noise(const struct model *model)
{
	uint64_t since = model->pmcr & PMCR_LC ? model->value : (uint32_t)model->value;
	uint64_t left = model->pmcr & PMCR_LC ? -model->value : (uint32_t)-model->value;

	return left <= NEAR || since <= NEAR ? NOISE : 0;
}

static void write_pmcr(struct model *model, uint64_t pmcr)
{
	model->pmcr = pmcr & (PMCR_E | PMCR_LC);
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

	if (vcpu_set_reg(&stepper->vm, 0, reg, value))
		die("writing register 0x%llx failed", (unsigned long long)reg);
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

static bool equal(const char *what, uint64_t got, uint64_t expected)
{
	if (got != expected)
		printf("# %s: expected 0x%llx, got 0x%llx\n", what, (unsigned long long)expected, (unsigned long long)got);
	return got == expected;
}

/* More cycles than are EXPLAINED: by what others did where only the time of KVM_RUN tells, in this step or in the end of the last one? */
static bool is_explained(const struct stepper *stepper, uint64_t ahead, uint64_t explained)
{
	if (ahead <= explained)
		return true;
	if (ahead < LEAST_NOISE || ahead > NOISE || ahead > stepper->overtime + stepper->overtime_before)
		return false;
	printf("# %llu cycles more than the guest's reads of the system counter tell, as KVM_RUN does\n",
	       (unsigned long long)(ahead - explained));
	return true;
}

bool check_registers(struct stepper *stepper)
{
	struct model *model = &stepper->model;
	struct vm *vm = &stepper->vm;
	uint64_t value = vcpu_get_reg(vm, 0, REG_PMCCNTR_EL0), ahead = value - model->value;
	bool ok;

	if (ahead && is_explained(stepper, ahead, noise(model))) {
		stepper->disturbed++;
		count(model, AT_EL1, ahead);
	}
	ok = equal("PMCCNTR_EL0", value, model->value);
	ok &= equal("PMCR_EL0", vcpu_get_reg(vm, 0, REG_PMCR_EL0), model->pmcr);
	ok &= equal("PMCCFILTR_EL0", vcpu_get_reg(vm, 0, REG_PMCCFILTR_EL0), model->filter);
	ok &= equal("PMCNTENSET_EL0", vcpu_get_reg(vm, 0, REG_PMCNTENSET_EL0), model->enabled);
	ok &= equal("PMOVSSET_EL0", vcpu_get_reg(vm, 0, REG_PMOVSSET_EL0), model->overflowed);
	return ok;
}

/* To the next report, which is not of an interrupt. SHORTEST: ticks that KVM_RUN took for such a step until now, 0 for not yet. */
static uint64_t run(struct stepper *stepper, uint64_t *shortest)
{
	uint64_t value, start, ticks = 0;
	unsigned int reason;
	int offset;

	for (;;) {
		if (stepper->where)
			pin_to(stepper->where(stepper->runs++));
		start = read_cntvct();
		offset = vm_run(&stepper->vm, &value, &reason);
		ticks += read_cntvct() - start;
		if (offset != GUEST_IRQ)
			break;
		stepper->interrupts++;
		stepper->interrupted_at = value;
	}
	if (offset != GUEST_VALUE)
		die("the guest stopped: offset %d, KVM exit %u, value 0x%llx", offset, reason, (unsigned long long)value);
	if (!*shortest || ticks < *shortest)
		*shortest = ticks;
	stepper->overtime_before = stepper->overtime;
	stepper->overtime = ticks - *shortest;
	return value;
}

uint64_t do_step(struct stepper *stepper, enum operation operation, uint64_t operand, enum level level)
{
	uint64_t value;

	set_argument(&stepper->vm, 0, operation);
	set_argument(&stepper->vm, 1, operand);
	set_argument(&stepper->vm, 2, level);
	value = run(stepper, &stepper->shortest[operation][level]);
	stepper->ticks = vcpu_get_reg(&stepper->vm, 0, X(7)) - vcpu_get_reg(&stepper->vm, 0, X(6));
	return value;
}

void make_longer(struct stepper *stepper, uint64_t cycles)
{
	stepper->longer = cycles;
	/* Each turn is of two instructions */
	set_argument(&stepper->vm, 3, TURNS + cycles / 2);
}

bool check_step(struct stepper *stepper, enum operation operation, uint64_t operand, enum level level)
{
	struct model *model = &stepper->model;
	uint64_t value = do_step(stepper, operation, operand, level), longer = level == AT_EL1 ? stepper->longer : 0;
	uint64_t ahead, quiet = stepper->quiet[level] + longer, excess = stepper->ticks > quiet ? stepper->ticks - quiet : 0;
	uint64_t before = counts_at(model, AT_EL1) ? noise(model) : 0;
	bool ok, counts;

	count(model, AT_EL1, stepper->head);
	operate(model, operation, operand);
	counts = counts_at(model, AT_EL1) || counts_at(model, level);
	/* Others count for a counter that the operation stopped if they were there before it, and for one that stands still never. */
	excess = before + (counts ? excess + noise(model) : 0);
	count(model, AT_EL1, stepper->rest[level] + longer);
	if (level == AT_EL0)
		count(model, AT_EL0, stepper->el0);
	ahead = value - model->value;
	ok = is_explained(stepper, ahead, excess);
	if (!ok)
		printf("# operation %d with 0x%llx, loop at EL%d: expected 0x%llx, got 0x%llx\n", operation, (unsigned long long)operand,
		       level == AT_EL1, (unsigned long long)model->value, (unsigned long long)value);
	if (ahead) {
		stepper->disturbed++;
		advance(model, ahead);
	}
	count(model, AT_EL1, stepper->tail);
	return ok;
}

static uint64_t least(uint64_t left, uint64_t right)
{
	return left < right ? left : right;
}

/* A step that nothing disturbed, as far as the guest's reads of the system counter tell: by how much the counter grew */
static uint64_t quiet_growth(struct stepper *stepper, enum level level)
{
	uint64_t last, value = do_step(stepper, OP_NONE, 0, level);

	do {
		last = value;
		value = do_step(stepper, OP_NONE, 0, level);
	} while (stepper->ticks != stepper->quiet[level]);
	return value - last;
}

static void find_quiet(struct stepper *stepper, enum level level)
{
	stepper->quiet[level] = ~0ULL;
	for (int i = 0; i < 5; i++) {
		do_step(stepper, OP_NONE, 0, level);
		if (stepper->ticks < stepper->quiet[level])
			stepper->quiet[level] = stepper->ticks;
	}
}

/* A step that nothing disturbed at all */
static uint64_t least_growth(struct stepper *stepper, enum level level)
{
	uint64_t growth = quiet_growth(stepper, level);

	for (int i = 1; i < TRIES; i++)
		growth = least(growth, quiet_growth(stepper, level));
	return growth;
}

/* The lengths of a step's parts, from steps that do not write the counter while it is to count at EL0 */
static void measure(struct stepper *stepper, uint64_t running_filter)
{
	uint64_t whole[LEVELS] = { 0 }, value;

	find_quiet(stepper, AT_EL1);
	whole[AT_EL1] = least_growth(stepper, AT_EL1);
	stepper->rest[AT_EL1] = stepper->tail = ~0ULL;
	for (int i = 0; i < TRIES; i++) {
		stepper->rest[AT_EL1] = least(stepper->rest[AT_EL1], do_step(stepper, OP_PMCCNTR, 0, AT_EL1));
		value = do_step(stepper, OP_NONE, 0, AT_EL1);
		stepper->tail = least(stepper->tail, vcpu_get_reg(&stepper->vm, 0, REG_PMCCNTR_EL0) - value);
	}
	stepper->head = whole[AT_EL1] - stepper->rest[AT_EL1] - stepper->tail;
	if (stepper->model.el2)
		return;

	find_quiet(stepper, AT_EL0);
	whole[AT_EL0] = least_growth(stepper, AT_EL0);
	do_step(stepper, OP_PMCCFILTR, PMCCFILTR_P, AT_EL0);
	stepper->el0 = least_growth(stepper, AT_EL0);
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

	*stepper = (struct stepper){ .model = { .el2 = el2 } };
	guest_create(&stepper->vm, features, backing, guest_step);
	set_argument(&stepper->vm, 3, TURNS);
	run(stepper, &stepper->shortest_entry);
	do_step(stepper, OP_PMCCFILTR, filter, AT_EL1);
	do_step(stepper, OP_PMCNTENSET, PMU_CYCLE_BIT, AT_EL1);
	do_step(stepper, OP_PMCR, PMCR_E | PMCR_LC, AT_EL1);
	measure(stepper, filter);
	printf("# a step: %llu cycles to the operation, %llu then, or %llu and %llu at EL0, %llu to the report\n",
	       (unsigned long long)stepper->head, (unsigned long long)stepper->rest[AT_EL1],
	       (unsigned long long)stepper->rest[AT_EL0], (unsigned long long)stepper->el0, (unsigned long long)stepper->tail);
	if (!is_about(stepper->rest[AT_EL1], 2 * TURNS) || !is_about(stepper->head, 0) || !is_about(stepper->tail, 0) ||
	    (!el2 && (!is_about(stepper->el0, 2 * TURNS) || !is_about(stepper->rest[AT_EL0], 0))))
		die("these are not the instructions of the guest; is this instruction counting?");
	/* What was printed is on its way; under instruction counting this takes no time */
	usleep(SETTLE_US);
	do_step(stepper, OP_PMCCNTR, 0, AT_EL1);
	stepper->model = (struct model){
		.pmcr = PMCR_E | PMCR_LC, .filter = filter, .enabled = PMU_CYCLE_BIT, .el2 = el2,
		.value = vcpu_get_reg(&stepper->vm, 0, REG_PMCCNTR_EL0), .mdcr = stepper->model.mdcr,
	};
}

void stepper_restart(struct stepper *stepper)
{
	vm_destroy(&stepper->vm);
	guest_create(&stepper->vm, PMU, BACKED_BY_FIXED, guest_step_on);
	set_argument(&stepper->vm, 3, TURNS);
}

void stepper_enter(struct stepper *stepper)
{
	run(stepper, &stepper->shortest_entry);
	count(&stepper->model, AT_EL1, GUEST_STEP_ON);
}

void stepper_destroy(struct stepper *stepper)
{
	vm_destroy(&stepper->vm);
	pin_to(all_cpus);
}

uint64_t next_random(uint64_t *state)
{
	/* Knuth's linear congruential generator, of which the upper bits are good */
	*state = *state * 6364136223846793005ULL + 1442695040888963407ULL;
	return *state >> 11;
}
