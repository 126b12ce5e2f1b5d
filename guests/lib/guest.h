/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the library offers to a guest. The guest defines guest_main(), which runs on vCPU 0 with MMU
 * and caches on, interrupts masked and the firmware's tables read. It ends with one of the
 * verdicts.
 */
#ifndef GUEST_H
#define GUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sysreg.h"

#define ARRAY_SIZE(a)	(sizeof(a) / sizeof((a)[0]))
/*
 * print() takes "l" for 64 bits. The compiler for UEFI takes it for 32, so it cannot check formats.
 */
#ifdef __LP64__
#define PRINTF(f, a)	__attribute__((format(printf, f, a)))
#else
#define PRINTF(f, a)
#endif
#define NORETURN	__attribute__((noreturn))

void guest_main(void);

/*
 * report.c: prints whole lines, never interleaved between vCPUs. Formats: %s, %%, and %c %d %u %x
 * with or without l. A verdict prints the guest's last line and powers it off: PASS, FAIL (what was
 * tested is at fault, an exception included), STOP (the guest cannot go on, as Windows could not).
 */
void print(const char *fmt, ...) PRINTF(1, 2);
void end_with(const char *verdict, const char *fmt, ...) PRINTF(2, 3) NORETURN;
#define pass(...) end_with("PASS: ", __VA_ARGS__)
#define fail(...) end_with("FAIL: ", __VA_ARGS__)
#define stop(...) end_with("STOP: ", __VA_ARGS__)

/* psci.c: resets the machine */
void reboot(void) NORETURN;

/* uart.c: has_input() is true from when something is typed at the UART until take_input() */
bool has_input(void);
void take_input(void);

/* smp.c: vCPUs are numbered from 0, the boot vCPU, in the order of the firmware's tables. */
unsigned int vcpu_count(void);
static inline unsigned int vcpu_index(void)
{
	return read_sysreg(tpidr_el1);
}
/* Starts all other vCPUs in fn(), and waits until they run; they sleep when it returns. */
void start_secondaries(void (*fn)(void));
/* Waits until all vCPUs have counted themselves done; prints now and then that it waits. */
void wait_for_vcpus(const unsigned int *done, const char *what);
void wait_for_flag(const unsigned int *flag);

/* vcpu.S: offset of an alias of the RAM, where EL0 may read and execute it. */
#define EL0_ALIAS	((RAM_GIBS + 1UL) << 30)

/* run.S: runs code at the address, with the operand in x0, until an exception such as a SVC. */
struct outcome {
	uint64_t value;				/* x0 by then */
	uint64_t vector;			/* place in the vector table */
	uint64_t esr;				/* of a synchronous exception */
};
void run(struct outcome *outcome, uint64_t address, uint64_t operand, uint64_t spsr);

/* Pieces of code for either level; EL0 has them at EL0_ALIAS. They end with a SVC. */
extern char code_spin[];			/* spins for a while */
extern char code_count[];			/* sets PMCNTENSET_EL0.C, spins, clears it */
extern char code_thread[];			/* spins; the value is the cycles that it read */

#define VECTOR_IRQ_EL0	9

/* gic.c: enables private interrupts of this vCPU, by a mask. They end WFI; PSTATE masks them. */
#define INTID_TIMER	27			/* CNTV */
void gic_enable(uint32_t interrupts);
/* False if the VM has no GICv3: the other functions of gic.c must not be called then. */
bool gic_is_there(void);
bool gic_is_pending(unsigned int interrupt);

/* exception.c: the name of a register of the PMU */
const char *register_name(unsigned int id);

/* params.c: NAME=VALUE words of the command line; FAIL for what the table does not permit */
struct param {
	const char *name;
	uint64_t value;			/* the default until read */
	uint64_t min, max;		/* of a number */
	const char *const *words;	/* instead of a number: the value is an index; NULL-ended */
};
void read_params(struct param *params, size_t count);

/*
 * timing.c: interval_ticks() ends with FAIL when the interval is shorter than a tick, check_pmu()
 * with STOP when the vCPU has no PMU. Enable the counter before measuring an interval. A counter
 * that went back ends with FAIL; divide_by_cycles() ends with STOP if the counter stood still.
 */
struct delta {
	uint64_t cntvct, ticks;		/* at the interval's end; its length */
	uint64_t before, after;		/* PMCCNTR_EL0 */
};
uint64_t interval_ticks(uint64_t us);
void check_pmu(void);
void enable_cycle_counter(void);
struct delta measure_interval(uint64_t ticks);
void divide_by_cycles(struct delta delta);
/* PMCCNTR_EL0, which must not be less than this vCPU has read before */
uint64_t read_cycles(void);
/* Waits until so much time has passed by the system counter */
void stall_by_cntvct(uint64_t us);
/*
 * Deltas are recorded, and printed between intervals. print_last_deltas() prints the rest; only a
 * verdict may follow.
 */
void record_delta(struct delta delta);
void print_last_deltas(void);

/*
 * calibrate.c: what the loader of Windows does on the boot vCPU: it sets the PMU up and calibrates
 * a clock. It stalls for 1, 1,000 and 9,000 us; the counts of the last two stalls give the
 * frequency. Ends with STOP when that leads to a division by zero. Returns whether the clock is
 * about right.
 */
enum point {
	POINT_NONE, POINT_SETUP, POINT_SHORT, POINT_BETWEEN, POINT_EARLY, POINT_LATE, POINT_END,
	/* Not in the calibration, but half-way through run_as_kernel() */
	POINT_KERNEL,
};
extern const char *const loader_points[];	/* their names, NULL-ended */

struct loader {
	const char *name;			/* of the stalls */
	void (*stall)(uint64_t us);
	bool lc;				/* PMCR_EL0.LC */
	uint64_t user;				/* PMUSERENR_EL0 */
	/*
	 * Called after the set-up, between the last two stalls, and at the end; also at the point
	 * below if that is inside a stall: half-way through the short one, or after 2 or 8 ms of
	 * the long one. How long it takes is not measured. May be NULL.
	 */
	void (*at_point)(enum point point);
	enum point point;
};
bool calibrate_as_loader(const struct loader *loader);
/*
 * All accesses of the loader to the PMU that are known: PMSELR_EL0, PMCEID<n>_EL0, PMEV*, PMXEV*,
 * PMINTENSET_EL1 and PMOVSSET_EL0 are not among them.
 */
void set_up_as_loader(bool lc, uint64_t user);

/*
 * kernel.c: what the kernel of Windows is known to do with the counter, on each vCPU; it does not
 * divide by what it counts. Prints how often a thread was charged no cycles, or read none itself.
 * Calls half_way() after half of the switches; it may be NULL.
 */
void run_as_kernel(unsigned int switches, uint64_t user, void (*half_way)(void));

/* kernel.c: sleeps in WFI; without a GICv3, whose interrupt would end that, it spins. */
void idle(uint64_t us);

/* boot.c */
static inline uint64_t cntvct(void)
{
	return read_sysreg(cntvct_el0);
}
uint64_t cntfrq(void);
uint64_t us_to_ticks(uint64_t us);

#endif
