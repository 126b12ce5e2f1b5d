// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Claim: KVM_ARM_VCPU_PMU_V3_FIXED_COUNTERS_ONLY is what Documentation/virt/kvm/devices/vcpu.rst says: each error in each order,
 * what the guest and userspace see of the PMU, and a cycle counter that counts on all CPUs, loses nothing on the way from one
 * PMU to another, and raises its overflow interrupt once and on time. And: whoever does not use the attribute sees no change.
 *
 * How it can tell: under instruction counting (qemu -icount shift=0) each lap of the guest's loop takes the same number of
 * cycles, so the laps between moves must be equal to those without, to the cycle.
 *
 *   pmu-fixed             all tests, on a kernel that has the attribute; wants at least two CPU PMUs and instruction counting
 *   pmu-fixed nested      what concerns guests with EL2, on a host with kvm-arm.mode=nested
 *   pmu-fixed wraparound  overflows that are 2^32 cycles apart, for which instruction counting is too slow
 *   pmu-fixed missing     on a kernel without the attribute: that it says so, and that a counter stands still on some CPUs
 *
 * TAP on stdout.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "guest.h"
#include "vm.h"

#define PMU		(1 << KVM_ARM_VCPU_PMU_V3)
#define STRICT		(PMU | 1 << KVM_ARM_VCPU_PMU_V3_STRICT)
#define EL2		(1 << KVM_ARM_VCPU_HAS_EL2)

#define FIXED		KVM_ARM_VCPU_PMU_V3_FIXED_COUNTERS_ONLY
#define CPU_CYCLES	0x11

#define MAX_PMUS	8
#define MAX_STEPS	12
/* Turns of the guest's inner loop: a lap long enough to be told from a counter that stands still, short enough to do many */
#define LAP_TURNS	64
#define LAPS		200
#define SAVES		16
/* A lap is two instructions a turn, and less than this many around them */
#define LAP_OVERHEAD	16
/*
 * Under instruction counting a cycle is an instruction of any of the emulator's CPUs. When a host CPU that should be idle has
 * something to do during a lap, the lap gets longer; never shorter.
 */
#define NOISY_LAPS	(LAPS / 20)
/* Some times what a noisy lap was seen to be longer by */
#define NOISE		20000

static struct host_pmu pmus[MAX_PMUS];
static int pmu_count;
static uint64_t all_cpus;
static int tests, failures;

static void result(bool ok, const char *name)
{
	printf("%sok %d - %s\n", ok ? "" : "not ", ++tests, name);
	failures += !ok;
	fflush(stdout);
}

static void skip(const char *name, const char *reason)
{
	printf("ok %d - %s # SKIP %s\n", ++tests, name, reason);
}

/* Attributes and their order */

enum operation { END, CREATE, INIT_VCPU, SET, GET, HAS, RUN, WRITE_N, READ_N, READ_HPMN, WRITE_HPMN, WRITE_SLOTS };

struct step {
	enum operation operation;
	int vcpu;
	/* of INIT_VCPU the features, of SET, GET and HAS the attribute, of the others a number */
	int argument;
	int expected;
	/* of SET: what the attribute takes */
	unsigned int value;
};

struct sequence {
	const char *name;
	unsigned int features;
	/* Where a vCPU 0 with these features begins */
	struct step steps[MAX_STEPS];
};

#define SET_PMU(expected)	{ SET, 0, KVM_ARM_VCPU_PMU_V3_SET_PMU, expected }
#define SET_FILTER(expected)	{ SET, 0, KVM_ARM_VCPU_PMU_V3_FILTER, expected }
#define SET_NR(n, expected)	{ SET, 0, KVM_ARM_VCPU_PMU_V3_SET_NR_COUNTERS, expected, n }
#define SET_FIXED(expected)	{ SET, 0, FIXED, expected }
#define SET_INIT(expected)	{ SET, 0, KVM_ARM_VCPU_PMU_V3_INIT, expected }
#define GET_FIXED(expected)	{ GET, 0, FIXED, expected }
#define HAS_FIXED(expected)	{ HAS, 0, FIXED, expected }
#define HAS_PMU(expected)	{ HAS, 0, KVM_ARM_VCPU_PMU_V3_SET_PMU, expected }
#define N_IS(n)			{ READ_N, 0, 0, n }

