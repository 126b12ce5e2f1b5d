/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Shared by the files of the conformance guest. */
#ifndef CONFORM_H
#define CONFORM_H

#include "guest.h"

#define CYCLE_COUNTER	31			/* in PMSELR_EL0.SEL */
/* In the registers that have a bit for each counter */
#define CYCLE_BIT	(1UL << CYCLE_COUNTER)
#define LOW_32_BITS	0xffffffffUL
#define BEYOND_32	(1UL << 32)
#define NEAR		1000UL			/* cycles before an overflow */
#define EVENT_CPU_CYCLES 0x11

#define PMCCFILTR_P	(1UL << 31)		/* not at EL1 */
#define PMCCFILTR_U	(1UL << 30)		/* not at EL0 */

/* What the ID registers and PMCR_EL0.N say. What the architecture requires depends on it. */
struct pmu {
	unsigned int version;			/* ID_AA64DFR0_EL1.PMUVer */
	unsigned int counters;			/* PMCR_EL0.N */
	bool fgt;				/* FEAT_FGT */
	uint64_t pmcr_at_reset;
	bool aarch32;				/* at some exception level */
	bool el2, el3;
};
extern struct pmu pmu;

/* A bit for each counter that is implemented; bits [30:N] are RAZ/WI. */
static inline uint64_t counter_bits(void)
{
	return CYCLE_BIT | ((1UL << pmu.counters) - 1);
}

/* PMEVCNTR<n>_EL0 has CRm 0b10:n[4:3] and op2 n[2:0], PMEVTYPER<n>_EL0 CRm 0b11:n[4:3]. */
static inline unsigned int event_counter(unsigned int n)
{
	return SYSREG_ID(3, 3, 14, 8 | n >> 3, n & 7);
}

static inline unsigned int event_type(unsigned int n)
{
	return SYSREG_ID(3, 3, 14, 12 | n >> 3, n & 7);
}

#define PMUV3P1		4
#define PMUV3P4		5
#define PMUV3P5		6
#define PMUV3P7		7

struct check {
	const char *name;
	void (*run)(void);
	bool failed;
};

/* The checks of each file, in the order in which they run; the last entry has no name. */
extern struct check windows_checks[], registers_checks[], selection_checks[], counting_checks[],
	overflow_checks[], user_checks[];

/* The running check. It reports the first of its expectations that is not met. */
extern struct check *check;
#define expect(ok, fmt, ...) ({							\
	if (!(ok) && !check->failed) {						\
		check->failed = true;						\
		print("FAIL %s: " fmt, check->name, ##__VA_ARGS__);		\
	}									\
})
void expect_equal(const char *what, uint64_t expected, uint64_t got);

/* access.c */
enum level { AT_EL1, AT_EL0 };
enum result { DONE, UNDEFINED, TRAPPED, OTHER_EXCEPTION };

struct access {
	enum result result;
	uint64_t value;				/* SENTINEL if nothing was read */
	uint64_t esr;
};
#define SENTINEL	0x5e5e5e5e5e5e5e5eUL
extern const char *const result_names[];
struct outcome run_at(enum level level, const void *code, uint64_t operand, bool interrupts);
void spin(void);
struct access read_at(enum level level, unsigned int id);
struct access write_at(enum level level, unsigned int id, uint64_t value);

/*
 * conform.c: stops the counter and sets it to 0. It has 64 bits, no filter, no interrupt and no
 * access from EL0; PMSELR_EL0.SEL is 31.
 */
void reset_pmu(void);
/* Call reset_pmu(), then enable the cycle counter at that value; only start_at() lets it count */
void prepare_at(uint64_t value);
void start_at(uint64_t value, uint64_t pmcr);
uint64_t cycles_now(void);
/*
 * Waits for a condition that must come true; the time limit only ends a hang. Time in which the
 * vCPU did not run does not count: each look adds no more than a look can take.
 */
#define WAIT_US		500000
#define LOOK_US		100
#define wait_for(condition) ({							\
	uint64_t last_ = cntvct(), ran_ = 0;					\
	bool met_;								\
	while (!(met_ = (condition)) && ran_ < us_to_ticks(WAIT_US))		\
		ran_ += ticks_since(&last_, us_to_ticks(LOOK_US));		\
	met_;									\
})

/* Ticks of the system counter since *then, but no more than most; *then becomes now. */
static inline uint64_t ticks_since(uint64_t *then, uint64_t most)
{
	uint64_t now = cntvct(), ticks = now - *then;

	*then = now;
	return ticks < most ? ticks : most;
}

/* Runs of code_spin in checks that take long on purpose */
#define LONG_SPINS	400

/* overflow.c */
void overflow_init(void);

#endif
