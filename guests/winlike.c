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
	/* 0: until something is typed at the UART */
	[SECONDS] = { .name = "seconds", .value = 3, .min = 0, .max = 3600 },
	[INTERVAL_US] = { .name = "interval_us", .value = 10000, .min = 10, .max = 1000000 },
};

static uint64_t start_time, end_time, interval;
static uint64_t measured;
static unsigned int finished, stopped;

static void measure_once(void)
{
	struct delta delta = measure_interval(interval);

	/* first, so that a delta of zero is seen, too */
	record_delta(delta);
	divide_by_cycles(delta);
	__atomic_add_fetch(&measured, 1, __ATOMIC_RELAXED);
}

/* A look at the UART is an exit of the vCPU, so one looks for all. */
static bool is_over(void)
{
	if (params[SECONDS].value)
		return cntvct() >= end_time;
	if (!vcpu_index() && has_input())
		__atomic_store_n(&stopped, 1, __ATOMIC_RELAXED);
	return __atomic_load_n(&stopped, __ATOMIC_RELAXED);
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
	} while (!is_over());
	__atomic_add_fetch(&finished, 1, __ATOMIC_RELEASE);
}

static void secondary_main(void)
{
	measure();
	for (;;)
		asm volatile("wfi");
}

void guest_main(void)
{
	read_params(params, ARRAY_SIZE(params));
	check_pmu();
	interval = interval_ticks(params[INTERVAL_US].value);
	start_secondaries(secondary_main);
	print("winlike vcpus=%u cntfrq=%lu seconds=%lu interval_us=%lu", vcpu_count(), cntfrq(), params[SECONDS].value,
	      params[INTERVAL_US].value);
	end_time = cntvct() + us_to_ticks(params[SECONDS].value * 1000000);
	__atomic_store_n(&start_time, 1, __ATOMIC_RELEASE);
	measure();
	wait_for_vcpus(&finished, "finished their measurement");
	output_hold();
	print_deltas_held();
	pass("%lu deltas, none zero", measured);
}
