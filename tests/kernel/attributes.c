// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Claim: KVM_ARM_VCPU_PMU_V3_FIXED_COUNTERS_ONLY returns what
 * Documentation/virt/kvm/devices/vcpu.rst says, in any order of calls. Nothing changes for VMs that
 * do not use the attribute.
 *
 *   attributes all         all tests, on a kernel that has the attribute
 *   attributes capability  that the kernel announces the mode by a capability
 *   attributes nested      tests of guests with EL2, on a host with kvm-arm.mode=nested
 *   attributes protected   on a host with kvm-arm.mode=protected
 *   attributes nopmu       on a host without a PMU
 *   attributes missing     that a kernel without the attribute says so
 */
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/ioctl.h>

#include "counter.h"

#define FIXED			KVM_ARM_VCPU_PMU_V3_FIXED_COUNTERS_ONLY
#define FIXED_CAPABILITY	KVM_CAP_ARM_PMU_V3_FIXED_COUNTERS_ONLY
#define CPU_CYCLES		0x11

#define MAX_STEPS		12

enum call { END, CREATE, INIT_VCPU, SET, GET, HAS, RUN, WRITE_N, READ_N, READ_HPMN, WRITE_HPMN,
	    WRITE_SLOTS };

struct step {
	enum call call;
	int vcpu;
	/* INIT_VCPU: the features; SET, GET and HAS: the attribute; others: a number */
	int argument;
	int expected;
	/* SET: the value of the attribute */
	unsigned int value;
};

struct sequence {
	const char *name;
	unsigned int features;
	/* They begin with a vCPU 0 that has these features */
	struct step steps[MAX_STEPS];
};

#define SECOND_VCPU(features)	{ CREATE, 1 }, { INIT_VCPU, 1, features }
#define SET_PMU(expected)	{ SET, 0, KVM_ARM_VCPU_PMU_V3_SET_PMU, expected }
#define SET_FILTER(expected)	{ SET, 0, KVM_ARM_VCPU_PMU_V3_FILTER, expected }
#define SET_NR(n, expected)	{ SET, 0, KVM_ARM_VCPU_PMU_V3_SET_NR_COUNTERS, expected, n }
#define SET_FIXED(expected)	{ SET, 0, FIXED, expected }
#define SET_INIT(expected)	{ SET, 0, KVM_ARM_VCPU_PMU_V3_INIT, expected }
/* There is no getter */
#define GET_FIXED		{ GET, 0, FIXED, -ENXIO }
#define HAS_FIXED(expected)	{ HAS, 0, FIXED, expected }
#define HAS_PMU(expected)	{ HAS, 0, KVM_ARM_VCPU_PMU_V3_SET_PMU, expected }
#define N_IS(n)			{ READ_N, 0, 0, n }

#define STRICT_OR_NOT(name, ...) \
	{ name, PMU, { __VA_ARGS__ } }, \
	{ name "; strict", STRICT, { __VA_ARGS__ } }