static const struct sequence sequences[] = {
	{ "no PMU: the attribute is -ENODEV", 0, { HAS_FIXED(-ENXIO), SET_FIXED(-ENODEV), GET_FIXED(-ENXIO) } },
	{ "vCPU not initialised: -ENODEV", 0, { { CREATE, 1 }, { SET, 1, FIXED, -ENODEV }, { HAS, 1, FIXED, -ENXIO } } },
	{ "set, get, set again", PMU, { HAS_FIXED(0), GET_FIXED(-ENXIO), SET_FIXED(0), GET_FIXED(0), SET_FIXED(0), HAS_FIXED(0) } },
	{ "set, get, set again; strict", STRICT,
	  { HAS_FIXED(0), GET_FIXED(-ENXIO), SET_FIXED(0), GET_FIXED(0), SET_FIXED(0), HAS_FIXED(0) } },
	{ "after PMU INIT: -EBUSY", PMU, { SET_INIT(0), SET_FIXED(-EBUSY), GET_FIXED(-ENXIO) } },
	{ "PMU INIT after it", PMU, { SET_FIXED(0), SET_INIT(0), SET_FIXED(-EBUSY), GET_FIXED(0), SET_INIT(-EBUSY) } },
	{ "PMU INIT before any choice; strict: -ENXIO", STRICT, { SET_INIT(-ENXIO), SET_FIXED(0), SET_INIT(0) } },
	{ "PMU INIT of one vCPU leaves the choice to the others", PMU,
	  { { CREATE, 1 }, { INIT_VCPU, 1, PMU }, SET_INIT(0), { SET, 1, FIXED, 0 }, GET_FIXED(0), N_IS(0) } },
	{ "after a vCPU ran: -EBUSY", PMU, { SET_INIT(0), { RUN }, { CREATE, 1 }, { INIT_VCPU, 1, PMU }, { SET, 1, FIXED, -EBUSY }, GET_FIXED(-ENXIO) } },
	{ "set, run, set on another vCPU: -EBUSY", PMU,
	  { SET_FIXED(0), SET_INIT(0), { RUN }, { CREATE, 1 }, { INIT_VCPU, 1, PMU }, { SET, 1, FIXED, -EBUSY }, { GET, 1, FIXED, 0 } } },
	{ "after SET_PMU: -EBUSY", PMU, { SET_PMU(0), SET_FIXED(-EBUSY), GET_FIXED(-ENXIO), SET_PMU(0), SET_INIT(0) } },
	{ "after SET_PMU; strict: -EBUSY", STRICT, { SET_PMU(0), SET_FIXED(-EBUSY), GET_FIXED(-ENXIO), SET_PMU(0), SET_INIT(0) } },
	{ "after SET_PMU through another vCPU: -EBUSY", PMU,
	  { { CREATE, 1 }, { INIT_VCPU, 1, PMU }, { SET, 1, KVM_ARM_VCPU_PMU_V3_SET_PMU, 0 }, SET_FIXED(-EBUSY) } },
	{ "SET_PMU after it: -EBUSY", PMU, { SET_FIXED(0), SET_PMU(-EBUSY), GET_FIXED(0), HAS_PMU(0), N_IS(0) } },
	{ "SET_PMU after it; strict: -EBUSY", STRICT, { SET_FIXED(0), SET_PMU(-EBUSY), GET_FIXED(0), HAS_PMU(0), N_IS(0) } },
	{ "after a filter: -EBUSY", PMU, { SET_FILTER(0), SET_FIXED(-EBUSY), GET_FIXED(-ENXIO) } },
	{ "after SET_PMU and a filter; strict: -EBUSY", STRICT, { SET_FILTER(-ENXIO), SET_PMU(0), SET_FILTER(0), SET_FIXED(-EBUSY) } },
	{ "a filter after it: -EBUSY", PMU, { SET_FIXED(0), SET_FILTER(-EBUSY), GET_FIXED(0) } },
	{ "a filter after it; strict: -EBUSY", STRICT, { SET_FIXED(0), SET_FILTER(-EBUSY), GET_FIXED(0), SET_INIT(0) } },
	{ "number of counters after it: only 0", PMU, { SET_FIXED(0), SET_NR(1, -EINVAL), SET_NR(0, 0), SET_NR(31, -EINVAL), N_IS(0) } },
	{ "number of counters after it; strict: only 0", STRICT, { SET_FIXED(0), SET_NR(1, -EINVAL), SET_NR(0, 0), N_IS(0) } },
	{ "number of counters before it is forgotten", PMU, { SET_NR(2, 0), N_IS(2), SET_FIXED(0), N_IS(0) } },
	{ "number of counters before any choice; strict: -EINVAL", STRICT, { SET_NR(0, -EINVAL), SET_FIXED(0), SET_NR(0, 0) } },
	{ "PMCR_EL0.N cannot be written", PMU, { SET_FIXED(0), N_IS(0), { WRITE_N, 0, 4 }, N_IS(0), { WRITE_N, 0, 0 }, N_IS(0) } },
	{ "PMCR_EL0.N cannot be written; strict", STRICT, { SET_FIXED(0), { WRITE_N, 0, 4 }, N_IS(0) } },
	{ "PMMIR_EL1.SLOTS takes only 0", PMU, { SET_FIXED(0), { WRITE_SLOTS, 0, 4, -EINVAL }, { WRITE_SLOTS, 0, 0, 0 } } },
	{ "PMMIR_EL1.SLOTS takes only 0; strict", STRICT, { SET_FIXED(0), { WRITE_SLOTS, 0, 4, -EINVAL }, { WRITE_SLOTS, 0, 0, 0 } } },
	{ "set through a second vCPU, seen by all", PMU,
	  { { CREATE, 1 }, { INIT_VCPU, 1, PMU }, { SET, 1, FIXED, 0 }, GET_FIXED(0), N_IS(0), { READ_N, 1, 0, 0 }, SET_PMU(-EBUSY) } },
	{ "a vCPU initialised later gets no default PMU", PMU,
	  { SET_FIXED(0), { CREATE, 1 }, { INIT_VCPU, 1, PMU }, { GET, 1, FIXED, 0 }, { READ_N, 1, 0, 0 },
	    { SET, 1, KVM_ARM_VCPU_PMU_V3_SET_PMU, -EBUSY }, { SET, 1, KVM_ARM_VCPU_PMU_V3_INIT, 0 }, N_IS(0) } },
	{ "initialising a vCPU again changes nothing", PMU,
	  { SET_FIXED(0), { INIT_VCPU, 0, PMU }, GET_FIXED(0), N_IS(0), SET_INIT(0), { RUN }, { INIT_VCPU, 0, PMU }, GET_FIXED(0), N_IS(0), { RUN } } },
	{ "unused: the default PMU and its counters are as before", PMU, { SET_PMU(0), SET_NR(2, 0), N_IS(2), SET_FILTER(0), SET_INIT(0), { RUN } } },
};

