/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A guest that does one operation at a time (guest_step), and a model that predicts its cycle
 * counter to the cycle.
 *
 * This needs the exact host, where each instruction of any emulated CPU is a cycle. Before each
 * step all other CPUs get time to become idle. So only the guest's instructions count, even when
 * the emulator switches between its CPUs, which it does at an overflow.
 */
#ifndef STEPS_H
#define STEPS_H

#include "counter.h"

#define PMCCFILTR_P	(1U << 31)	/* not at EL1 */
#define PMCCFILTR_U	(1U << 30)	/* not at EL0 */
#define PMCCFILTR_NSH	(1U << 27)	/* at EL2 */
#define MDCR_HPMD	(1U << 17)	/* with PMCR_DP not at EL2, whatever the filter says */
#define MDCR_HCCD	(1U << 23)	/* not at EL2, whatever the filter says */

/* Turns of the loop of a step, unless it is a long one */
#define STEP_TURNS	64

enum level { AT_EL1, AT_EL0, LEVELS };

struct model {
	uint64_t value, pmcr, filter, enabled, overflowed, mdcr;
	/* The guest runs at EL2 instead of EL1 */
	bool el2;
};

struct stepper {
	struct vm vm;
	struct model model;
	/*
	 * Cycles of the parts of a step: head, from the last report to the operation; rest, from
	 * there to the read of the counter, without a loop at EL0; el0, that loop; tail, from the
	 * read to the next report
	 */
	uint64_t head, rest[LEVELS], el0, tail;
	/* Ticks of the system counter in the latest loop, and in an undisturbed one */
	uint64_t ticks, quiet[LEVELS];
	/* Returns the CPUs to move to before each KVM_RUN; NULL: no moves */
	uint64_t (*where)(int run);
	int runs, interrupts;
	/* The counter when the latest interrupt was taken */
	uint64_t interrupted_at;
};

/*
 * features: as for vcpu_init(). Leaves a running counter of 64 bits, just above 0, with its
 * overflow interrupt disabled, and the thread on the first CPU of the first PMU.
 */
void stepper_create(struct stepper *stepper, unsigned int features, enum backing backing);
void stepper_destroy(struct stepper *stepper);
/* Replaces the VM. Its vCPU first runs in stepper_enter(), with the PMU that userspace set up. */
void stepper_restart(struct stepper *stepper);
void stepper_enter(struct stepper *stepper);
/* Does a step. Returns the counter that the guest read at its end. The model does not follow. */
uint64_t do_step(struct stepper *stepper, enum operation operation, uint64_t operand,
		 enum level level);
/* The same with the model; false, with a comment in the TAP, when the counter differs from it. */
bool check_step(struct stepper *stepper, enum operation operation, uint64_t operand,
		enum level level);
/*
 * A step that is longer by an even number of cycles. Ticks of the host happen in it, and other CPUs
 * do work then. So the counter may be ahead of the model, but by no more than the guest's system
 * counter is.
 */
bool check_long_step(struct stepper *stepper, uint64_t cycles);
/* True when userspace reads what the model says. */
bool check_registers(struct stepper *stepper);
/*
 * Steps at EL1 and EL0 in turn; check_cpus() does some of them on each of the CPUs. registers:
 * compare the registers, too, which the model lacks for VMs with event counters.
 */
bool check_steps(struct stepper *stepper, int steps, bool registers);
bool check_cpus(struct stepper *stepper, uint64_t cpus, bool registers);
/* True when the counter stands still during some steps on each of the CPUs. */
bool stands_still(struct stepper *stepper, uint64_t cpus);
/* True when it counts in steps on each CPU. The model first takes the counter from userspace. */
bool counts_on(struct stepper *stepper, uint64_t cpus);
/* The cycle counter, as userspace reads it */
uint64_t read_counter(struct stepper *stepper);
/* Writes a register from userspace, and in the model. */
void write_register(struct stepper *stepper, uint64_t reg, uint64_t value);

/* Pseudo-random numbers, the same in each run */
uint64_t next_random(uint64_t *state);

#endif
