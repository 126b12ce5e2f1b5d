/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a guest is given. It defines guest_main(), which runs on vCPU 0 with MMU and caches on,
 * interrupts masked and the firmware's tables read, and which ends with one of the verdicts.
 */
#ifndef GUEST_H
#define GUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sysreg.h"

#define ARRAY_SIZE(a)	(sizeof(a) / sizeof((a)[0]))
/* Our printing takes "l" for 64 bits. For UEFI the compiler does not, and cannot check. */
#ifdef __LP64__
#define PRINTF(f, a)	__attribute__((format(printf, f, a)))
#else
#define PRINTF(f, a)
#endif
#define NORETURN	__attribute__((noreturn))

void guest_main(void);

/*
 * report.c: output is whole lines, never interleaved between vCPUs. %s %c %d %u %x with l, and %%
 * are understood. A verdict prints the guest's last line and powers it off:
 * PASS, FAIL (what was tested is at fault, an exception included), STOP (the guest cannot go on, as
 * Windows could not).
 */
void print(const char *fmt, ...) PRINTF(1, 2);
void end_with(const char *verdict, const char *fmt, ...) PRINTF(2, 3) NORETURN;
#define pass(...) end_with("PASS: ", __VA_ARGS__)
#define fail(...) end_with("FAIL: ", __VA_ARGS__)
#define stop(...) end_with("STOP: ", __VA_ARGS__)

/* psci.c: the machine starts again */
void reboot(void) NORETURN;

/* uart.c: whether something was typed at the UART, until it is taken */
bool has_input(void);
void take_input(void);

/* smp.c: vCPUs are numbered from 0, the boot vCPU, in the order of the firmware's tables. */
unsigned int vcpu_count(void);
static inline unsigned int vcpu_index(void)
{
	return read_sysreg(tpidr_el1);
}
/* Starts all other vCPUs in fn(), and waits until they are there; they sleep after it. */
void start_secondaries(void (*fn)(void));
/* Until all have counted themselves done; says now and then that it waits. */
void wait_for_vcpus(const unsigned int *done, const char *what);
void wait_for_flag(const unsigned int *flag);

/* vcpu.S: where EL0 may read and execute what EL1 has in RAM. */
#define EL0_ALIAS	((RAM_GIBS + 1UL) << 30)

/* run.S: goes to the address with the operand in x0, and returns at an exception, such as a SVC. */
struct outcome {
	uint64_t value;				/* x0 by then */
	uint64_t vector;			/* place in the vector table */
	uint64_t esr;				/* of a synchronous exception */
};
void run(struct outcome *outcome, uint64_t address, uint64_t operand, uint64_t spsr);

/* Pieces of code for either level; EL0 has them at EL0_ALIAS. They end with a SVC. */
extern char code_spin[];			/* for a while */
extern char code_count[];			/* sets PMCNTENSET_EL0.C, spins, clears it */
extern char code_thread[];			/* spins; the value is the cycles that it read */

#define VECTOR_IRQ_EL0	9

/* gic.c: private interrupts of this vCPU, as a mask. PSTATE masks them; they end WFI. */
#define INTID_TIMER	27			/* CNTV */
void gic_enable(uint32_t interrupts);
/* False where the VM has no GICv3: the functions around this are not for it. */
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
 * timing.c: interval_ticks() ends with FAIL when that is less than one, check_pmu() with STOP when
 * the vCPU has none. An interval is measured of an enabled counter; one that went back ends with
 * FAIL, one that stood still with STOP when it is divided by.
 */
struct delta {
	uint64_t cntvct, ticks;		/* at its end; how long it was */
	uint64_t before, after;		/* PMCCNTR_EL0 */
};
uint64_t interval_ticks(uint64_t us);
void check_pmu(void);
void enable_cycle_counter(void);
struct delta measure_interval(uint64_t ticks);
void divide_by_cycles(struct delta delta);
/* PMCCNTR_EL0, which must not be less than this vCPU has read before */
uint64_t read_cycles(void);
/* Until the system counter says that so much time has passed */
void stall_by_cntvct(uint64_t us);
/* Deltas are recorded to be printed between intervals; only a verdict may follow the last ones. */
void record_delta(struct delta delta);
void print_last_deltas(void);

/*
 * calibrate.c: what the loader of Windows does on the boot vCPU, from a PMU as it was found to a
 * clock. Stalls of 1, 1,000 and 9,000 us, as the firmware gives them; the counts of the last two
 * give the frequency. Ends with STOP when that divides by zero, returns whether the clock is right,
 * more or less.
 */
enum point {
	POINT_NONE, POINT_SETUP, POINT_SHORT, POINT_BETWEEN, POINT_EARLY, POINT_LATE, POINT_END,
	/* Not of the calibration: half-way through run_as_kernel() */
	POINT_KERNEL,
};
extern const char *const loader_points[];	/* their names, NULL-ended */

struct loader {
	const char *name;			/* of the stalls */
	void (*stall)(uint64_t us);
	bool lc;				/* PMCR_EL0.LC */
	uint64_t user;				/* PMUSERENR_EL0 */
	/*
	 * Called after the set-up, between the two stalls, at the end, and at the point below if
	 * that is inside one of them: half-way through the short one, after 2 or 8 ms of the long
	 * one. How long it takes is not measured. NULL for nothing.
	 */
	void (*at_point)(enum point point);
	enum point point;
};
bool calibrate_as_loader(const struct loader *loader);
/*
 * Its accesses to the PMU, all that are known: PMSELR_EL0, PMCEID<n>_EL0, PMEV*, PMXEV*,
 * PMINTENSET_EL1 and PMOVSSET_EL0 are not among them.
 */
void set_up_as_loader(bool lc, uint64_t user);

/*
 * kernel.c: what the kernel of Windows is known to do with the counter, on each vCPU; it does not
 * divide by what it counts. Says how often a thread was charged no cycles, or read none itself.
 * half_way() is called then, or NULL.
 */
void run_as_kernel(unsigned int switches, uint64_t user, void (*half_way)(void));

/* kernel.c: sleeps in WFI, or waits where there is no GICv3 whose interrupt would end that. */
void idle(uint64_t us);

/* boot.c */
static inline uint64_t cntvct(void)
{
	return read_sysreg(cntvct_el0);
}
uint64_t cntfrq(void);
uint64_t us_to_ticks(uint64_t us);

#endif
