// SPDX-License-Identifier: GPL-2.0-or-later
#include "guest.h"
#include "random.h"

static int do_create(struct vm *vm, int vcpu, uint64_t argument)
{
	vcpu_create(vm, vcpu);
	return 0;
}

static int do_init(struct vm *vm, int vcpu, uint64_t features)
{
	return vcpu_init(vm, vcpu, features);
}

static int do_gic_create(struct vm *vm, int vcpu, uint64_t argument)
{
	return vm_try_create_gic(vm);
}

static int do_gic_init(struct vm *vm, int vcpu, uint64_t argument)
{
	return vm_init_gic(vm);
}

static int do_run(struct vm *vm, int vcpu, uint64_t argument)
{
	return vcpu_touch(vm, vcpu);
}

static int set_number(struct vm *vm, int vcpu, int attribute, uint64_t argument)
{
	int number = argument;

	return vcpu_set_attr(vm, vcpu, attribute, argument == FAULT ? NULL : &number);
}

static int do_irq(struct vm *vm, int vcpu, uint64_t irq)
{
	return set_number(vm, vcpu, KVM_ARM_VCPU_PMU_V3_IRQ, irq);
}

static int do_get_irq(struct vm *vm, int vcpu, uint64_t argument)
{
	int irq = 0, status = vcpu_get_attr(vm, vcpu, KVM_ARM_VCPU_PMU_V3_IRQ, &irq);

	return status ?: irq;
}

static int do_filter(struct vm *vm, int vcpu, uint64_t argument)
{
	static const struct kvm_pmu_event_filter filters[] = {
		[FILTER_ALLOW] = { .base_event = 0x11, .nevents = 1,
				   .action = KVM_PMU_EVENT_ALLOW },
		[FILTER_DENY] = { .base_event = 0x11, .nevents = 1, .action = KVM_PMU_EVENT_DENY },
		[FILTER_RANGE] = { .base_event = 0xffff, .nevents = 2,
				   .action = KVM_PMU_EVENT_ALLOW },
		[FILTER_ACTION] = { .base_event = 0x11, .nevents = 1, .action = 2 },
	};
	struct kvm_pmu_event_filter filter;

	if (argument == FAULT)
		return vcpu_set_attr(vm, vcpu, KVM_ARM_VCPU_PMU_V3_FILTER, NULL);
	filter = filters[argument];
	return vcpu_set_attr(vm, vcpu, KVM_ARM_VCPU_PMU_V3_FILTER, &filter);
}

static int do_set_pmu(struct vm *vm, int vcpu, uint64_t argument)
{
	if (argument == UNKNOWN_PMU)
		return set_number(vm, vcpu, KVM_ARM_VCPU_PMU_V3_SET_PMU, NO_SUCH_PMU);
	if (argument == FAULT)
		return set_number(vm, vcpu, KVM_ARM_VCPU_PMU_V3_SET_PMU, FAULT);
	return set_number(vm, vcpu, KVM_ARM_VCPU_PMU_V3_SET_PMU, pmus[pmu_index(argument)].type);
}

static int do_counters(struct vm *vm, int vcpu, uint64_t counters)
{
	return set_number(vm, vcpu, KVM_ARM_VCPU_PMU_V3_SET_NR_COUNTERS, counters);
}

/* The attribute takes no parameter, so KVM must ignore the address */
static int do_pmu_init(struct vm *vm, int vcpu, uint64_t address)
{
	return vcpu_set_attr(vm, vcpu, KVM_ARM_VCPU_PMU_V3_INIT, (void *)address);
}

static int do_fixed(struct vm *vm, int vcpu, uint64_t address)
{
	return vcpu_set_attr(vm, vcpu, FIXED_ONLY, (void *)address);
}

static int do_unknown(struct vm *vm, int vcpu, uint64_t argument)
{
	return set_number(vm, vcpu, NO_SUCH_ATTR, argument);
}

static int do_get(struct vm *vm, int vcpu, uint64_t attribute)
{
	return vcpu_get_attr(vm, vcpu, attribute, NULL);
}

