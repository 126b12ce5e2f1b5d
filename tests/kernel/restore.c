// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Claim: with fixed counters only, userspace reads and writes the registers of the cycle counter
 * exactly, whether it counts or not: before the vCPU first runs, between runs, and in another VM,
 * while the vCPU moves. The counter then does what the registers say.
 *
 * How it can tell: each step of the guest is compared with a model, see steps.h, which follows what
 * userspace writes.
 *
 *   restore all      all tests, in the exact host
 *   restore nested   guests with EL2, on a host with kvm-arm.mode=nested
 */
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "steps.h"

#define STEPS		400
#define RESTORES	20

/* In an order that differs with each START, as no order is documented */
static void restore(struct stepper *stepper, const struct saved *saved, int start)
{
	for (int i = 0; i < PMU_REGISTERS; i++) {
		int j = (start + i) % PMU_REGISTERS;

		write_register(stepper, pmu_registers[j], saved->values[j]);
	}
}

static void create(struct stepper *stepper, unsigned int features)
{
	stepper_create(stepper, features, BACKED_BY_FIXED);
	stepper->where = every_pmu;
}

static void finish(struct stepper *stepper, bool ok, const char *name)
{
	printf("# %d runs, counter at 0x%lx\n", stepper->runs, stepper->model.value);
	stepper_destroy(stepper);
	result(ok, "%s", name);
}

/*
 * A random value, out of those that make a difference. Half of the counters overflow soon, at 32
 * bits or at 64.
 */
static uint64_t random_value(uint64_t reg, uint64_t random)
{
	switch (reg) {
	case REG_PMCR_EL0:
		/* And a number of counters, which is ignored */
		return (random & 3 ? PMCR_E : 0) | (random & 4 ? PMCR_LC : 0) |
		       (random >> 8 & 0x1f) << 11;
	case REG_PMCCFILTR_EL0:
		return random & 4 ? 0 : (random & 3) << 30;
	case REG_PMCCNTR_EL0:
		return random & 1 ? random : (random & 2 ? 1ULL << 32 : 0) - (random >> 8 & 0x3ff);
	default:
		return random & 3 ? PMU_CYCLE_BIT : 0;
	}
}

/* All registers except PMINTENSET_EL1, as the model has no interrupts */
static void write_at_random(struct stepper *stepper, uint64_t *seed)
{
	for (int i = 0; i < PMU_REGISTERS; i++)
		if (pmu_registers[i] != REG_PMINTENSET_EL1)
			write_register(stepper, pmu_registers[i],
				       random_value(pmu_registers[i], next_random(seed)));
}

static void test_writes(void)
{
	/* Without PMINTENSET_EL1, as the model has no interrupts */
	static const uint64_t written[] = { REG_PMCR_EL0, REG_PMCNTENSET_EL0, REG_PMOVSSET_EL0,
					    REG_PMCCFILTR_EL0, REG_PMCCNTR_EL0 };
	struct stepper stepper;
	uint64_t seed = 1;
	bool ok = true;

	create(&stepper, PMU);
	for (int i = 0; ok && i < STEPS; i++) {
		uint64_t reg = written[next_random(&seed) % ARRAY_SIZE(written)];

		write_register(&stepper, reg, random_value(reg, next_random(&seed)));
		ok = check_registers(&stepper) &&
			check_step(&stepper, OP_NONE, 0,
				   next_random(&seed) & 1 ? AT_EL0 : AT_EL1) &&
		     check_registers(&stepper);
	}
	finish(&stepper, ok, "what userspace writes between runs is followed exactly");
}

static void test_same_vm(void)
{
	struct stepper stepper;
	bool ok = true;

	create(&stepper, PMU);
	for (int i = 0; ok && i < STEPS; i++) {
		struct saved saved = save_registers(&stepper.vm, 0);

		restore(&stepper, &saved, i);
		ok = check_registers(&stepper) &&
			check_step(&stepper, OP_NONE, 0, i & 1 ? AT_EL0 : AT_EL1);
	}
	finish(&stepper, ok, "saved and restored between runs, it counts on exactly");
}

static bool goes_on(struct stepper *stepper)
{
	return check_registers(stepper) && check_step(stepper, OP_NONE, 0, AT_EL1) &&
	       check_step(stepper, OP_NONE, 0, AT_EL0) && check_registers(stepper);
}

