/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Shared by the parts of the storm; storm.c says what the storm is. */
#ifndef STORM_H
#define STORM_H

#include <pthread.h>
#include <stdatomic.h>

#include "counter.h"

#define WORKERS		3

/* Counted actions on VMs and CPUs. A storm that lacks one fails: it proves less than it claims. */
enum action {
	ROUNDS, PROGRAMMED, INTERRUPTS, SAVED, FRESH_VMS, RESETS, MOVES, KICKS, REFUSED, VMS,
	ABANDONED, KILLED, OFFLINED, PMUS_OFFLINED,
	ACTIONS
};

/* Claims that must hold throughout the storm */
enum claim { COUNTS, OVERFLOWS, STATE, LIFE, CLAIMS };

/* Shared by all processes */
struct storm {
	atomic_bool over;
	atomic_ulong done[ACTIONS];
	/* True in the exact host. Elsewhere only LIFE is judged. */
	bool exact;
	/* Seconds */
	time_t deadline;
	struct {
		atomic_bool broken;
		char how[256];
	} claims[CLAIMS];
	/* Rounds completed by the vCPUs of each process */
	atomic_ulong progress[WORKERS];
};

extern struct storm *storm;

/* Reports that a judged claim is broken, and ends the storm. The first report of each is kept. */
void broken(enum claim claim, const char *format, ...) __attribute__((format(printf, 2, 3)));

static inline void record(enum action action)
{
	atomic_fetch_add(&storm->done[action], 1);
}

/* The next number. Each thread has its own sequence: a seed gives the same actions. */
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

/* No counter gets this far: 2^61 nanoseconds are some 73 years. */
#define AGES			(1ULL << 61)

/* The state that the guest's counter must have */
struct counter {
	bool programmed, enabled;
	uint64_t pmcr, filter;
	/* The counter when it was last read, and the system counter just before that read */
	uint64_t value, time;
	/*
	 * Overflows up to this value are counted. It may be ahead of value: interrupt handlers
	 * report before rounds do.
	 */
	uint64_t passed;
	/* Counted so far; late: rounds for which an interrupt has been due */
	unsigned int overflows, interrupts, late;
};

struct round {
	enum backing backing;
	unsigned int steps;
	uint64_t pmcr, value, filter, reads;
	/* Whether the counter counts at any point of the round's steps, and after them */
	bool counted, counts;
};

/* What guest_storm reads in a round and leaves in registers, see guest.S, in this order */
struct sample {
	uint64_t begin, before_first, first, after_first, last, in_guest, second, end;
};

bool overflow_is_near(const struct counter *counter);
/*
 * True while an overflow or its interrupt is due: the next round must then not program the counter.
 */
bool must_wait(const struct counter *counter);
/* Applies the steps of the round to the model. */
void apply_round(struct counter *counter, struct round *round);
/* Checks an interrupt whose handler read this value. */
void judge_interrupt(struct counter *counter, uint64_t value);
/* Checks the values that the guest read in a round. */
void judge_round(struct counter *counter, const struct round *round, const struct sample *sample);
/* True when userspace may read this value between two rounds. */
bool judge_register(struct counter *counter, uint64_t value);

struct machine;

struct vcpu {
	struct machine *machine;
	int index;
	pthread_t thread;
	uint64_t sequence;
	/*
	 * The thread releases it during KVM_RUN. Only the thread that holds it may replace the VM.
	 */
	pthread_mutex_t outside;
	struct counter counter;
};

struct machine {
	struct vm vm;
	enum backing backing;
	/* Given to SET_PMU */
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

/* Numbers that must return to their start values when all VMs have ended */
struct leaks {
	unsigned long events, vcpus, vms, tables;
};

void leaks_measure(struct leaks *leaks);
/* Waits until they do: the kernel frees some objects later. */
void leaks_test(const struct leaks *start);

#endif
