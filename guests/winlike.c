// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Claim: PMCCNTR_EL0 goes on counting on each vCPU, whatever CPUs of the host the vCPU runs on.
 *
 * Why it matters: the Windows boot loader calibrates the cycle counter on the boot CPU and divides
 * by the result without checking it. It does not start without a PMU either. Arm ARM, chapter "The
 * Performance Monitors Extension".
 *
 * How it can tell, in three phases:
 *  - The boot vCPU calibrates as the loader does, see lib/calibrate.c.
 *  - Each vCPU charges threads with cycles as the kernel does, see lib/kernel.c, and prints how
 *    many threads got none.
 *  - Each vCPU measures intervals, and divides by the cycles of each. This is stricter than Windows
 *    is known to be. An interval without cycles is STOP, a counter that goes back is FAIL. The
 *    guest does not sleep, so a counter that runs counts in each interval.
 */
#include "guest.h"

enum { SECONDS, INTERVAL_US, UNTIL, SWITCHES, REBOOTS, AT, ACTION, LC, USER };
enum until { UNTIL_LOADER, UNTIL_KERNEL, UNTIL_STRICT };
enum action { ACTION_HOLD, ACTION_STOP, ACTION_START };
enum user { USER_EN, USER_CR_ER };

static const char *const untils[] = { "loader", "kernel", "strict", NULL };
static const char *const actions[] = { "hold", "stop", "start", NULL };
static const char *const lcs[] = { "off", "on", NULL };
static const char *const users[] = { "en", "cr_er", NULL };

static struct param params[] = {
	/* 0: until something is typed at the UART */
	[SECONDS] = { .name = "seconds", .value = 3, .min = 0, .max = 3600 },
	[INTERVAL_US] = { .name = "interval_us", .value = 10000, .min = 10, .max = 1000000 },
	/* the last phase */
	[UNTIL] = { .name = "until", .value = UNTIL_STRICT, .words = untils },
	/* between threads of the kernel's phase */
	[SWITCHES] = { .name = "switches", .value = 20, .min = 2, .max = 1000000 },
	/* Windows reboots several times while it is installed */
	[REBOOTS] = { .name = "reboots", .value = 0, .min = 0, .max = 1000 },
	/* a point of the calibration; what is done there (start: the counter starts only then) */
	[AT] = { .name = "at", .value = POINT_NONE, .words = loader_points },
	[ACTION] = { .name = "action", .value = ACTION_HOLD, .words = actions },
	/* it is not known what the loader of Windows writes there */
	[LC] = { .name = "lc", .value = true, .words = lcs },
	[USER] = { .name = "user", .value = USER_EN, .words = users },
};

static const uint64_t user_bits[] = {
	[USER_EN] = PMUSERENR_EN, [USER_CR_ER] = PMUSERENR_CR | PMUSERENR_ER,
};

static uint64_t end_time, interval, measured;
static unsigned int announced, switched, started, stopped, finished;

/* At an address that no program uses, in memory that a reset does not clear. */
#define REBOOT_COUNT	((volatile uint64_t *)0x40100000)
#define REBOOT_MAGIC	0x7265626f6f740000UL

static void measure_once(void)
{
	struct delta delta = measure_interval(interval);

	/* record first, so that a delta of zero is printed, too */
	record_delta(delta);
	divide_by_cycles(delta);
	__atomic_add_fetch(&measured, 1, __ATOMIC_RELAXED);
}

/* To read the UART is an exit of the vCPU, so one vCPU reads it for all. */
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
	wait_for_flag(&started);
	enable_cycle_counter();
	/* at least once: a vCPU that came too late must not pass unmeasured */
	do {
		measure_once();
	} while (!is_over());
	__atomic_add_fetch(&finished, 1, __ATOMIC_RELEASE);
}

/* Waits for input: the test moves the vCPU meanwhile. */
static void hold(const char *where)
{
	print("hold %s", where);
	while (!has_input())
		asm volatile("yield");
	take_input();
}

static void at_point(enum point point)
{
	enum action action = params[ACTION].value;

	if (params[AT].value == POINT_NONE)
		return;
	if (point == POINT_SETUP && action == ACTION_START)
		write_sysreg(PMCNTEN_C, pmcntenclr_el0);
	if (point != params[AT].value)
		return;
	if (action == ACTION_HOLD)
		hold(loader_points[point]);
	else if (action == ACTION_STOP)
		write_sysreg(PMCNTEN_C, pmcntenclr_el0);
	else
		write_sysreg(PMCNTEN_C, pmcntenset_el0);
}

static bool calibrate(void)
{
	const struct loader loader = {
		.name = "cntvct", .stall = stall_by_cntvct, .lc = params[LC].value,
		.user = user_bits[params[USER].value],
		.at_point = at_point, .point = params[AT].value,
	};

	return calibrate_as_loader(&loader);
}

static void hold_in_kernel(void)
{
	at_point(POINT_KERNEL);
}

/*
 * Runs after the line that says that all vCPUs are up. Only one vCPU is held: the test moves one.
 */
static void run_kernel(void)
{
	wait_for_flag(&announced);
	run_as_kernel(params[SWITCHES].value, user_bits[params[USER].value],
		      vcpu_index() ? NULL : hold_in_kernel);
	__atomic_add_fetch(&switched, 1, __ATOMIC_RELEASE);
}

/* Reboots, or returns when there were enough reboots. */
static void reboot_again(void)
{
	uint64_t count = *REBOOT_COUNT - REBOOT_MAGIC;

	if (count >= params[REBOOTS].value) {
		if (*REBOOT_COUNT == REBOOT_MAGIC + params[REBOOTS].value)
			return;
		count = 0;
	}
	*REBOOT_COUNT = REBOOT_MAGIC + count + 1;
	print("reboot %lu of %lu", count + 1, params[REBOOTS].value);
	reboot();
}

static void secondary_main(void)
{
	run_kernel();
	measure();
}

void guest_main(void)
{
	bool clock_is_right;

	read_params(params, ARRAY_SIZE(params));
	interval = interval_ticks(params[INTERVAL_US].value);
	clock_is_right = calibrate();
	if (params[UNTIL].value == UNTIL_LOADER)
		pass("calibrated, the clock is %s", clock_is_right ? "right" : "wrong");
	start_secondaries(secondary_main);
	print("winlike vcpus=%u cntfrq=%lu seconds=%lu interval_us=%lu", vcpu_count(), cntfrq(),
	      params[SECONDS].value, params[INTERVAL_US].value);
	__atomic_store_n(&announced, 1, __ATOMIC_RELEASE);
	run_kernel();
	wait_for_vcpus(&switched, "ran their threads");
	if (params[REBOOTS].value)
		reboot_again();
	if (params[UNTIL].value == UNTIL_KERNEL)
		pass("threads ran on %u vCPUs", vcpu_count());
	end_time = cntvct() + us_to_ticks(params[SECONDS].value * 1000000);
	__atomic_store_n(&started, 1, __ATOMIC_RELEASE);
	measure();
	wait_for_vcpus(&finished, "finished their measurement");
	print_last_deltas();
	pass("%lu deltas, none zero", measured);
}
