// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Claim: as winlike's, from the start by the firmware on. The guest does what the loader of Windows
 * does while the firmware is still there, then what the kernel does on all vCPUs, and repeats this
 * as often as Windows reboots.
 *
 * Why it matters: a harness that boots Windows must fail where Windows would. This image shows that
 * it does, and unlike an image with Windows anybody may have it.
 *
 * How it can tell: as winlike. The loader's calibration is done twice on the boot vCPU: by the
 * firmware's Stall, and after ExitBootServices, which ends Stall, by the system counter. Each vCPU
 * then charges threads with cycles as the kernel does, see lib/kernel.c. Then, stricter than
 * Windows is known to be, each vCPU is calibrated by an interval of its own before the guest says
 * READY.
 */
#include "uefi.h"

/*
 * What the guest does to its own counter to show the consequence: before or in the loader's
 * calibration, or after READY on the last vCPU. FAULT_HANG: it prints nothing after READY.
 */
enum fault { FAULT_NONE, FAULT_LOADER, FAULT_CLOCK, FAULT_STILL, FAULT_BACK, FAULT_HANG };

static const char *const faults[] = { "none", "loader", "clock", "still", "back", "hang", NULL };

/* Words of enum acpi_fault */
static const char *const acpi_faults[] = {
	"sound", "no_dbg2", "no_gtdt", "no_madt", "no_cpu", "length", "order", "no_interrupt",
	"last_interrupt", NULL,
};

enum { SECONDS, INTERVAL_US, EVERY, SWITCHES, REBOOTS, FAULT, ACPI, LISTEN };

static struct param params[] = {
	[SECONDS] = { .name = "seconds", .value = 0, .min = 0, .max = 86400 },
	[INTERVAL_US] = { .name = "interval_us", .value = 10000, .min = 10, .max = 1000000 },
	[EVERY] = { .name = "every", .value = 100, .min = 1, .max = 1000000 },
	[SWITCHES] = { .name = "switches", .value = 20, .min = 2, .max = 1000000 },
	[REBOOTS] = { .name = "reboots", .value = 0, .min = 0, .max = 1000 },
	[FAULT] = { .name = "fault", .value = FAULT_NONE, .words = faults },
	[ACPI] = { .name = "acpi", .value = ACPI_SOUND, .words = acpi_faults },
	[LISTEN] = { .name = "listen", .value = 0, .min = 0, .max = UINT16_MAX },
};

static uint64_t interval;
/* The number of the reboot with which this boot ends instead of READY; 0 for none */
static uint64_t reboot_number;
static uint64_t end_time, measured;
static unsigned int announced, calibrated, started, finished;

static void stop_cycle_counter(void)
{
	write_sysreg_isb(PMCNTEN_C, pmcntenclr_el0);
}

static void at_point(enum point point)
{
	if ((params[FAULT].value == FAULT_LOADER && point == POINT_SETUP) ||
	    (params[FAULT].value == FAULT_CLOCK && point == POINT_BETWEEN))
		stop_cycle_counter();
}

static void calibrate_loader(const char *name, void (*stall)(uint64_t us))
{
	const struct loader loader = {
		.name = name, .stall = stall, .lc = true, .user = PMUSERENR_EN,
		.at_point = at_point, .point = POINT_NONE,
	};

	calibrate_as_loader(&loader);
}

/* Runs in the loader, as the firmware keeps the count. After the last reboot a new count begins. */
static void choose_reboot(void)
{
	uint64_t count;

	if (!params[REBOOTS].value)
		return;
	count = read_reboots();
	reboot_number = count < params[REBOOTS].value ? count + 1 : 0;
	write_reboots(reboot_number);
}

void loader_main(const EFI_BOOT_SERVICES *services)
{
	read_params(params, ARRAY_SIZE(params));
	interval = interval_ticks(params[INTERVAL_US].value);
	check_pmu();
	choose_reboot();
	if (params[ACPI].value != ACPI_SOUND)
		acpi_spoil(params[ACPI].value);
	print("acpi pmu_interrupt=%u", acpi_check());
	calibrate_loader("firmware", firmware_stall);
	if (params[LISTEN].value)
		listen(services, params[LISTEN].value);
}

/* Runs after the line that says that all vCPUs are up. */
static void calibrate(void)
{
	wait_for_flag(&announced);
	run_as_kernel(params[SWITCHES].value, PMUSERENR_EN, NULL);
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

/* Records one line for many intervals: the console must be readable after days. */
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
	wait_for_flag(&started);
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
}

void guest_main(void)
{
	calibrate_loader("cntvct", stall_by_cntvct);
	start_secondaries(secondary_main);
	print("winlike vcpus=%u cntfrq=%lu seconds=%lu interval_us=%lu every=%lu", vcpu_count(),
	      cntfrq(), params[SECONDS].value, params[INTERVAL_US].value, params[EVERY].value);
	__atomic_store_n(&announced, 1, __ATOMIC_RELEASE);
	calibrate();
	wait_for_vcpus(&calibrated, "are calibrated");
	if (reboot_number) {
		print("reboot %lu of %lu", reboot_number, params[REBOOTS].value);
		reboot();
	}
	print("READY");
	while (params[FAULT].value == FAULT_HANG)
		asm volatile("yield");
	end_time = cntvct() + us_to_ticks(params[SECONDS].value * 1000000);
	__atomic_store_n(&started, 1, __ATOMIC_RELEASE);
	keep_time();
	wait_for_vcpus(&finished, "finished their measurement");
	print_last_deltas();
	pass("%lu intervals, none without cycles", measured);
}
