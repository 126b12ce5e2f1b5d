// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Claim: as winlike's, from the firmware's call on: first as the loader of Windows with the firmware still there, then as its
 * kernel on all vCPUs.
 *
 * Why it matters: a harness that boots Windows has to be seen to fail where Windows would, on an image that anybody may have.
 *
 * How it can tell: as winlike. The loader's calibration is done twice on the boot vCPU: by the firmware's Stall, and after
 * ExitBootServices, when there is none any more, by the system counter. Then, stricter than Windows is known to be, each vCPU is
 * calibrated by an interval of its own before the guest says READY.
 */
#include "uefi.h"

/*
 * What the guest does to its own counter, so that it is seen what comes of it: before or in the middle of the loader's calibration, or
 * after READY on the last vCPU.
 */
enum fault { FAULT_NONE, FAULT_LOADER, FAULT_CLOCK, FAULT_STILL, FAULT_BACK };

static const char *const faults[] = { "none", "loader", "clock", "still", "back", NULL };

enum { SECONDS, INTERVAL_US, EVERY, FAULT };

static struct param params[] = {
	[SECONDS] = { .name = "seconds", .value = 0, .min = 0, .max = 86400 },
	[INTERVAL_US] = { .name = "interval_us", .value = 10000, .min = 10, .max = 1000000 },
	[EVERY] = { .name = "every", .value = 100, .min = 1, .max = 1000000 },
	[FAULT] = { .name = "fault", .value = FAULT_NONE, .words = faults },
};

static uint64_t interval;
static unsigned int calibrated;
static uint64_t start_time, end_time;
static uint64_t measured;
static unsigned int finished;

static void stop_cycle_counter(void)
{
	write_sysreg(PMCNTEN_C, pmcntenclr_el0);
	isb();
}

static void at_point(enum point point)
{
	if ((params[FAULT].value == FAULT_LOADER && point == POINT_SETUP) || (params[FAULT].value == FAULT_CLOCK && point == POINT_BETWEEN))
		stop_cycle_counter();
}

static void calibrate_loader(const char *name, void (*stall)(uint64_t us))
{
	const struct loader loader = {
		.name = name, .stall = stall, .lc = true, .user = PMUSERENR_EN, .at_point = at_point, .point = POINT_NONE,
	};

	calibrate_as_loader(&loader);
}

void loader_main(void)
{
	read_params(params, ARRAY_SIZE(params));
	interval = interval_ticks(params[INTERVAL_US].value);
	check_pmu();
	print("acpi pmu_interrupt=%u", acpi_check());
	calibrate_loader("firmware", firmware_stall);
}

static void calibrate(void)
{
	check_pmu();
	enable_cycle_counter();
	divide_by_cycles(measure_interval(interval));
	__atomic_add_fetch(&calibrated, 1, __ATOMIC_RELEASE);
}

static struct delta measure_once(void)
{
	struct delta delta = measure_interval(interval);

	divide_by_cycles(delta);
	__atomic_add_fetch(&measured, 1, __ATOMIC_RELAXED);
	return delta;
}

/* A line for many intervals, as the console is to be readable after days. */
static void measure_line(void)
{
	struct delta line = measure_once();
	uint64_t start = line.cntvct - line.ticks;

	for (uint64_t i = 1; i < params[EVERY].value; i++) {
		struct delta delta = measure_once();

		line.cntvct = delta.cntvct;
		line.after = delta.after;
	}
	line.ticks = line.cntvct - start;
	record_delta(line);
}

static void apply_fault(void)
{
	if (vcpu_index() != vcpu_count() - 1)
		return;
	if (params[FAULT].value == FAULT_STILL)
		stop_cycle_counter();
	if (params[FAULT].value == FAULT_BACK)
		write_sysreg(0, pmccntr_el0);
}

static void keep_time(void)
{
	while (!__atomic_load_n(&start_time, __ATOMIC_ACQUIRE))
		asm volatile("yield");
	do {
		measure_line();
		apply_fault();
	} while (!params[SECONDS].value || cntvct() < end_time);
	__atomic_add_fetch(&finished, 1, __ATOMIC_RELEASE);
}

static void secondary_main(void)
{
	calibrate();
	keep_time();
	for (;;)
		asm volatile("wfi");
}

void guest_main(void)
{
	calibrate_loader("cntvct", stall_by_cntvct);
	start_secondaries(secondary_main);
	print("winlike vcpus=%u cntfrq=%lu seconds=%lu interval_us=%lu every=%lu", vcpu_count(), cntfrq(), params[SECONDS].value,
	      params[INTERVAL_US].value, params[EVERY].value);
	calibrate();
	wait_for_vcpus(&calibrated, "are calibrated");
	print("READY");
	end_time = cntvct() + us_to_ticks(params[SECONDS].value * 1000000);
	__atomic_store_n(&start_time, 1, __ATOMIC_RELEASE);
	keep_time();
	wait_for_vcpus(&finished, "finished their measurement");
	output_hold();
	print_deltas_held();
	pass("%lu intervals, none without cycles", measured);
}
