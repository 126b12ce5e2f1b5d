/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the parts of the storm share; storm.c says what it is. */
#ifndef STORM_H
#define STORM_H

#include <pthread.h>
#include <stdatomic.h>

#include "counter.h"

#define WORKERS		3

/* What happens to VMs and CPUs, counted: a storm without one of them proves less than it says */
enum deed {
	ROUNDS, PROGRAMMED, INTERRUPTS, SAVED, FRESH_VMS, RESETS, MOVES, KICKS, REFUSED, VMS, ABANDONED, KILLED, OFFLINED, PMUS_OFFLINED,
	DEEDS
};

/* What must hold all the time */
enum claim { COUNTS, OVERFLOWS, STATE, LIFE, CLAIMS };

/* In memory that all processes have */
struct storm {
	atomic_bool over;
	atomic_ulong done[DEEDS];
	/* In the exact host. Otherwise only LIFE is judged */
	bool exact;
	/* Seconds */
	time_t deadline;
	struct {
		atomic_bool broken;
		char how[256];
	} claims[CLAIMS];
	/* Grows while a process gets something done */
	atomic_ulong progress[WORKERS];
};

extern struct storm *storm;

/* The first of each claim that is judged is kept, and ends the storm */
void broken(enum claim claim, const char *format, ...) __attribute__((format(printf, 2, 3)));

static inline void did(enum deed deed)
{
	atomic_fetch_add(&storm->done[deed], 1);
}

/* Each thread has its own sequence, so that it does the same again with the same seed; when, is up to the scheduler */
uint64_t draw(uint64_t *sequence);

static inline bool one_in(uint64_t *sequence, unsigned int n)
{
	return draw(sequence) % n == 0;
}

/* The model, storm-model.c */

#define EXCLUDE_EL1		(1U << 31)

#define NR_STEPS		(STORM_START + 1)
#define STEP(name)		(1U << STORM_##name)
#define ALL_STEPS		((1U << NR_STEPS) - 1)

/* Counts that take some 73 years: no counter gets so far */
#define AGES			(1ULL << 61)

/* The guest's counter as it has to be */
struct counter {
	bool programmed, enabled;
	uint64_t pmcr, filter;
	/* What it was last seen to be, and the time of the guest before that */
	uint64_t value, time;
	/* The same for overflows, which interrupts show earlier */
	uint64_t passed;
	/* The last: for how many rounds an interrupt has been due */
	unsigned int overflows, interrupts, late;
};

struct round {
	enum backing backing;
	unsigned int steps;
	uint64_t pmcr, value, filter, reads;
	/* At any time from before the steps to after them, and then */
	bool counted, counts;
};

/* What guest_storm leaves in STORM_RESULTS and up: what was read, in this order */
struct sample {
	uint64_t begin, before_first, first, after_first, last, in_guest, second, end;
};

bool overflow_is_near(const struct counter *counter);
/* Leaves the counter alone: an overflow is to come, or its interrupt is */
bool must_wait(const struct counter *counter);
/* What the steps make of the counter */
void apply_round(struct counter *counter, struct round *round);
/* The guest's interrupt handler saw value */
void judge_interrupt(struct counter *counter, uint64_t value);
void judge_round(struct counter *counter, const struct round *round, const struct sample *sample);
/* Userspace reads the counter between two rounds: may it be value? */
bool judge_register(struct counter *counter, uint64_t value);

struct machine;

struct vcpu {
	struct machine *machine;
	int index;
	pthread_t thread;
	uint64_t sequence;
	/* Held but for the time in KVM_RUN: whoever has it may take the VM away */
	pthread_mutex_t outside;
	struct counter counter;
};

struct machine {
	struct vm vm;
	enum backing backing;
	/* Which SET_PMU got */
	const struct host_pmu *pmu;
	int worker, vcpus;
	atomic_bool over;
	struct vcpu vcpu[MAX_VCPUS];
};

/* A VM of the machine's kind, its vCPUs initialised */
void machine_create(const struct machine *machine, struct vm *vm);
/* The thread of a vCPU, until the machine or the storm is over */
void *vcpu_main(void *vcpu);
/* A process that has one VM after the other, until the storm is over */
_Noreturn void worker_main(int number, uint64_t seed);

/* What is to be back at its start value when all VMs are gone */
struct leaks {
	unsigned long events, vcpus, vms, tables;
};

void leaks_measure(struct leaks *leaks);
/* Waits until they are back, which takes the kernel a moment */
void leaks_test(const struct leaks *start);

#endif
