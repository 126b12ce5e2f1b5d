// SPDX-License-Identifier: GPL-2.0-or-later
#include "random.h"

#include <errno.h>

struct hardware hardware[MAX_PMUS];
bool host_is_nested;

static bool has_pmu(const struct model *model)
{
	return model->features & PMU & -model->configured;
}

static bool has_el2(const struct model *model)
{
	return model->features & EL2;
}

static bool is_strict(const struct model *model)
{
	return (model->features & STRICT) == STRICT;
}

static unsigned int max_counters(const struct model *model)
{
	bool event_counters = model->backing == BACKING_DEFAULT ||
		model->backing == BACKING_SELECTED;

	return event_counters ? hardware[model->pmu].counters : 0;
}

static void set_counters(struct model *model, unsigned int counters)
{
	model->counters = counters;
	/* Not documented: EL1 gets all counters again */
	for (int i = 0; i < MAX_VCPUS; i++)
		model->vcpu[i].hpmn = counters;
}

static void set_backing(struct model *model, enum backing backing, int pmu)
{
	model->backing = backing;
	model->pmu = pmu;
	set_counters(model, max_counters(model));
}

static uint64_t may(bool condition, int error)
{
	return condition ? MAY(error) : 0;
}

/* Success, unless one of the errors applies */
static uint64_t or_success(uint64_t errors)
{
	return errors ?: SUCCESS;
}

uint64_t predict_create(struct model *model, int vcpu, uint64_t argument)
{
	model->vcpu[vcpu].created = true;
	return SUCCESS;
}

uint64_t predict_init(struct model *model, int vcpu, uint64_t features)
{
	uint64_t errors = may(features & NO_SUCH_FEATURE, ENOENT) |
			  may((features & STRICT & ~PMU) && !(features & PMU), EINVAL) |
			  may((features & EL2) && !host_is_nested, EINVAL) |
			  may(model->configured && features != model->features, EINVAL);
	bool first = !model->vcpu[vcpu].initialised;

	if (errors)
		return errors;
	model->configured = true;
	model->features = features;
	model->vcpu[vcpu].initialised = true;
	if (first && has_pmu(model) && !is_strict(model) && model->backing == BACKING_NONE)
		set_backing(model, BACKING_DEFAULT, 0);
	model->vcpu[vcpu].hpmn = model->counters;
	model->vcpu[vcpu].at_el1 = false;
	return SUCCESS;
}

uint64_t predict_gic_create(struct model *model, int vcpu, uint64_t argument)
{
	if (model->ran)
		return MAY(EBUSY);
	model->gic = GIC_CREATED;
	return SUCCESS;
}

uint64_t predict_gic_init(struct model *model, int vcpu, uint64_t argument)
{
	model->gic = GIC_READY;
	return SUCCESS;
}

uint64_t predict_run(struct model *model, int vcpu, uint64_t argument)
{
	bool irq_missing = model->gic == GIC_READY && !model->vcpu[vcpu].irq;
	uint64_t errors = may(!model->vcpu[vcpu].initialised, ENOEXEC) |
			  /* Not documented: the errors of these two conditions */
			  may(has_pmu(model) && (!model->vcpu[vcpu].pmu_ready || irq_missing),
			      EINVAL) |
			  may(has_el2(model) && model->gic != GIC_READY, EAGAIN);

	model->ran |= !errors;
	return or_success(errors);
}

/* Errors that are common to all attributes, when they are set */
static uint64_t common_errors(const struct model *model, int vcpu)
{
	/* Not documented: EBUSY for an interrupt or a number of counters after PMU INIT */
	return may(!has_pmu(model), ENODEV) | may(model->vcpu[vcpu].pmu_ready, EBUSY);
}

static bool is_ppi(int irq)
{
	return irq >= 16 && irq < 32;
}

static bool irq_is_valid(const struct model *model, int irq)
{
	if (irq < 16 || irq >= 1020)
		return false;
	for (int i = 0; i < MAX_VCPUS; i++) {
		int other = model->vcpu[i].irq;

		if (other && (is_ppi(irq) ? other != irq : other == irq))
			return false;
	}
	return true;
}

uint64_t predict_irq(struct model *model, int vcpu, uint64_t irq)
{
	uint64_t errors = common_errors(model, vcpu) | may(model->gic == GIC_MISSING, EINVAL) |
			  may(irq == FAULT, EFAULT) |
			  may(irq != FAULT && !irq_is_valid(model, irq), EINVAL) |
			  may(model->vcpu[vcpu].irq, EBUSY);

	if (!errors)
		model->vcpu[vcpu].irq = irq;
	return or_success(errors);
}

uint64_t predict_get_irq(struct model *model, int vcpu, uint64_t argument)
{
	model->value = model->vcpu[vcpu].irq;
	/* Not documented: without an in-kernel irqchip, getting the number also returns EINVAL */
	return or_success(may(model->gic == GIC_MISSING, EINVAL) | may(!has_pmu(model), ENODEV) |
			  may(!model->vcpu[vcpu].irq, ENXIO));
}

uint64_t predict_pmu_init(struct model *model, int vcpu, uint64_t argument)
{
	uint64_t errors = common_errors(model, vcpu) | may(!has_pmu(model), ENXIO) |
			  may(model->backing == BACKING_NONE, ENXIO) |
			  may(model->gic == GIC_CREATED, ENODEV) |
			  may(model->gic != GIC_MISSING && !model->vcpu[vcpu].irq, ENXIO);

	model->vcpu[vcpu].pmu_ready |= !errors;
	return or_success(errors);
}