/* With EL2 for the guest, MDCR_EL2.HPMN tells how many counters EL1 has */
static const struct sequence el2_sequences[] = {
	{ "EL2: MDCR_EL2.HPMN is reset to 0", PMU | EL2,
	  { SET_FIXED(0), { READ_HPMN, 0, 0, 0 }, { CREATE, 1 }, { INIT_VCPU, 1, PMU | EL2 }, { READ_HPMN, 1, 0, 0 }, N_IS(0) } },
	{ "EL2: MDCR_EL2.HPMN is reset to 0; strict", STRICT | EL2,
	  { SET_FIXED(0), { READ_HPMN, 0, 0, 0 }, { INIT_VCPU, 0, STRICT | EL2 }, { READ_HPMN, 0, 0, 0 }, N_IS(0) } },
	{ "EL2: PMCR_EL0.N is 0 whatever is written to MDCR_EL2.HPMN", PMU | EL2, { SET_FIXED(0), { WRITE_HPMN, 0, 4, 0 }, N_IS(0) } },
};

static int set_attr(struct vm *vm, const struct step *step)
{
	struct kvm_pmu_event_filter filter = { .base_event = CPU_CYCLES, .nevents = 1, .action = KVM_PMU_EVENT_ALLOW };
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

	switch (step->operation) {
	case CREATE:
		vcpu_create(vm, vcpu);
		return 0;
	case INIT_VCPU:
		return vcpu_init(vm, vcpu, step->argument);
	case SET:
		return set_attr(vm, step);
	case GET:
		return vcpu_get_attr(vm, vcpu, step->argument);
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
	bool ok = true;

	vm_create(&vm);
	vcpu_create(&vm, 0);
	if (vcpu_init(&vm, 0, sequence->features))
		die("KVM_ARM_VCPU_INIT with features 0x%x failed", sequence->features);
	for (int i = 0; ok && i < MAX_STEPS && sequence->steps[i].operation != END; i++) {
		int got = do_step(&vm, &sequence->steps[i]);

		ok = got == sequence->steps[i].expected;
		if (!ok)
			printf("# step %d: expected %d, got %d\n", i + 1, sequence->steps[i].expected, got);
	}
	vm_destroy(&vm);
	result(ok, sequence->name);
}

static void test_sequences(void)
{
	for (size_t i = 0; i < sizeof(sequences) / sizeof(*sequences); i++)
		test_sequence(&sequences[i]);
}

static void test_capability(int expected)
{
	struct vm vm;
	int of_system, of_vm;

	vm_create(&vm);
	of_system = ioctl(kvm_fd(), KVM_CHECK_EXTENSION, KVM_CAP_ARM_PMU_V3_FIXED_COUNTERS_ONLY);
	of_vm = ioctl(vm.fd, KVM_CHECK_EXTENSION, KVM_CAP_ARM_PMU_V3_FIXED_COUNTERS_ONLY);
	vm_destroy(&vm);
	printf("# expected %d, got %d for the system and %d for the VM\n", expected, of_system, of_vm);
	result(of_system == expected && of_vm == expected, "the capability, of the system and of a VM");
}

/* Guests */

enum backing { BACKED_BY_DEFAULT, BACKED_BY_PMU, BACKED_BY_FIXED };

static void guest_create(struct vm *vm, unsigned int features, enum backing backing, const char *entry)
{
	int irq = GUEST_PMU_PPI, type = pmus[0].type, status = 0;

	vm_create(vm);
	vcpu_create(vm, 0);
	if (vcpu_init(vm, 0, features))
		die("KVM_ARM_VCPU_INIT with features 0x%x failed", features);
	vm_create_gic(vm);
	if (backing == BACKED_BY_PMU)
		status = vcpu_set_attr(vm, 0, KVM_ARM_VCPU_PMU_V3_SET_PMU, &type);
	else if (backing == BACKED_BY_FIXED)
		status = vcpu_set_attr(vm, 0, FIXED, NULL);
	if (status || vcpu_set_attr(vm, 0, KVM_ARM_VCPU_PMU_V3_IRQ, &irq) || vcpu_set_attr(vm, 0, KVM_ARM_VCPU_PMU_V3_INIT, NULL))
		die("setting the PMU up failed");
	vm_load(vm, entry);
}

static void set_argument(struct vm *vm, int number, uint64_t value)
{
	if (vcpu_set_reg(vm, 0, REG_CORE(regs.regs[0]) + number * 2, value))
		die("setting x%d failed", number);
}

static void counter_create(struct vm *vm, enum backing backing, uint64_t pmcr, uint64_t start, uint64_t turns)
{
	guest_create(vm, PMU, backing, guest_count);
	set_argument(vm, 0, pmcr);
	set_argument(vm, 1, start);
	set_argument(vm, 2, PMU_CYCLE_BIT);
	set_argument(vm, 3, turns);
	set_argument(vm, 6, pmcr);
}

static bool next_value(struct vm *vm, uint64_t *value)
{
	unsigned int reason;
	int offset = vm_run(vm, value, &reason);

	if (offset == GUEST_VALUE)
		return true;
	printf("# expected a value, got offset %d, KVM exit %u, value 0x%llx\n", offset, reason, (unsigned long long)*value);
	return false;
}

static uint64_t first_value(struct vm *vm)
{
	uint64_t value;

	if (!next_value(vm, &value))
		die("the guest reports no value");
	return value;
}

/* The difference between two reports of a guest that stays on a CPU: the smallest of some, as others are noisy */
static uint64_t lap_length(struct vm *vm)
{
	uint64_t last = first_value(vm), value, length = ~0ULL;

	for (int i = 0; i < 5; i++) {
		value = first_value(vm);
		if (value - last < length)
			length = value - last;
		last = value;
	}
	return length;
}

static void test_identity(unsigned int features, const char *name)
{
	static const struct { const char *name; uint64_t mask, expected; } registers[] = {
		{ "PMCR_EL0.N", 0x1f << 11, 0 },
		{ "PMCEID0_EL0", ~0ULL, 1 << CPU_CYCLES },
		{ "PMCEID1_EL0", ~0ULL, 0 },
		{ "PMMIR_EL1", ~0ULL, 0 },
		{ "PMCNTENSET_EL0 after writing all bits", ~0ULL, PMU_CYCLE_BIT },
	};
	struct vm vm;
	bool ok = true;

	guest_create(&vm, features, BACKED_BY_FIXED, guest_identify);
	for (size_t i = 0; i < sizeof(registers) / sizeof(*registers); i++) {
		uint64_t value = first_value(&vm);

		if ((value & registers[i].mask) == registers[i].expected)
			continue;
		printf("# %s: expected 0x%llx, got 0x%llx\n", registers[i].name, (unsigned long long)registers[i].expected,
		       (unsigned long long)value);
		ok = false;
	}
	vm_destroy(&vm);
	result(ok, name);
}

static void test_undefined(const char *entry, const char *name)
{
	unsigned int reason;
	uint64_t esr = ~0ULL;
	struct vm vm;
	int offset;

	guest_create(&vm, PMU, BACKED_BY_FIXED, entry);
	offset = vm_run(&vm, &esr, &reason);
	vm_destroy(&vm);
	/* Exception class 0: unknown reason, which is what an undefined register is */
	printf("# expected offset %d with class 0, got %d with ESR_EL1 0x%llx\n", GUEST_EXCEPTION, offset, (unsigned long long)esr);
	result(offset == GUEST_EXCEPTION && esr >> 26 == 0, name);
}

/* Moves: each returns where the vCPU goes before lap i */

static uint64_t every_cpu(int i)
{
	int cpu = 0;

	for (i %= __builtin_popcountll(all_cpus); !(all_cpus >> cpu & 1) || i--; cpu++)
		;
	return 1ULL << cpu;
}

static uint64_t every_pmu(int i)
{
	return pmus[i % pmu_count].cpus;
}

static uint64_t within_pmu(int i)
{
	uint64_t cpus = pmus[0].cpus;

	return i & 1 ? cpus & (cpus - 1) ?: cpus : cpus & -cpus;
}

/* From one CPU to all of them: affinity that grows when the events have long been there */
static uint64_t growing(int i)
{
	return i < LAPS / 2 ? pmus[0].cpus & -pmus[0].cpus : all_cpus;
}

/* Laps that have to be LENGTH long: LAST is the counter at the end of the latest */
struct laps {
	uint64_t length, last;
	int shorter, longer;
};

static void run_lap(struct laps *laps, struct vm *vm, int number)
{
	uint64_t value = first_value(vm), cycles = value - laps->last;

	if (cycles != laps->length)
		printf("# lap %d: expected %llu cycles, got %llu\n", number, (unsigned long long)laps->length,
		       (unsigned long long)cycles);
	laps->shorter += cycles < laps->length;
	laps->longer += cycles > laps->length;
	laps->last = value;
}

/* Are all laps LENGTH long, but for the NOISY_LAPS? */
static bool laps_are_equal(struct vm *vm, uint64_t length, uint64_t (*where)(int))
{
	uint64_t start = first_value(vm);
	struct laps laps = { .length = length, .last = start };

	for (int i = 0; i < LAPS; i++) {
		pin_to(where(i));
		run_lap(&laps, vm, i);
	}
	printf("# %llu of %llu cycles over %d laps\n", (unsigned long long)(laps.last - start), (unsigned long long)length * LAPS,
	       LAPS);
	return !laps.shorter && laps.longer <= NOISY_LAPS;
}

static void test_moves(uint64_t (*where)(int), const char *name)
{
	uint64_t length;
	struct vm vm;
	bool equal;

	pin_to(pmus[0].cpus & -pmus[0].cpus);
	counter_create(&vm, BACKED_BY_FIXED, PMCR_E | PMCR_LC, 0, LAP_TURNS);
	length = lap_length(&vm);
	equal = laps_are_equal(&vm, length, where);
	vm_destroy(&vm);
	pin_to(all_cpus);
	if (length < 2 * LAP_TURNS || length > 2 * LAP_TURNS + LAP_OVERHEAD)
		printf("# a lap is %llu cycles, expected %d to %d; is this instruction counting?\n", (unsigned long long)length,
		       2 * LAP_TURNS, 2 * LAP_TURNS + LAP_OVERHEAD);
	result(equal && length >= 2 * LAP_TURNS && length <= 2 * LAP_TURNS + LAP_OVERHEAD, name);
}

/* Moves while in KVM_RUN: another thread does them, until told to stop. */
struct mover {
	pthread_t thread;
	pthread_t target;
	/* Microseconds between two moves, at most */
	unsigned int pause;
	volatile bool stop;
	unsigned int moves;
};

static void *move_target(void *argument)
{
	struct mover *mover = argument;

	while (!mover->stop) {
		uint64_t cpus = every_pmu(mover->moves);
		cpu_set_t set;

		CPU_ZERO(&set);
		for (int cpu = 0; cpu < 64; cpu++)
			if (cpus >> cpu & 1)
				CPU_SET(cpu, &set);
		pthread_setaffinity_np(mover->target, sizeof(set), &set);
		mover->moves++;
		/* All but even, so that moves meet the vCPU anywhere */
		usleep(mover->moves * 7919 % mover->pause);
	}
	return NULL;
}

static void test_moves_in_guest(void)
{
	/*
	 * A lap is 10 ms at one instruction a nanosecond, which makes for several moves. The thread that moves makes all laps
	 * noisy, see NOISY_LAPS. But what the guest executes is a lower bound.
	 */
	const uint64_t turns = 5000000, laps = 20, executed = laps * 2 * turns;
	struct mover mover = { .target = pthread_self(), .pause = 2000 };
	uint64_t total, start;
	struct vm vm;

	pin_to(pmus[0].cpus);
	counter_create(&vm, BACKED_BY_FIXED, PMCR_E | PMCR_LC, 0, turns);
	start = total = first_value(&vm);
	if (pthread_create(&mover.thread, NULL, move_target, &mover))
		die("starting a thread failed");
	for (uint64_t i = 0; i < laps; i++)
		total = first_value(&vm) - start;
	mover.stop = true;
	pthread_join(mover.thread, NULL);
	vm_destroy(&vm);
	pin_to(all_cpus);
	printf("# %llu moves, expected at least %llu cycles, got %llu\n", (unsigned long long)mover.moves, (unsigned long long)executed,
	       (unsigned long long)total);
	result(mover.moves >= laps && total >= executed && total < executed + executed / 10, "counts when moved while the guest runs");
}

/* The guest programs the counter all the time, so that it is moved while KVM creates and releases events. */
static void test_moves_while_programming(void)
{
	const uint64_t turns = 1000, laps = 10000;
	struct mover mover = { .target = pthread_self(), .pause = 100 };
	uint64_t value, least = ~0ULL;
	struct vm vm;

	pin_to(pmus[0].cpus);
	guest_create(&vm, PMU, BACKED_BY_FIXED, guest_program);
	set_argument(&vm, 3, turns);
	if (pthread_create(&mover.thread, NULL, move_target, &mover))
		die("starting a thread failed");
	for (uint64_t i = 0; i < laps; i++) {
		value = first_value(&vm);
		if (value < least)
			least = value;
	}
	mover.stop = true;
	pthread_join(mover.thread, NULL);
	vm_destroy(&vm);
	pin_to(all_cpus);
	printf("# %u moves, expected at least %llu cycles, got %llu\n", mover.moves, (unsigned long long)(2 * turns),
	       (unsigned long long)least);
	result(mover.moves >= laps / 50 && least >= 2 * turns, "counts when moved while the guest programs the counter");
}

static void set_online(int cpu, bool online)
{
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "/sys/devices/system/cpu/cpu%d/online", cpu);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0 || write(fd, online ? "1" : "0", 1) != 1)
		die("setting CPU %d %s failed", cpu, online ? "online" : "offline");
	close(fd);
}

