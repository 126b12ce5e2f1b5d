// SPDX-License-Identifier: GPL-2.0-or-later
/* Measures the cycle counter over intervals of the system counter, divides, and prints. */
#include "internal.h"

/*
 * Deltas that a vCPU can record while another one prints. Few: on a host that is too slow for the
 * rate, vCPUs wait for the printing instead of measuring far ahead of it.
 */
#define RING_SIZE	8

/* Well below the shortest interval on any CPU. */
#define SPINS_PER_READ	1000

/* Filled by its vCPU, emptied by the vCPU that holds the output. */
struct ring {
	struct delta deltas[RING_SIZE];
	uint64_t written, printed;
};

static struct ring rings[MAX_VCPUS];
static uint64_t last_cycles[MAX_VCPUS];

uint64_t interval_ticks(uint64_t us)
{
	uint64_t ticks = us_to_ticks(us);

	if (!ticks)
		fail("an interval of %lu us is less than a tick of CNTFRQ_EL0, %lu Hz", us,
		     cntfrq());
	return ticks;
}

void check_pmu(void)
{
	uint64_t version = read_sysreg(id_aa64dfr0_el1) >> ID_DFR0_PMUVER_SHIFT & 0xf;

	if (version == ID_PMUVER_NONE || version == ID_PMUVER_IMPDEF)
		stop("no PMU vcpu=%u pmuver=0x%lx", vcpu_index(), version);
}

void enable_cycle_counter(void)
{
	write_sysreg(PMCR_E | PMCR_C | PMCR_LC, pmcr_el0);
	write_sysreg(0, pmccfiltr_el0);
	write_sysreg(PMCNTEN_C, pmcntenset_el0);
	isb();
	last_cycles[vcpu_index()] = 0;
}

static void print_ring(unsigned int vcpu)
{
	struct ring *ring = &rings[vcpu];
	uint64_t written = __atomic_load_n(&ring->written, __ATOMIC_ACQUIRE);
	uint64_t printed = ring->printed;

	for (; printed < written; printed++) {
		const struct delta *delta = &ring->deltas[printed % RING_SIZE];

		print_held("delta vcpu=%u cntvct=%lu cycles=%lu ticks=%lu", vcpu, delta->cntvct,
			   delta->after - delta->before, delta->ticks);
		__atomic_store_n(&ring->printed, printed + 1, __ATOMIC_RELEASE);
	}
}

static void print_rings(void)
{
	for (unsigned int i = 0; i < vcpu_count(); i++)
		print_ring(i);
}

void print_last_deltas(void)
{
	output_hold();
	print_rings();
}

/*
 * A line costs at least an exit of the vCPU, on the UART one for each character. So one vCPU prints
 * the deltas of all between intervals; the others go on measuring until their ring is full.
 */
void record_delta(struct delta delta)
{
	struct ring *ring = &rings[vcpu_index()];

	ring->deltas[ring->written % RING_SIZE] = delta;
	__atomic_store_n(&ring->written, ring->written + 1, __ATOMIC_RELEASE);
	do {
		if (output_try_hold()) {
			print_rings();
			output_release();
		}
	} while (ring->written - __atomic_load_n(&ring->printed, __ATOMIC_ACQUIRE) == RING_SIZE);
}

/* Division by zero does not trap on Arm, so compilers check before it, as this does. */
void divide_by_cycles(struct delta delta)
{
	uint64_t scale;

	if (delta.after == delta.before) {
		print_last_deltas();
		stop("divide by zero vcpu=%u cntvct=%lu pmccntr_before=0x%lx pmccntr_after=0x%lx",
		     vcpu_index(), cntvct(), delta.before, delta.after);
	}
	scale = ((uint64_t)1000000 << 32) / (delta.after - delta.before);
	asm volatile("" : : "r"(scale));	/* used, as far as the compiler knows */
}

/* Reads of the system counter are slow on an emulated host, so the wait spins between them. */
static void wait_until(uint64_t start, uint64_t ticks)
{
	do {
		for (unsigned int i = 0; i < SPINS_PER_READ; i++)
			asm volatile("");
	} while (cntvct() - start < ticks);
}

void stall_by_cntvct(uint64_t us)
{
	wait_until(cntvct(), us_to_ticks(us));
}

/* 64 bits of cycles do not overflow in a guest's life. */
uint64_t read_cycles(void)
{
	uint64_t before = last_cycles[vcpu_index()];
	uint64_t now = read_sysreg(pmccntr_el0);

	if (now < before)
		fail("PMCCNTR_EL0 went back vcpu=%u cntvct=%lu pmccntr_before=0x%lx "
		     "pmccntr_after=0x%lx", vcpu_index(), cntvct(), before, now);
	last_cycles[vcpu_index()] = now;
	return now;
}

struct delta measure_interval(uint64_t ticks)
{
	uint64_t t0, t1, c0, c1;

	/* the barriers keep both counters' reads, and the wait, in program order */
	isb();
	t0 = cntvct();
	isb();
	c0 = read_cycles();
	isb();
	wait_until(t0, ticks);
	isb();
	c1 = read_cycles();
	isb();
	t1 = cntvct();
	return (struct delta){ .cntvct = t1, .ticks = t1 - t0, .before = c0, .after = c1 };
}
