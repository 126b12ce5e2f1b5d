// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Prints what userspace and the guest see of VMs that do not have fixed counters only, so that the
 * output of two kernels can be compared.
 *
 *   unchanged all   on any kernel; also prints guests with EL2, on a host with kvm-arm.mode=nested
 *
 * Lines that begin with "mode" are about the mode itself, those with "fix" about what the series
 * fixes. These must differ.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>

#include "counter.h"

#define MAX_REGISTERS	4096
#define SPSR_EL1H	0x3c5
#define HPMN_TOO_MANY	31

static const struct { unsigned int features; const char *name; } kinds[] = {
	{ 0, "no PMU" }, { PMU, "PMU" }, { STRICT, "strict" }, { PMU | EL2, "PMU, EL2" },
	{ STRICT | EL2, "strict, EL2" },
};

/* The values of these always change */
static bool is_time(uint64_t reg)
{
	return reg == KVM_REG_ARM_TIMER_CNT || reg == KVM_REG_ARM_PTIMER_CNT;
}

static void print_register(struct vm *vm, uint64_t reg)
{
	uint64_t value;

	printf("# %016lx", reg);
	if ((reg & KVM_REG_SIZE_MASK) == KVM_REG_SIZE_U64 && !is_time(reg)) {
		int status = vcpu_try_get_reg(vm, 0, reg, &value);

		printf(" %d %016lx", status, value);
	}
	printf("\n");
}

static int print_registers(struct vm *vm)
{
	struct kvm_reg_list *list = malloc(sizeof(*list) + MAX_REGISTERS * sizeof(list->reg[0]));
	int count;

	if (!list)
		die("no memory for the list of registers");
	list->n = MAX_REGISTERS;
	if (ioctl(vm->vcpu[0], KVM_GET_REG_LIST, list))
		die("KVM_GET_REG_LIST failed");
	count = list->n;
	for (int i = 0; i < count; i++)
		print_register(vm, list->reg[i]);
	free(list);
	return count;
}

/* Set one after the other on a VM that has a vCPU; the registers are printed after each */
static const struct { int attr; unsigned int value; } settings[] = {
	{ KVM_ARM_VCPU_PMU_V3_SET_NR_COUNTERS, 3 },
	{ KVM_ARM_VCPU_PMU_V3_SET_PMU, 0 },
	{ KVM_ARM_VCPU_PMU_V3_SET_NR_COUNTERS, 2 },
	{ KVM_ARM_VCPU_PMU_V3_INIT, 0 },
	{ KVM_ARM_VCPU_PMU_V3_INIT, 0 },
};

static void print_kind(unsigned int features, const char *name)
{
	struct vm vm;
	int count;

	printf("# VM: %s: %d\n", name, vm_create_vcpu(&vm, features));
	count = print_registers(&vm);
	for (size_t i = 0; i < ARRAY_SIZE(settings); i++) {
		int value = settings[i].attr == KVM_ARM_VCPU_PMU_V3_SET_PMU
			? pmus[pmu_count - 1].type : (int)settings[i].value;

		printf("# set %d: %d\n", settings[i].attr,
		       vcpu_set_attr(&vm, 0, settings[i].attr, &value));
		print_registers(&vm);
	}
	printf("# run: %d\n", vcpu_touch(&vm, 0));
	print_registers(&vm);
	vm_destroy(&vm);
	result(count > 0, "userspace sees %d registers: %s", count, name);
}

static void print_guest(unsigned int features, enum backing backing, const char *name)
{
	/* As many as guest_identify reports */
	const int reports = 5;
	struct vm vm;

	guest_create(&vm, features, backing, guest_identify);
	printf("# guest: %s:", name);
	for (int i = 0; i < reports; i++)
		printf(" %lx", next_value(&vm));
	printf("\n");
	vm_destroy(&vm);
	result(true, "the guest reads the registers of its PMU: %s", name);
}

static void print_mode(void)
{
	struct vm vm;

	printf("# mode: init %d", vm_create_vcpu(&vm, PMU));
	printf(", has %d", vcpu_has_attr(&vm, 0, KVM_ARM_VCPU_PMU_V3_FIXED_COUNTERS_ONLY));
	printf(", set %d\n", vcpu_set_attr(&vm, 0, KVM_ARM_VCPU_PMU_V3_FIXED_COUNTERS_ONLY, NULL));
	vm_destroy(&vm);
}

/* Without the fix EL1 sees as many counters as userspace has written to MDCR_EL2.HPMN. */
static void print_fix(void)
{
	struct vm vm;

	printf("# fix: init %d", vm_create_vcpu(&vm, PMU | EL2));
	printf(", HPMN %d", vcpu_set_reg(&vm, 0, REG_MDCR_EL2, HPMN_TOO_MANY));
	printf(", EL1 %d", vcpu_set_reg(&vm, 0, REG_CORE(regs.pstate), SPSR_EL1H));
	printf(", N %lu\n", PMCR_N(vcpu_get_reg(&vm, 0, REG_PMCR_EL0)));
	vm_destroy(&vm);
}

static void test_all(void)
{
	bool nested = capability(kvm_fd(), KVM_CAP_ARM_EL2) > 0;

	pin_to(pmus[0].cpus);
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
		if (nested || !(kinds[i].features & EL2))
			print_kind(kinds[i].features, kinds[i].name);
	print_guest(PMU, BACKED_BY_DEFAULT, "default PMU");
	print_guest(PMU, BACKED_BY_PMU, "selected PMU");
	print_guest(STRICT, BACKED_BY_PMU, "selected PMU, strict");
	print_mode();
	if (nested)
		print_fix();
}

const struct group groups[] = {
	{ "all", test_all, 1 },
	{ 0 }
};