static void test_hotplug(void)
{
	const char *name = "counts exactly when the CPUs below it go offline and come back";
	struct host_pmu *away = &pmus[pmu_count - 1];
	uint64_t length, start, value;
	struct vm vm;
	int i;

	if (away->cpus & 1) {
		away = &pmus[0];
	}
	pin_to(away->cpus);
	counter_create(&vm, BACKED_BY_FIXED, PMCR_E | PMCR_LC, 0, LAP_TURNS);
	length = lap_length(&vm);
	start = first_value(&vm);
	for (i = 0; i < 4; i++) {
		for (int cpu = 0; cpu < 64; cpu++)
			if (away->cpus >> cpu & 1)
				set_online(cpu, i & 1);
		pin_to(i & 1 ? away->cpus : all_cpus & ~away->cpus);
		value = first_value(&vm);
	}
	vm_destroy(&vm);
	pin_to(all_cpus);
	printf("# %s away: expected %llu cycles, got %llu\n", away->name, (unsigned long long)(4 * length),
	       (unsigned long long)(value - start));
	/* The host has a lot to do here */
	result(value - start >= 4 * length && value - start < 4 * (length + NOISE), name);
}

static void test_save_restore(void)
{
	static const uint64_t registers[] = {
		REG_PMCR_EL0, REG_PMCNTENSET_EL0, REG_PMINTENSET_EL1, REG_PMOVSSET_EL0, REG_PMCCFILTR_EL0, REG_PMCCNTR_EL0,
	};
	const size_t count = sizeof(registers) / sizeof(*registers);
	uint64_t saved[sizeof(registers) / sizeof(*registers)];
	struct laps laps = { 0 };
	struct vm vm;

	pin_to(pmus[0].cpus);
	counter_create(&vm, BACKED_BY_FIXED, PMCR_E | PMCR_LC, 0x123456789a, LAP_TURNS);
	laps.length = lap_length(&vm);
	laps.last = first_value(&vm);
	for (int i = 0; i < SAVES; i++) {
		pin_to(every_pmu(i));
		for (size_t j = 0; j < count; j++)
			saved[j] = vcpu_get_reg(&vm, 0, registers[j]);
		for (size_t j = 0; j < count; j++)
			if (vcpu_set_reg(&vm, 0, registers[j], saved[j]))
				die("writing back a register of the PMU failed");
		run_lap(&laps, &vm, i);
	}
	vm_destroy(&vm);
	pin_to(all_cpus);
	result(!laps.shorter && laps.longer <= SAVES / 4, "userspace saves and restores it exactly, moves in between");
}

