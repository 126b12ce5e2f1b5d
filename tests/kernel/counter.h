/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Guests with a PMU, above all one that counts the cycles of a loop, and ways to move its vCPU */
#ifndef COUNTER_H
#define COUNTER_H

#include "guest.h"
#include "harness.h"

/*
 * Turns of the guest's inner loop in a lap. A lap is long enough to show that the counter counts,
 * and short enough for a test to run many.
 */
#define LAP_TURNS	64
/* A lap has two instructions a turn, and fewer than this many around the loop */
#define LAP_OVERHEAD	16

enum backing { BACKED_BY_DEFAULT, BACKED_BY_PMU, BACKED_BY_FIXED };

/* Creates a VM whose vCPU starts at entry, and initialises its PMU. BACKED_BY_PMU takes pmus[0]. */
void guest_create(struct vm *vm, unsigned int features, enum backing backing, const char *entry);
/* The same with more vCPUs, all of them initialised, and any PMU; entry is where vCPU 0 starts */
void guest_create_vcpus(struct vm *vm, int vcpus, unsigned int features, enum backing backing,
			const struct host_pmu *pmu, const char *entry);

/* Whether KVM creates such a vCPU: older kernels do not know STRICT */
bool is_accepted(unsigned int features);

/* The registers of the PMU that userspace saves and restores */
#define PMU_REGISTERS	6
extern const uint64_t pmu_registers[PMU_REGISTERS];

/* Their values, in that order */
struct saved {
	uint64_t values[PMU_REGISTERS];
};

struct saved save_registers(struct vm *vm, int vcpu);

/* Sets an argument of the guest program: register x0 for number 0, and so on */
void set_argument(struct vm *vm, int number, uint64_t value);
/* Ends the test program: vm_run() returned this instead of a report. */
_Noreturn void guest_stopped(const struct vm *vm, int offset, uint64_t value);
/* The next report of the guest, which must be a value */
uint64_t next_value(struct vm *vm);

/* What the guest must report next; only the bits in mask are compared */
struct report {
	const char *name;
	uint64_t mask, expected;
};

bool check_reports(struct vm *vm, const struct report *reports, size_t count);

/* The guest that counts, see guest_count */
void counter_create(struct vm *vm, enum backing backing, uint64_t pmcr, uint64_t start,
		    uint64_t turns);

/* Moves: each returns the CPUs to which the vCPU moves before lap i */
uint64_t every_cpu(int i);
uint64_t every_pmu(int i);
uint64_t within_pmu(int i);

#endif
