// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Claim: PMCCNTR_EL0 goes on counting on each vCPU, whatever CPUs of the host the vCPU runs on.
 *
 * Why it matters: the Windows boot loader measures the cycle counter over an interval of the system counter (CNTVCT_EL0) and
 * divides by the result without a look at it; and it needs a PMU at all. Arm ARM, chapter "The Performance Monitors Extension".
 *
 * How it can tell: each vCPU takes the delta of PMCCNTR_EL0 over interval after interval and divides by it. A delta of zero is
 * STOP, where Windows dies; a counter that goes back is FAIL. The guest never sleeps, so a counter that runs cannot have stood
 * still for an interval.
 */
#include "guest.h"

/*
 * What a vCPU can measure while another one prints. Small, so that what is read of the guest was measured just now even on a
 * host too slow for the rate: there the vCPUs wait for the printing instead of running ahead of it.
 */
#define RING_SIZE	8

/* Well below the shortest interval on any CPU. */
#define SPINS_PER_READ	1000

struct delta {
	uint64_t cntvct, cycles, ticks;
};

/* Written by its vCPU, emptied by who holds the output. */
struct ring {
	struct delta deltas[RING_SIZE];
	uint64_t written, printed;
};

enum { SECONDS, INTERVAL_US };

static struct param params[] = {
	[SECONDS] = { .name = "seconds", .value = 3, .min = 1, .max = 3600 },
	[INTERVAL_US] = { .name = "interval_us", .value = 10000, .min = 10, .max = 1000000 },
};

static struct ring rings[MAX_VCPUS];
static uint64_t start_time, end_time, interval;
static uint64_t measured;
static unsigned int finished;

static void check_pmu(void)
{
	uint64_t version = read_sysreg(id_aa64dfr0_el1) >> ID_DFR0_PMUVER_SHIFT & 0xf;

	if (version == ID_PMUVER_NONE || version == ID_PMUVER_IMPDEF)
		stop("no PMU vcpu=%u pmuver=0x%lx", vcpu_index(), version);
}

static void enable_cycle_counter(void)
{
	write_sysreg(PMCR_E | PMCR_C | PMCR_LC, pmcr_el0);
	write_sysreg(0, pmccfiltr_el0);
	write_sysreg(PMCNTEN_C, pmcntenset_el0);
	isb();
}

static void print_ring(unsigned int vcpu)
{
	struct ring *ring = &rings[vcpu];
	uint64_t written = __atomic_load_n(&ring->written, __ATOMIC_ACQUIRE);
	uint64_t printed = ring->printed;

	for (; printed < written; printed++) {
		const struct delta *delta = &ring->deltas[printed % RING_SIZE];

		print_held("delta vcpu=%u cntvct=%lu cycles=%lu ticks=%lu", vcpu, delta->cntvct, delta->cycles, delta->ticks);
		__atomic_store_n(&ring->printed, printed + 1, __ATOMIC_RELEASE);
	}
}

static void print_rings(void)
{
	for (unsigned int i = 0; i < vcpu_count(); i++)
		print_ring(i);
}

/*
 * A line costs at least an exit of the vCPU, on the UART one for each character. So the deltas are printed between intervals, by
 * one vCPU for all; who finds another one at it measures on, and only a full ring makes a vCPU wait.
 */
static void record(struct delta delta)
{
	struct ring *ring = &rings[vcpu_index()];

	ring->deltas[ring->written % RING_SIZE] = delta;
	__atomic_store_n(&ring->written, ring->written + 1, __ATOMIC_RELEASE);
	if (output_try_hold()) {
		print_rings();
		output_release();
	}
	while (ring->written - __atomic_load_n(&ring->printed, __ATOMIC_ACQUIRE) == RING_SIZE) {
		if (output_try_hold()) {
			print_rings();
			output_release();
		}
	}
}