struct overflow {
	const char *name;
	/* PMCR_EL0 when the counter is written, and afterwards */
	uint64_t first_pmcr, pmcr;
	uint64_t start;
	/* Cycles from start to the overflow, 0 when there is none */
	uint64_t due;
};

/* Due after some laps, so that the vCPU has moved before */
#define OVERFLOW_DUE	5000
#define OVERFLOW_ATTEMPTS	3

static const struct overflow overflows[] = {
	{ "32-bit overflow: one interrupt, on time", PMCR_E, PMCR_E, (1ULL << 32) - OVERFLOW_DUE, OVERFLOW_DUE },
	{ "32-bit overflow of a large value: one interrupt, on time", PMCR_E, PMCR_E, (7ULL << 32) - OVERFLOW_DUE, OVERFLOW_DUE },
	{ "64-bit overflow: one interrupt, on time", PMCR_E | PMCR_LC, PMCR_E | PMCR_LC, 0ULL - OVERFLOW_DUE, OVERFLOW_DUE },
	{ "64-bit overflow: none at 2^32", PMCR_E | PMCR_LC, PMCR_E | PMCR_LC, (1ULL << 32) - OVERFLOW_DUE, 0 },
	{ "64-bit overflow after all: none at 2^32", PMCR_E, PMCR_E | PMCR_LC, (1ULL << 32) - OVERFLOW_DUE, 0 },
	{ "32-bit overflow after all: one interrupt, on time", PMCR_E | PMCR_LC, PMCR_E, (1ULL << 32) - OVERFLOW_DUE, OVERFLOW_DUE },
};