static int do_has(struct vm *vm, int vcpu, uint64_t attribute)
{
	return vcpu_has_attr(vm, vcpu, attribute);
}

static int read_field(struct vm *vm, int vcpu, uint64_t reg, int shift, uint64_t mask)
{
	uint64_t value;
	int status = vcpu_try_get_reg(vm, vcpu, reg, &value);

	return status ?: (int)(value >> shift & mask);
}

static int do_read_n(struct vm *vm, int vcpu, uint64_t argument)
{
	return read_field(vm, vcpu, REG_PMCR_EL0, 11, 0x1f);
}

static int do_write_n(struct vm *vm, int vcpu, uint64_t n)
{
	return vcpu_set_reg(vm, vcpu, REG_PMCR_EL0, n << 11);
}

static int do_read_slots(struct vm *vm, int vcpu, uint64_t argument)
{
	return read_field(vm, vcpu, REG_PMMIR_EL1, 0, 0xff);
}

static int do_write_slots(struct vm *vm, int vcpu, uint64_t slots)
{
	return vcpu_set_reg(vm, vcpu, REG_PMMIR_EL1, slots);
}

static int do_read_hpmn(struct vm *vm, int vcpu, uint64_t argument)
{
	return read_field(vm, vcpu, REG_MDCR_EL2, 0, 0x1f);
}

static int do_write_hpmn(struct vm *vm, int vcpu, uint64_t hpmn)
{
	return vcpu_set_reg(vm, vcpu, REG_MDCR_EL2, hpmn);
}

static int do_enter_el1(struct vm *vm, int vcpu, uint64_t argument)
{
	return vcpu_set_reg(vm, vcpu, REG_CORE(regs.pstate), SPSR_EL1H);
}