static const struct sequence sequences[] = {
	{ "no PMU: the attribute is -ENODEV", 0, { HAS_FIXED(-ENXIO), SET_FIXED(-ENODEV) } },
	{ "vCPU not initialised: -ENODEV", 0,
	  { { CREATE, 1 }, { SET, 1, FIXED, -ENODEV }, { HAS, 1, FIXED, -ENXIO } } },
	STRICT_OR_NOT("set, set again", HAS_FIXED(0), SET_FIXED(0), SET_FIXED(0), HAS_FIXED(0)),
	{ "no getter", PMU, { GET_FIXED, SET_FIXED(0), GET_FIXED } },
	{ "after PMU INIT: -EBUSY", PMU, { SET_INIT(0), SET_FIXED(-EBUSY) } },
	{ "PMU INIT after it", PMU,
	  { SET_FIXED(0), SET_INIT(0), SET_FIXED(-EBUSY), SET_INIT(-EBUSY) } },
	{ "PMU INIT before any choice; strict: -ENXIO", STRICT,
	  { SET_INIT(-ENXIO), SET_FIXED(0), SET_INIT(0) } },
	{ "PMU INIT of one vCPU leaves the choice to the others", PMU,
	  { SECOND_VCPU(PMU), SET_INIT(0), { SET, 1, FIXED, 0 }, N_IS(0) } },
	{ "after a vCPU ran: -EBUSY", PMU,
	  { SET_INIT(0), { RUN }, SECOND_VCPU(PMU), { SET, 1, FIXED, -EBUSY } } },
	{ "set, run, set on another vCPU: -EBUSY", PMU,
	  { SET_FIXED(0), SET_INIT(0), { RUN }, SECOND_VCPU(PMU), { SET, 1, FIXED, -EBUSY } } },
	STRICT_OR_NOT("after SET_PMU: -EBUSY",
		      SET_PMU(0), SET_FIXED(-EBUSY), SET_PMU(0), SET_INIT(0)),
	{ "after SET_PMU through another vCPU: -EBUSY", PMU,
	  { SECOND_VCPU(PMU), { SET, 1, KVM_ARM_VCPU_PMU_V3_SET_PMU, 0 }, SET_FIXED(-EBUSY) } },
	STRICT_OR_NOT("SET_PMU after it: -EBUSY",
		      SET_FIXED(0), SET_PMU(-EBUSY), HAS_PMU(0), N_IS(0)),
	{ "after a filter: -EBUSY", PMU, { SET_FILTER(0), SET_FIXED(-EBUSY) } },
	{ "after SET_PMU and a filter; strict: -EBUSY", STRICT,
	  { SET_FILTER(-ENXIO), SET_PMU(0), SET_FILTER(0), SET_FIXED(-EBUSY) } },
	STRICT_OR_NOT("a filter after it: -EBUSY", SET_FIXED(0), SET_FILTER(-EBUSY), SET_INIT(0)),
	STRICT_OR_NOT("number of counters after it: only 0", SET_FIXED(0), SET_NR(1, -EINVAL),
		      SET_NR(0, 0), SET_NR(31, -EINVAL), N_IS(0)),
	{ "number of counters after a vCPU ran: -EBUSY", PMU,
	  { SET_NR(1, 0), SET_INIT(0), { RUN }, SECOND_VCPU(PMU),
	    { SET, 1, KVM_ARM_VCPU_PMU_V3_SET_NR_COUNTERS, -EBUSY, 0 }, N_IS(1) } },
	{ "number of counters after a filter", PMU, { SET_FILTER(0), SET_NR(1, 0), N_IS(1) } },
	{ "number of counters before it: no effect", PMU,
	  { SET_NR(1, 0), N_IS(1), SET_FIXED(0), N_IS(0) } },
	{ "number of counters before any choice; strict: -EINVAL", STRICT,
	  { SET_NR(0, -EINVAL), SET_FIXED(0), SET_NR(0, 0) } },
	STRICT_OR_NOT("PMCR_EL0.N cannot be written", SET_FIXED(0), N_IS(0), { WRITE_N, 0, 4 },
		      N_IS(0), { WRITE_N, 0, 0 }, N_IS(0)),
	STRICT_OR_NOT("PMMIR_EL1.SLOTS takes only 0",
		      SET_FIXED(0), { WRITE_SLOTS, 0, 4, -EINVAL }, { WRITE_SLOTS, 0, 0, 0 }),
	{ "set through a second vCPU, seen by all", PMU,
	  { SECOND_VCPU(PMU), { SET, 1, FIXED, 0 }, N_IS(0), { READ_N, 1, 0, 0 },
	    SET_PMU(-EBUSY) } },
	{ "a vCPU initialised later gets no default PMU", PMU,
	  { SET_FIXED(0), SECOND_VCPU(PMU), { READ_N, 1, 0, 0 },
	    { SET, 1, KVM_ARM_VCPU_PMU_V3_SET_PMU, -EBUSY },
	    { SET, 1, KVM_ARM_VCPU_PMU_V3_INIT, 0 }, N_IS(0) } },
	{ "initialising a vCPU again changes nothing", PMU,
	  { SET_FIXED(0), { INIT_VCPU, 0, PMU }, N_IS(0), SET_INIT(0), { RUN },
	    { INIT_VCPU, 0, PMU }, N_IS(0), { RUN } } },
	{ "without the mode: the default PMU and its counters are as before", PMU,
	  { SET_PMU(0), SET_NR(1, 0), N_IS(1), SET_FILTER(0), SET_INIT(0), { RUN } } },
};