/* How late the interrupt is; -1 when it comes early, not once or not at all. An overflow without a due time is never late. */
static int64_t measure_overflow(const struct overflow *overflow, uint64_t (*where)(int), uint64_t *length)
{
	int offset, laps = 0, interrupts = 0;
	uint64_t value, at = 0;
	unsigned int reason;
	struct vm vm;

	pin_to(pmus[0].cpus & -pmus[0].cpus);
	counter_create(&vm, BACKED_BY_FIXED, overflow->pmcr, overflow->start, LAP_TURNS);
	set_argument(&vm, 0, overflow->first_pmcr);
	*length = lap_length(&vm);
	while (laps < LAPS) {
		pin_to(where(laps));
		offset = vm_run(&vm, &value, &reason);
		if (offset != GUEST_IRQ && offset != GUEST_VALUE)
			die("the guest stopped: offset %d, KVM exit %u, value 0x%llx", offset, reason, (unsigned long long)value);
		laps += offset == GUEST_VALUE;
		if (offset != GUEST_IRQ)
			continue;
		interrupts++;
		at = value - overflow->start;
	}
	vm_destroy(&vm);
	pin_to(all_cpus);
	printf("# %d interrupts in %d laps, the last at %llu, due at %llu\n", interrupts, laps, (unsigned long long)at,
	       (unsigned long long)overflow->due);
	if (!overflow->due)
		return interrupts ? -1 : 0;
	return interrupts == 1 && at >= overflow->due ? (int64_t)(at - overflow->due) : -1;
}