const struct action actions[] = {
	{ "create", do_create, predict_create, 0, 6 },
	{ "init-none", do_init, predict_init, 0, 1 },
	{ "init-pmu", do_init, predict_init, PMU, 6 },
	{ "init-strict", do_init, predict_init, STRICT, 6 },
	{ "init-pmu-el2", do_init, predict_init, PMU | EL2, 4 },
	{ "init-strict-el2", do_init, predict_init, STRICT | EL2, 4 },
	{ "init-strict-alone", do_init, predict_init, STRICT & ~PMU, 1 },
	{ "init-unknown", do_init, predict_init, NO_SUCH_FEATURE, 1 },
	{ "gic-create", do_gic_create, predict_gic_create, 0, 4 },
	{ "gic-init", do_gic_init, predict_gic_init, 0, 8 },
	{ "run", do_run, predict_run, 0, 6 },
	{ "irq-ppi", do_irq, predict_irq, GUEST_PMU_PPI, 10 },
	{ "irq-other-ppi", do_irq, predict_irq, GUEST_PMU_PPI - 1, 2 },
	{ "irq-spi", do_irq, predict_irq, 40, 2 },
	{ "irq-other-spi", do_irq, predict_irq, 41, 2 },
	{ "irq-sgi", do_irq, predict_irq, 15, 1 },
	{ "irq-special", do_irq, predict_irq, 1020, 1 },
	{ "irq-fault", do_irq, predict_irq, FAULT, 1 },
	{ "get-irq", do_get_irq, predict_get_irq, 0, 2 },
	{ "pmu-init", do_pmu_init, predict_pmu_init, 0, 10 },
	{ "pmu-init-address", do_pmu_init, predict_pmu_init, 8, 1 },
	{ "filter-allow", do_filter, predict_filter, FILTER_ALLOW, 3 },
	{ "filter-deny", do_filter, predict_filter, FILTER_DENY, 3 },
	{ "filter-range", do_filter, predict_filter, FILTER_RANGE, 1 },
	{ "filter-action", do_filter, predict_filter, FILTER_ACTION, 1 },
	{ "filter-fault", do_filter, predict_filter, FAULT, 1 },
	{ "pmu-first", do_set_pmu, predict_set_pmu, 0, 4 },
	{ "pmu-last", do_set_pmu, predict_set_pmu, LAST_PMU, 4 },
	{ "pmu-unknown", do_set_pmu, predict_set_pmu, UNKNOWN_PMU, 1 },
	{ "pmu-fault", do_set_pmu, predict_set_pmu, FAULT, 1 },
	{ "counters-0", do_counters, predict_counters, 0, 2 },
	{ "counters-2", do_counters, predict_counters, 2, 4 },
	{ "counters-31", do_counters, predict_counters, COUNTERS_MAX, 1 },
	{ "counters-too-many", do_counters, predict_counters, COUNTERS_MAX + 1, 1 },
	{ "counters-fault", do_counters, predict_counters, FAULT, 1 },
	{ "fixed", do_fixed, predict_fixed, 0, 10, true },
	{ "fixed-address", do_fixed, predict_fixed, 8, 1, true },
	{ "unknown", do_unknown, predict_unknown, 0, 1 },
	{ "get-init", do_get, predict_get, KVM_ARM_VCPU_PMU_V3_INIT, 1 },
	{ "get-filter", do_get, predict_get, KVM_ARM_VCPU_PMU_V3_FILTER, 1 },
	{ "get-pmu", do_get, predict_get, KVM_ARM_VCPU_PMU_V3_SET_PMU, 1 },
	{ "get-counters", do_get, predict_get, KVM_ARM_VCPU_PMU_V3_SET_NR_COUNTERS, 1 },
	{ "get-fixed", do_get, predict_get, FIXED_ONLY, 6, true },
	{ "get-unknown", do_get, predict_get, NO_SUCH_ATTR, 1 },
	{ "has-irq", do_has, predict_has, KVM_ARM_VCPU_PMU_V3_IRQ, 1 },
	{ "has-init", do_has, predict_has, KVM_ARM_VCPU_PMU_V3_INIT, 1 },
	{ "has-filter", do_has, predict_has, KVM_ARM_VCPU_PMU_V3_FILTER, 1 },
	{ "has-pmu", do_has, predict_has, KVM_ARM_VCPU_PMU_V3_SET_PMU, 1 },
	{ "has-counters", do_has, predict_has, KVM_ARM_VCPU_PMU_V3_SET_NR_COUNTERS, 1 },
	{ "has-fixed", do_has, predict_has, FIXED_ONLY, 2, true },
	{ "has-unknown", do_has, predict_has, NO_SUCH_ATTR, 1 },
	{ "read-n", do_read_n, predict_read_n, 0, 6 },
	{ "write-n-0", do_write_n, predict_write_n, 0, 1 },
	{ "write-n-2", do_write_n, predict_write_n, 2, 2 },
	{ "write-n-31", do_write_n, predict_write_n, COUNTERS_MAX, 1 },
	{ "read-slots", do_read_slots, predict_read_slots, 0, 3 },
	{ "write-slots-0", do_write_slots, predict_write_slots, 0, 1 },
	{ "write-slots-4", do_write_slots, predict_write_slots, 4, 1 },
	{ "read-hpmn", do_read_hpmn, predict_read_hpmn, 0, 2 },
	{ "write-hpmn-0", do_write_hpmn, predict_write_hpmn, 0, 1 },
	/* More counters than there are; stock kernels show EL1 that number */
	{ "write-hpmn-31", do_write_hpmn, predict_write_hpmn, COUNTERS_MAX, 2, true },
	{ "enter-el1", do_enter_el1, predict_enter_el1, 0, 3 },
};

const size_t action_count = ARRAY_SIZE(actions);

bool is_possible(const struct model *model, const struct action *action, int vcpu)
{
	if (action->call == do_create)
		return !model->vcpu[vcpu].created && model->gic != GIC_READY;
	if (action->call == do_gic_create)
		return model->gic == GIC_MISSING;
	if (action->call == do_gic_init)
		return model->gic == GIC_CREATED;
	/* If a vCPU runs when the GIC is not initialised, KVM makes the VM unusable */
	if (action->call == do_run && model->gic == GIC_CREATED)
		return false;
	return model->vcpu[vcpu].created;
}

bool is_changed(const struct model *model, const struct action *action)
{
	/* Stock kernels change the number of counters of a VM that has run */
	return action->call == do_counters && model->ran;
}
