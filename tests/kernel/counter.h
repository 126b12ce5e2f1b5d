/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Guests with a PMU, the one that counts the cycles of a loop above all, and ways to move their
 * vCPU.
 */
#ifndef COUNTER_H
#define COUNTER_H

#include "guest.h"
#include "harness.h"

/*
 * Turns of the guest's inner loop: a lap long enough to be told from a counter that stands still,
 * short enough to do many
 */
#define LAP_TURNS	64
/* A lap is two instructions a turn, and less than this many around them */
#define LAP_OVERHEAD	16

enum backing { BACKED_BY_DEFAULT, BACKED_BY_PMU, BACKED_BY_FIXED };

/* A VM with a vCPU that starts at entry, and an initialised PMU; BACKED_BY_PMU: pmus[0] */
void guest_create(struct vm *vm, unsigned int features, enum backing backing, const char *entry);
/* The same with more vCPUs, all of them initialised, and any PMU; entry is where vCPU 0 starts */
void guest_create_vcpus(struct vm *vm, int vcpus, unsigned int features, enum backing backing,
			const struct host_pmu *pmu, const char *entry);

/* Whether KVM creates such a vCPU: older kernels do not know STRICT */
bool is_accepted(unsigned int features);

/* What userspace saves and restores of the PMU */
#define PMU_REGISTERS	6
extern const uint64_t pmu_registers[PMU_REGISTERS];

/* Their values, in that order */
struct saved {
	uint64_t values[PMU_REGISTERS];
};

struct saved save_registers(struct vm *vm, int vcpu);

/* Of the guest program: register x0 and so on */
void set_argument(struct vm *vm, int number, uint64_t value);
/* Ends the program, with what vm_run() returned instead of a report that is due. */
_Noreturn void guest_stopped(const struct vm *vm, int offset, uint64_t value);
/* The next report of the guest, which must be a value */
uint64_t next_value(struct vm *vm);

/* What the guest reports next, of the bits in mask */
struct report {
	const char *name;
	uint64_t mask, expected;
};

bool check_reports(struct vm *vm, const struct report *reports, size_t count);

/* The guest that counts, see guest_count */
void counter_create(struct vm *vm, enum backing backing, uint64_t pmcr, uint64_t start,
		    uint64_t turns);

/* Moves: each returns where the vCPU goes before lap i */
uint64_t every_cpu(int i);
uint64_t every_pmu(int i);
uint64_t within_pmu(int i);

#endif
