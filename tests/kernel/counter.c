// SPDX-License-Identifier: GPL-2.0-or-later
#include "counter.h"

#include <stdio.h>

void guest_create_vcpus(struct vm *vm, int vcpus, unsigned int features, enum backing backing,
			const struct host_pmu *pmu, const char *entry)
{
	int irq = GUEST_PMU_PPI, type = pmu->type, status = 0;

	vm_create(vm);
	for (int i = 0; i < vcpus; i++) {
		vcpu_create(vm, i);
		if (vcpu_init(vm, i, features))
			die("KVM_ARM_VCPU_INIT with features 0x%x failed", features);
	}
	vm_create_gic(vm);
	if (backing == BACKED_BY_PMU)
		status = vcpu_set_attr(vm, 0, KVM_ARM_VCPU_PMU_V3_SET_PMU, &type);
	else if (backing == BACKED_BY_FIXED)
		status = vcpu_set_attr(vm, 0, KVM_ARM_VCPU_PMU_V3_FIXED_COUNTERS_ONLY, NULL);
	for (int i = 0; !status && i < vcpus; i++)
		status = vcpu_set_attr(vm, i, KVM_ARM_VCPU_PMU_V3_IRQ, &irq) ?
			: vcpu_set_attr(vm, i, KVM_ARM_VCPU_PMU_V3_INIT, NULL);
	if (status)
		die("setting the PMU up failed: %d", status);
	vm_load(vm, entry);
}

void guest_create(struct vm *vm, unsigned int features, enum backing backing, const char *entry)
{
	guest_create_vcpus(vm, 1, features, backing, &pmus[0], entry);
}

bool is_accepted(unsigned int features)
{
	struct vm vm;
	int status = vm_create_vcpu(&vm, features);

	vm_destroy(&vm);
	return equal("KVM_ARM_VCPU_INIT", status, 0);
}

const uint64_t pmu_registers[PMU_REGISTERS] = {
	REG_PMCR_EL0, REG_PMCNTENSET_EL0, REG_PMINTENSET_EL1, REG_PMOVSSET_EL0, REG_PMCCFILTR_EL0,
	REG_PMCCNTR_EL0,
};

struct saved save_registers(struct vm *vm, int vcpu)
{
	struct saved saved;

	for (int i = 0; i < PMU_REGISTERS; i++)
		saved.values[i] = vcpu_get_reg(vm, vcpu, pmu_registers[i]);
	return saved;
}

void set_argument(struct vm *vm, int number, uint64_t value)
{
	vcpu_must_set_reg(vm, 0, REG_X(number), value);
}

void counter_create(struct vm *vm, enum backing backing, uint64_t pmcr, uint64_t start,
		    uint64_t turns)
{
	guest_create(vm, PMU, backing, guest_count);
	set_argument(vm, 0, pmcr);
	set_argument(vm, 1, start);
	set_argument(vm, 2, PMU_CYCLE_BIT);
	set_argument(vm, 3, turns);
	set_argument(vm, 6, pmcr);
}

void guest_stopped(const struct vm *vm, int offset, uint64_t value)
{
	die("the guest stopped: offset %d, KVM exit %u, value 0x%lx", offset,
	    vm->run[0]->exit_reason, value);
}

uint64_t next_value(struct vm *vm)
{
	uint64_t value;
	int offset = vm_run(vm, &value);

	if (offset != GUEST_VALUE)
		guest_stopped(vm, offset, value);
	return value;
}

bool check_reports(struct vm *vm, const struct report *reports, size_t count)
{
	bool ok = true;

	for (size_t i = 0; i < count; i++)
		ok &= equal(reports[i].name, next_value(vm) & reports[i].mask, reports[i].expected);
	return ok;
}

uint64_t every_cpu(int i)
{
	int cpu = 0;

	for (i %= __builtin_popcountll(all_cpus); !(all_cpus >> cpu & 1) || i--; cpu++)
		;
	return 1ULL << cpu;
}

uint64_t every_pmu(int i)
{
	return pmus[i % pmu_count].cpus;
}

uint64_t within_pmu(int i)
{
	uint64_t cpus = pmus[0].cpus;

	return i & 1 ? cpus & (cpus - 1) ?: cpus : first_cpu(cpus);
}
