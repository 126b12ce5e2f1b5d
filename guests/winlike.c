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

enum { SECONDS, INTERVAL_US };

static struct param params[] = {
	[SECONDS] = { .name = "seconds", .value = 3, .min = 1, .max = 3600 },
	[INTERVAL_US] = { .name = "interval_us", .value = 10000, .min = 10, .max = 1000000 },
};

static uint64_t start_time, end_time, interval;
static uint64_t measured;
static unsigned int finished;

static void measure_once(void)
{
	struct delta delta = measure_interval(interval);

	/* first, so that a delta of zero is seen, too */
	record_delta(delta);
	divide_by_cycles(delta);
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
		measure_once();
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
	print_deltas_held();
	pass("%lu deltas, none zero", measured);
}