uint64_t predict_filter(struct model *model, int vcpu, uint64_t filter)
{
	/*
	 * Not documented: EFAULT. Documented, but KVM does not return it for this attribute and the
	 * next two: ENODEV when the GIC is not initialized
	 */
	uint64_t errors = common_errors(model, vcpu) | may(filter == FAULT, EFAULT) |
			  may(filter == FILTER_RANGE || filter == FILTER_ACTION, EINVAL) |
			  may(model->ran || model->backing == BACKING_FIXED, EBUSY) |
			  may(model->backing == BACKING_NONE, ENXIO);

	model->filtered |= !errors;
	return or_success(errors);
}

int pmu_index(uint64_t argument)
{
	return argument == LAST_PMU ? pmu_count - 1 : (int)argument;
}

uint64_t predict_set_pmu(struct model *model, int vcpu, uint64_t argument)
{
	int pmu = pmu_index(argument);
	/* Not documented: after a filter, the PMU that is in use anyway can be selected */
	uint64_t errors = common_errors(model, vcpu) | may(argument == FAULT, EFAULT) |
			  may(argument == UNKNOWN_PMU, ENXIO) |
			  may(model->ran || model->backing == BACKING_FIXED, EBUSY) |
			  may(model->filtered && pmu != model->pmu, EBUSY);

	if (errors)
		return errors;
	set_backing(model, BACKING_SELECTED, pmu);
	model->slots = is_strict(model) ? hardware[pmu].slots : 0;
	return SUCCESS;
}

uint64_t predict_counters(struct model *model, int vcpu, uint64_t counters)
{
	/* The default PMU is enough; strict VMs have none */
	uint64_t errors = common_errors(model, vcpu) | may(counters == FAULT, EFAULT) |
			  may(model->ran, EBUSY) |
			  may(model->backing == BACKING_NONE, EINVAL) |
			  may(counters != FAULT && counters > max_counters(model), EINVAL);

	if (!errors)
		set_counters(model, counters);
	return or_success(errors);
}

uint64_t predict_fixed(struct model *model, int vcpu, uint64_t argument)
{
	uint64_t errors = common_errors(model, vcpu) |
			  may(model->ran || model->filtered || model->backing == BACKING_SELECTED,
			      EBUSY);

	if (!errors)
		set_backing(model, BACKING_FIXED, -1);
	return or_success(errors);
}

uint64_t predict_unknown(struct model *model, int vcpu, uint64_t argument)
{
	return common_errors(model, vcpu) | MAY(ENXIO);
}

uint64_t predict_get(struct model *model, int vcpu, uint64_t attribute)
{
	return MAY(ENXIO);
}

uint64_t predict_has(struct model *model, int vcpu, uint64_t attribute)
{
	return has_pmu(model) && attribute != NO_SUCH_ATTR ? SUCCESS : MAY(ENXIO);
}

static uint64_t register_errors(const struct model *model, int vcpu, bool exists)
{
	return may(!model->vcpu[vcpu].initialised, ENOEXEC) | may(!exists, ENOENT);
}

uint64_t predict_read_n(struct model *model, int vcpu, uint64_t argument)
{
	unsigned int hpmn = model->vcpu[vcpu].hpmn;

	model->value = model->counters;
	if (model->vcpu[vcpu].at_el1 && hpmn < model->counters)
		model->value = hpmn;
	return or_success(register_errors(model, vcpu, has_pmu(model)));
}

/*
 * The documentation only says that strict VMs ignore it; the kernel's selftests set the number so.
 */
uint64_t predict_write_n(struct model *model, int vcpu, uint64_t n)
{
	uint64_t errors = register_errors(model, vcpu, has_pmu(model));

	if (!errors && !is_strict(model) && !has_el2(model) && !model->ran &&
	    n <= max_counters(model))
		set_counters(model, n);
	return or_success(errors);
}

uint64_t predict_read_slots(struct model *model, int vcpu, uint64_t argument)
{
	model->value = model->slots;
	return or_success(register_errors(model, vcpu, has_pmu(model)));
}

uint64_t predict_write_slots(struct model *model, int vcpu, uint64_t slots)
{
	/*
	 * Not documented: 0 and the present value are accepted; after a vCPU ran, only the present
	 * value
	 */
	uint64_t errors = register_errors(model, vcpu, has_pmu(model)) |
			  may(model->ran && slots != model->slots, EBUSY) |
			  may(!model->ran && slots && slots != model->slots, EINVAL);

	if (!errors)
		model->slots = slots;
	return or_success(errors);
}

uint64_t predict_read_hpmn(struct model *model, int vcpu, uint64_t argument)
{
	model->value = model->vcpu[vcpu].hpmn;
	return or_success(register_errors(model, vcpu, has_el2(model)));
}

uint64_t predict_write_hpmn(struct model *model, int vcpu, uint64_t hpmn)
{
	uint64_t errors = register_errors(model, vcpu, has_el2(model));

	if (!errors)
		model->vcpu[vcpu].hpmn = hpmn;
	return or_success(errors);
}

/* Without EL2 the vCPU is always at EL1, and HPMN means nothing */
uint64_t predict_enter_el1(struct model *model, int vcpu, uint64_t argument)
{
	uint64_t errors = register_errors(model, vcpu, true);

	model->vcpu[vcpu].at_el1 = !errors && has_el2(model);
	return or_success(errors);
}