/* With EL2 for the guest, MDCR_EL2.HPMN tells how many counters EL1 has */
static const struct sequence el2_sequences[] = {
	{ "EL2: MDCR_EL2.HPMN is reset to 0", PMU | EL2,
	  { SET_FIXED(0), { READ_HPMN, 0, 0, 0 }, SECOND_VCPU(PMU | EL2),
	    { READ_HPMN, 1, 0, 0 }, N_IS(0) } },
	{ "EL2: MDCR_EL2.HPMN is reset to 0; strict", STRICT | EL2,
	  { SET_FIXED(0), { READ_HPMN, 0, 0, 0 }, { INIT_VCPU, 0, STRICT | EL2 },
	    { READ_HPMN, 0, 0, 0 }, N_IS(0) } },
	{ "EL2: PMCR_EL0.N is 0 whatever is written to MDCR_EL2.HPMN", PMU | EL2,
	  { SET_FIXED(0), { WRITE_HPMN, 0, 4, 0 }, N_IS(0) } },
	{ "EL2: setting it again leaves MDCR_EL2.HPMN as it is", PMU | EL2,
	  { SET_FIXED(0), { WRITE_HPMN, 0, 4, 0 }, SET_FIXED(0), { READ_HPMN, 0, 0, 4 } } },
};

static int set_attr(struct vm *vm, const struct step *step)
{
	struct kvm_pmu_event_filter filter = { .base_event = CPU_CYCLES, .nevents = 1,
					       .action = KVM_PMU_EVENT_ALLOW };
	unsigned int value = step->value;
	int type = pmus[0].type;

	switch (step->argument) {
	case KVM_ARM_VCPU_PMU_V3_SET_PMU:
		return vcpu_set_attr(vm, step->vcpu, step->argument, &type);
	case KVM_ARM_VCPU_PMU_V3_FILTER:
		return vcpu_set_attr(vm, step->vcpu, step->argument, &filter);
	default:
		return vcpu_set_attr(vm, step->vcpu, step->argument, &value);
	}
}

static int do_step(struct vm *vm, const struct step *step)
{
	int vcpu = step->vcpu;

	switch (step->call) {
	case CREATE:
		vcpu_create(vm, vcpu);
		return 0;
	case INIT_VCPU:
		return vcpu_init(vm, vcpu, step->argument);
	case SET:
		return set_attr(vm, step);
	case GET:
		return vcpu_get_attr(vm, vcpu, step->argument, NULL);
	case HAS:
		return vcpu_has_attr(vm, vcpu, step->argument);
	case RUN:
		return vcpu_touch(vm, vcpu);
	case WRITE_N:
		return vcpu_set_reg(vm, vcpu, REG_PMCR_EL0, step->argument << 11);
	case READ_N:
		return PMCR_N(vcpu_get_reg(vm, vcpu, REG_PMCR_EL0));
	case READ_HPMN:
		return vcpu_get_reg(vm, vcpu, REG_MDCR_EL2) & 0x1f;
	case WRITE_HPMN:
		return vcpu_set_reg(vm, vcpu, REG_MDCR_EL2, step->argument);
	case WRITE_SLOTS:
		return vcpu_set_reg(vm, vcpu, REG_PMMIR_EL1, step->argument);
	case END:
		break;
	}
	return 0;
}

static void test_sequence(const struct sequence *sequence)
{
	struct vm vm;
	bool ok;

	ok = equal("KVM_ARM_VCPU_INIT", vm_create_vcpu(&vm, sequence->features), 0);
	for (int i = 0; ok && i < MAX_STEPS && sequence->steps[i].call != END; i++) {
		int got = do_step(&vm, &sequence->steps[i]);

		ok = got == sequence->steps[i].expected;
		if (!ok)
			printf("# step %d: expected %d, got %d\n", i + 1,
			       sequence->steps[i].expected, got);
	}
	vm_destroy(&vm);
	result(ok, "%s", sequence->name);
}

static void test_sequences(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(sequences); i++)
		test_sequence(&sequences[i]);
}

static void test_capability(int expected)
{
	struct vm vm;
	bool ok;

	vm_create(&vm);
	ok = equal("of the system", capability(kvm_fd(), FIXED_CAPABILITY), expected);
	ok &= equal("of a VM", capability(vm.fd, FIXED_CAPABILITY), expected);
	vm_destroy(&vm);
	result(ok, "the capability, of the system and of a VM");
}

/* The attribute has no parameter, and KVM ignores the flags of all vCPU attributes. */
static void test_ignored(void)
{
	struct kvm_device_attr attr = {
		.flags = UINT32_MAX, .group = KVM_ARM_VCPU_PMU_V3_CTRL, .attr = FIXED,
		.addr = UINT64_MAX,
	};
	struct vm vm;
	bool ok;

	ok = equal("VCPU_INIT", vm_create_vcpu(&vm, PMU), 0);
	ok &= equal("HAS", ioctl(vm.vcpu[0], KVM_HAS_DEVICE_ATTR, &attr), 0);
	ok &= equal("SET", ioctl(vm.vcpu[0], KVM_SET_DEVICE_ATTR, &attr), 0);
	vm_destroy(&vm);
	result(ok, "the attribute has no parameter");
}