/* The counter of a new VM goes on where that of the last VM stopped, and overflows there. */
static void test_fresh_vms(void)
{
	uint64_t seed = 3;
	bool ok = true;

	for (int i = 0; ok && i < RESTORES; i++) {
		struct stepper old, fresh;
		struct saved saved;

		create(&old, PMU);
		write_at_random(&old, &seed);
		ok = goes_on(&old);
		saved = save_registers(&old.vm, 0);
		/*
		 * The old VM must be gone: the events of one thread share a CPU's counters, and
		 * some PMUs have only one for cycles.
		 */
		stepper_destroy(&old);
		create(&fresh, PMU);
		restore(&fresh, &saved, i);
		ok = ok && goes_on(&fresh);
		stepper_destroy(&fresh);
	}
	result(ok, "restored into another VM, it counts on exactly");
}

/* As migration does: the process that saved is gone. */
static void test_fresh_process(void)
{
	struct stepper stepper;
	struct saved saved;
	int pipes[2], status;
	bool ok = true;

	if (pipe(pipes))
		die("making a pipe failed");
	fflush(stdout);
	if (!fork()) {
		create(&stepper, PMU);
		write_register(&stepper, REG_PMCCNTR_EL0, 0x123456789a);
		ok = check_step(&stepper, OP_NONE, 0, AT_EL1);
		saved = save_registers(&stepper.vm, 0);
		fflush(stdout);
		_exit(!ok || write(pipes[1], &saved, sizeof(saved)) != sizeof(saved));
	}
	if (wait(&status) < 0 || status || read(pipes[0], &saved, sizeof(saved)) != sizeof(saved))
		die("the process that saves failed");
	create(&stepper, PMU);
	restore(&stepper, &saved, 0);
	for (int i = 0; ok && i < RESTORES; i++)
		ok = goes_on(&stepper);
	finish(&stepper, ok, "restored in another process, it counts on exactly");
}

static void test_before_first_run(void)
{
	struct stepper stepper;
	uint64_t seed = 4;
	bool ok = true;

	create(&stepper, PMU);
	for (int i = 0; ok && i < RESTORES; i++) {
		pin_to(every_pmu(i / 2));
		stepper_restart(&stepper);
		write_register(&stepper, REG_PMINTENSET_EL1, 0);
		write_at_random(&stepper, &seed);
		ok = check_registers(&stepper);
		stepper_enter(&stepper);
		ok = ok && goes_on(&stepper);
	}
	finish(&stepper, ok, "written before the first run, it counts on exactly");
}

static void test_all(void)
{
	test_writes();
	test_same_vm();
	test_before_first_run();
	test_fresh_vms();
	test_fresh_process();
}

/* MDCR_EL2.{HPMD,HCCD}, PMCR_EL0.DP and the filter stop the counter at EL2, where the guest is. */
static void test_hypervisor(void)
{
	static const uint64_t filters[] = { PMCCFILTR_NSH, 0, PMCCFILTR_NSH | PMCCFILTR_P };
	struct stepper stepper;
	uint64_t seed = 5;
	bool ok = true;

	create(&stepper, PMU | EL2);
	for (int i = 0; ok && i < STEPS; i++) {
		uint64_t random = next_random(&seed),
			mdcr = (random & 1 ? MDCR_HPMD : 0) | (random >> 8 & 3 ? 0 : MDCR_HCCD);
		uint64_t operand = mdcr, pmcr = PMCR_E | PMCR_LC | (random & 1 ? PMCR_DP : 0);
		enum operation operation = OP_NONE;

		switch (random >> 1 & 7) {
		case 0:
			write_register(&stepper, REG_MDCR_EL2, mdcr);
			break;
		case 1:
		case 2:
			operation = OP_MDCR;
			break;
		case 3:
			write_register(&stepper, REG_PMCCFILTR_EL0,
				       filters[(random >> 4) % ARRAY_SIZE(filters)]);
			break;
		case 4:
			write_register(&stepper, REG_PMCR_EL0, pmcr);
			break;
		case 5:
		case 6:
			operation = OP_PMCR;
			operand = pmcr;
			break;
		}
		ok = check_step(&stepper, operation, operand, AT_EL1) && check_registers(&stepper);
	}
	finish(&stepper, ok,
	       "a guest at EL2 counts as MDCR_EL2, PMCR_EL0.DP and PMCCFILTR_EL0 say, "
	       "whoever writes them");
}

const struct group groups[] = {
	{ "all", test_all, 2 },
	{ "nested", test_hypervisor, 2 },
	{ 0 }
};