/* On time is before the lap is over in which the overflow is due; that lap may be a noisy one, but not each time. */
static void test_overflow(const struct overflow *overflow, uint64_t (*where)(int), const char *how)
{
	bool on_time = false, ok = true;
	uint64_t length;
	char name[128];

	for (int i = 0; ok && !on_time && i < OVERFLOW_ATTEMPTS; i++) {
		int64_t late = measure_overflow(overflow, where, &length);

		ok = late >= 0;
		on_time = late < (int64_t)length;
	}
	snprintf(name, sizeof(name), "%s, %s", overflow->name, how);
	result(ok && on_time, name);
}

static void test_overflows(void)
{
	for (size_t i = 0; i < sizeof(overflows) / sizeof(*overflows); i++) {
		test_overflow(&overflows[i], within_pmu, "within a PMU");
		test_overflow(&overflows[i], every_pmu, "across PMUs");
	}
}

/* Two overflows, 2^32 cycles apart; the first one comes early, unless the counter starts at 0. */
static void test_wraparound(uint64_t start, enum backing backing, const char *name)
{
	/* A tenth of a second in each PMU; the counter runs at 1 GHz in the emulator, so the handler sees little more than 0 */
	const uint64_t turns = 1000000, late = 1ULL << 28, end = 2;
	uint64_t value = 0;
	int offset, laps = 0, interrupts = 0, bad = 0;
	unsigned int reason;
	struct vm vm;

	pin_to(pmus[0].cpus);
	counter_create(&vm, backing, PMCR_E, start, turns);
	while (value >> 32 < end || (uint32_t)value < late) {
		if (backing == BACKED_BY_FIXED)
			pin_to(every_pmu(laps++));
		offset = vm_run(&vm, &value, &reason);
		if (offset == GUEST_EXCEPTION || offset < 0)
			die("the guest stopped: offset %d, KVM exit %u, value 0x%llx", offset, reason, (unsigned long long)value);
		if (offset != GUEST_IRQ)
			continue;
		interrupts++;
		bad += (uint32_t)value >= late;
		printf("# interrupt %d with the counter at 0x%llx\n", interrupts, (unsigned long long)value);
	}
	vm_destroy(&vm);
	pin_to(all_cpus);
	printf("# expected 2 interrupts each right after a wrap, got %d, %d elsewhere\n", interrupts, bad);
	result(interrupts == 2 && !bad, name);
}

/* What is there without the attribute, and is to stay */

