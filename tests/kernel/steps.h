/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A guest that does one thing at a time (guest_step), and a model that tells its cycle counter in advance, to the cycle.
 *
 * This is for the exact host, where a cycle is an instruction of any of the emulator's CPUs. So the CPUs get time to become idle before
 * each step, and then the guest's instructions are the only ones, also when the emulator goes round its CPUs, as it does at an overflow.
 */
#ifndef STEPS_H
#define STEPS_H

#include "counter.h"

#define PMCCFILTR_P	(1U << 31)	/* not at EL1 */
#define PMCCFILTR_U	(1U << 30)	/* not at EL0 */
#define PMCCFILTR_NSH	(1U << 27)	/* at EL2 */
#define MDCR_HPMD	(1U << 17)	/* with PMCR_DP not at EL2, in spite of the filter */
#define MDCR_HCCD	(1U << 23)	/* not at EL2, in spite of the filter */

enum level { AT_EL1, AT_EL0, LEVELS };

struct model {
	uint64_t value, pmcr, filter, enabled, overflowed, mdcr;
	/* The guest is at EL2 where others are at EL1 */
	bool el2;
};

struct stepper {
	struct vm vm;
	struct model model;
	/* Cycles: report to operation, from there to the read of the counter but for the loop at EL0, from there to the report */
	uint64_t head, rest[LEVELS], el0, tail;
	/* What the system counter counts over the loop, in the latest step and in one without an operation */
	uint64_t ticks, quiet[LEVELS];
	/* Where to go before each KVM_RUN, NULL to stay */
	uint64_t (*where)(int run);
	int runs, interrupts;
	/* The counter when the latest interrupt was taken */
	uint64_t interrupted_at;
};

/* features: as of vcpu_init. Ends with a running counter of 64 bits at 0 or a little more, whose overflow interrupt is disabled. */
void stepper_create(struct stepper *stepper, unsigned int features, enum backing backing);
void stepper_destroy(struct stepper *stepper);
/* A new VM in place of the old one. Its vCPU first runs in stepper_enter(), and leaves the PMU as userspace has set it up. */
void stepper_restart(struct stepper *stepper);
void stepper_enter(struct stepper *stepper);
/* Runs the guest to its next report: the counter, as the guest read it. The model is not asked, and no longer right. */
uint64_t do_step(struct stepper *stepper, enum operation operation, uint64_t operand, enum level level);
/* The same, and false with a comment when the counter is not what the model says */
bool check_step(struct stepper *stepper, enum operation operation, uint64_t operand, enum level level);
/*
 * A step that is so many cycles longer, an even number. Ticks of the host are in it, at which other CPUs do something: the counter may be
 * ahead of the model, by no more than the guest's system counter is.
 */
bool check_long_step(struct stepper *stepper, uint64_t cycles);
/* Is what userspace reads what the model says? */
bool check_registers(struct stepper *stepper);
/* Userspace writes a register; the model follows */
void write_register(struct stepper *stepper, uint64_t reg, uint64_t value);

/* Numbers that are the same in each run */
uint64_t next_random(uint64_t *state);

#endif