static atomic_int laps;
static atomic_bool stop;

static void *run_vcpu(void *argument)
{
	uint64_t value;

	while (!stop && vm_run(argument, &value) == GUEST_VALUE)
		laps++;
	return NULL;
}

static void test_running(void)
{
	pthread_t thread;
	struct vm vm;
	bool ok = true;
	int seen;

	vm_create(&vm);
	for (int i = 0; i < 2; i++) {
		vcpu_create(&vm, i);
		ok &= equal("VCPU_INIT", vcpu_init(&vm, i, PMU), 0);
	}
	ok &= equal("PMU INIT", vcpu_set_attr(&vm, 0, KVM_ARM_VCPU_PMU_V3_INIT, NULL), 0);
	vm_load(&vm, guest_program);
	set_argument(&vm, 3, LAP_TURNS);
	if (pthread_create(&thread, NULL, run_vcpu, &vm))
		die("starting a thread failed");
	/* If the guest hangs, so does this loop, until the time limit of the host */
	while (!laps)
		;
	seen = laps;
	ok &= equal("SET", vcpu_set_attr(&vm, 1, FIXED, NULL), -EBUSY);
	while (laps == seen)
		;
	stop = true;
	pthread_join(thread, NULL);
	vm_destroy(&vm);
	result(ok, "while another vCPU runs: -EBUSY");
}

static void test_announced(void)
{
	test_capability(1);
}

static void test_all(void)
{
	test_sequences();
	test_ignored();
	test_running();
}

/* The hypervisor gives protected VMs no PMU, but userspace can still ask for one. */
static void test_protected_vm(void)
{
	struct vm vm;
	bool ok;

	if (vm_try_create(&vm, KVM_VM_TYPE_ARM_PROTECTED))
		die("a protected VM cannot be created; this wants kvm-arm.mode=protected");
	ok = equal("KVM_CAP_ARM_PMU_V3", capability(vm.fd, KVM_CAP_ARM_PMU_V3), 0);
	ok &= equal("KVM_CAP_ARM_PMU_V3_FIXED_COUNTERS_ONLY",
		    capability(vm.fd, FIXED_CAPABILITY), 0);
	result(ok, "a protected VM has no PMU, and neither capability");

	vcpu_create(&vm, 0);
	ok = equal("KVM_ARM_VCPU_INIT", vcpu_init(&vm, 0, PMU), 0);
	ok &= equal("has", vcpu_has_attr(&vm, 0, FIXED), 0);
	ok &= equal("set", vcpu_set_attr(&vm, 0, FIXED, NULL), 0);
	ok &= equal("SET_PMU", vcpu_set_attr(&vm, 0, KVM_ARM_VCPU_PMU_V3_SET_PMU, &pmus[0].type),
		    -EBUSY);
	result(ok, "a protected VM can be given the mode as it can be given a PMU");
	vm_destroy(&vm);
}

static void test_protected(void)
{
	test_sequences();
	test_running();
	test_protected_vm();
}

static void test_nopmu(void)
{
	static const struct sequence sequence = {
		"without a PMU in the host the attribute is -ENODEV", 0,
		{ HAS_FIXED(-ENXIO), SET_FIXED(-ENODEV), { CREATE, 1 },
		  { INIT_VCPU, 1, PMU, -EINVAL },
		  { INIT_VCPU, 1, STRICT, -EINVAL }, { INIT_VCPU, 1, 0 },
		  { SET, 1, FIXED, -ENODEV } }
	};

	if (pmu_count)
		die("this host has a PMU");
	test_capability(0);
	test_sequence(&sequence);
}

static void test_nested(void)
{
	if (capability(kvm_fd(), KVM_CAP_ARM_EL2) <= 0)
		die("this host has no nested virtualisation; it wants kvm-arm.mode=nested");
	for (size_t i = 0; i < ARRAY_SIZE(el2_sequences); i++)
		test_sequence(&el2_sequences[i]);
}

static void test_missing(void)
{
	static const struct sequence sequence = {
		"the attribute is missing", PMU,
		{ HAS_FIXED(-ENXIO), SET_FIXED(-ENXIO), HAS_PMU(0), SET_PMU(0) }
	};

	test_capability(0);
	test_sequence(&sequence);
}

const struct group groups[] = {
	{ "all", test_all, 1 },
	{ "capability", test_announced, 1 },
	{ "nested", test_nested, 1 },
	{ "protected", test_protected, 1 },
	{ "nopmu", test_nopmu },
	{ "missing", test_missing, 1 },
	{ 0 }
};