static void test_default_pmu(void)
{
	uint64_t first, second, length;
	struct vm vm;

	pin_to(pmus[0].cpus);
	counter_create(&vm, BACKED_BY_DEFAULT, PMCR_E | PMCR_LC, 0, LAP_TURNS);
	length = lap_length(&vm);
	pin_to(pmus[1].cpus);
	first_value(&vm);
	first = first_value(&vm);
	second = first_value(&vm);
	vm_destroy(&vm);
	pin_to(all_cpus);
	printf("# default PMU: a lap is %llu cycles on its CPUs, expected 0 on others, got %llu\n", (unsigned long long)length,
	       (unsigned long long)(second - first));
	result(length >= 2 * LAP_TURNS && first == second, "unused: the default PMU counts on its CPUs, and stands still elsewhere");
}

static void test_set_pmu(void)
{
	unsigned int reason;
	uint64_t value;
	struct vm vm;
	int offset;

	pin_to(pmus[0].cpus);
	counter_create(&vm, BACKED_BY_PMU, PMCR_E | PMCR_LC, 0, LAP_TURNS);
	first_value(&vm);
	pin_to(pmus[1].cpus);
	offset = vm_run(&vm, &value, &reason);
	vm_destroy(&vm);
	pin_to(all_cpus);
	printf("# SET_PMU: expected KVM exit %d elsewhere, got %u with offset %d\n", KVM_EXIT_FAIL_ENTRY, reason, offset);
	result(reason == KVM_EXIT_FAIL_ENTRY, "unused: after SET_PMU a vCPU does not run on other CPUs");
}

static void test_unused(void)
{
	if (pmu_count < 2) {
		skip("unused: the default PMU counts on its CPUs, and stands still elsewhere", "this host has one CPU PMU");
		skip("unused: after SET_PMU a vCPU does not run on other CPUs", "this host has one CPU PMU");
		return;
	}
	test_default_pmu();
	test_set_pmu();
}

static void test_all(void)
{
	test_capability(1);
	test_sequences();
	test_identity(PMU, "the guest sees the cycle counter alone");
	test_identity(STRICT, "the guest sees the cycle counter alone; strict");
	test_undefined(guest_event_counter, "event counters are undefined");
	test_undefined(guest_selected_counter, "event counters are undefined when selected by PMSELR_EL0");
	test_moves(within_pmu, "counts exactly within a PMU");
	test_moves(every_pmu, "counts exactly across PMUs");
	test_moves(every_cpu, "counts exactly on all CPUs");
	test_moves(growing, "counts exactly when the affinity grows");
	test_moves_in_guest();
	test_moves_while_programming();
	test_hotplug();
	test_save_restore();
	test_overflows();
	test_unused();
}

static void test_nested(void)
{
	if (ioctl(kvm_fd(), KVM_CHECK_EXTENSION, KVM_CAP_ARM_EL2) <= 0)
		die("this host has no nested virtualisation; it wants kvm-arm.mode=nested");
	for (size_t i = 0; i < sizeof(el2_sequences) / sizeof(*el2_sequences); i++)
		test_sequence(&el2_sequences[i]);
}

static void test_missing(void)
{
	static const struct sequence sequence = {
		"the attribute is missing", PMU, { HAS_FIXED(-ENXIO), SET_FIXED(-ENXIO), GET_FIXED(-ENXIO), HAS_PMU(0), SET_PMU(0) }
	};

	test_capability(0);
	test_sequence(&sequence);
	test_unused();
}

static void test_wraparounds(void)
{
	const uint64_t early = (1ULL << 32) - (1ULL << 28);

	test_wraparound(early, BACKED_BY_DEFAULT, "unused: 32-bit overflows of the default PMU, right after each wrap");
	test_wraparound(0, BACKED_BY_DEFAULT, "unused: 32-bit overflows of the default PMU from 0, right after each wrap");
	test_wraparound(early, BACKED_BY_FIXED, "32-bit overflows: right after each wrap, across PMUs");
	test_wraparound(0, BACKED_BY_FIXED, "32-bit overflows from 0: right after each wrap, across PMUs");
}

static const struct { const char *name; void (*run)(void); } groups[] = {
	{ "all", test_all },
	{ "missing", test_missing },
	{ "nested", test_nested },
	{ "wraparound", test_wraparounds },
};

int main(int argc, char **argv)
{
	const char *wanted = argc > 1 ? argv[1] : "all";

	pmu_count = host_pmus(pmus, MAX_PMUS);
	if (!pmu_count)
		die("this host has no CPU PMU");
	for (int i = 0; i < pmu_count; i++) {
		printf("# PMU %s, type %d, CPUs 0x%llx\n", pmus[i].name, pmus[i].type, (unsigned long long)pmus[i].cpus);
		all_cpus |= pmus[i].cpus;
	}
	for (size_t i = 0; i < sizeof(groups) / sizeof(*groups); i++) {
		if (strcmp(groups[i].name, wanted))
			continue;
		groups[i].run();
		printf("1..%d\n", tests);
		return failures != 0;
	}
	fprintf(stderr, "pmu-fixed: error: unknown group '%s'; give all, missing, nested or wraparound\n", wanted);
	return 2;
}