/* Arm's division by zero gives 0 without a trap, so compilers put a check and a BRK in front, as here. */
static void divide_by_cycles(uint64_t before, uint64_t after)
{
	uint64_t scale;

	if (after == before) {
		output_hold();
		print_rings();
		stop("divide by zero vcpu=%u cntvct=%lu pmccntr_before=0x%lx pmccntr_after=0x%lx",
		     vcpu_index(), cntvct(), before, after);
	}
	scale = (1000000UL << 32) / (after - before);
	asm volatile("" : : "r"(scale));	/* used, as far as the compiler knows */
}

/* Reads of the system counter are slow on an emulated host, and a wait of nothing else would make it crawl. */
static void wait_until(uint64_t start, uint64_t ticks)
{
	do {
		for (unsigned int i = 0; i < SPINS_PER_READ; i++)
			asm volatile("");
	} while (cntvct() - start < ticks);
}

/* 64 bits of cycles do not overflow in a guest's life. */
static uint64_t read_cycles(void)
{
	static uint64_t last[MAX_VCPUS];
	uint64_t before = last[vcpu_index()];
	uint64_t now = read_sysreg(pmccntr_el0);

	if (now < before)
		fail("PMCCNTR_EL0 went back vcpu=%u cntvct=%lu pmccntr_before=0x%lx pmccntr_after=0x%lx",
		     vcpu_index(), cntvct(), before, now);
	last[vcpu_index()] = now;
	return now;
}

static void measure_interval(void)
{
	uint64_t t0, t1, c0, c1;

	/* the barriers keep both counters' reads, and the wait, in program order */
	isb();
	t0 = cntvct();
	isb();
	c0 = read_cycles();
	isb();
	wait_until(t0, interval);
	isb();
	c1 = read_cycles();
	isb();
	t1 = cntvct();
	record((struct delta){ .cntvct = t1, .cycles = c1 - c0, .ticks = t1 - t0 });
	divide_by_cycles(c0, c1);
	__atomic_add_fetch(&measured, 1, __ATOMIC_RELAXED);
}

static void measure(void)
{
	while (!__atomic_load_n(&start_time, __ATOMIC_ACQUIRE))
		asm volatile("yield");
	check_pmu();
	enable_cycle_counter();
	/* at least once: a vCPU that came too late must not pass unmeasured */
	do {
		measure_interval();
	} while (cntvct() < end_time);
	__atomic_add_fetch(&finished, 1, __ATOMIC_RELEASE);
}

static void secondary_main(void)
{
	measure();
	for (;;)
		asm volatile("wfi");
}

/* An overcommitted host may be slow, but a vCPU that never finishes must not go for a hang of the guest as a whole. */
static void wait_for_all(void)
{
	uint64_t deadline = end_time + us_to_ticks((60 + 10 * params[SECONDS].value) * 1000000);

	while (__atomic_load_n(&finished, __ATOMIC_ACQUIRE) < vcpu_count())
		if (cntvct() > deadline)
			fail("only %u of %u vCPUs finished their measurement", finished, vcpu_count());
}

void guest_main(void)
{
	read_params(params, ARRAY_SIZE(params));
	check_pmu();
	interval = us_to_ticks(params[INTERVAL_US].value);
	if (!interval)
		fail("an interval of %lu us is less than a tick of CNTFRQ_EL0, %lu Hz", params[INTERVAL_US].value, cntfrq());
	start_secondaries(secondary_main);
	print("winlike vcpus=%u cntfrq=%lu seconds=%lu interval_us=%lu", vcpu_count(), cntfrq(), params[SECONDS].value,
	      params[INTERVAL_US].value);
	end_time = cntvct() + us_to_ticks(params[SECONDS].value * 1000000);
	__atomic_store_n(&start_time, 1, __ATOMIC_RELEASE);
	measure();
	wait_for_all();
	output_hold();
	print_rings();
	pass("%lu deltas, none zero", measured);
}
