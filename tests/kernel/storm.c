// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Claim: whatever happens to VMs, their vCPUs and the host's CPUs, in any order and at the same
 * time, no guest's cycle counter loses a count, counts twice or goes back, and each overflow
 * interrupts once. Userspace saves and restores what the guest has. The kernel with the mode
 * reports no bug, and nothing is left of a VM that is gone.
 *
 * How: processes create VMs, some with the mode, others with a selected PMU or the default one.
 * They move and interrupt the vCPUs at random, and end the VMs. This process kills such processes,
 * and takes CPUs offline and back online.
 *
 *   storm exact      in the exact host, where a seed always gives the same storm: counters are
 *                    compared with the model of storm-model.c
 *   storm parallel   on CPUs that run at the same time, which finds races, with the debug kernel,
 *                    which reports them. It is judged by these reports, by what storm-leaks.c
 *                    counts, and by the progress of all vCPUs. A seed gives the same actions, but
 *                    not the same timing
 *
 * SEED, STORM_SECONDS and DEADLINE come from the environment. DEADLINE is in seconds: for a round,
 * which takes milliseconds, and for what must still happen after the storm. TAP on stdout.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/perf_event.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "storm.h"

/* The bounds in storm-model.c need both counters to count nanoseconds, as only the emulator's do */
#define CNTFRQ			1000000000
/* Microseconds between two actions of this process, at most */
#define PAUSE_US		20000

static const char *const actions[ACTIONS] = {
	[ROUNDS] = "rounds", [PROGRAMMED] = "times programmed",
	[INTERRUPTS] = "overflow interrupts", [SAVED] = "times saved and restored",
	[FRESH_VMS] = "moves to a fresh VM", [RESETS] = "resets of a vCPU", [MOVES] = "moves",
	[KICKS] = "kicks", [REFUSED] = "entries refused", [VMS] = "VMs",
	[ABANDONED] = "VMs closed while they ran", [KILLED] = "processes killed",
	[OFFLINED] = "CPUs taken offline", [PMUS_OFFLINED] = "times that a PMU had no CPU left",
};

static const char *const claims[CLAIMS] = {
	[COUNTS] = "no count is lost, made up or taken back",
	[OVERFLOWS] = "each overflow interrupts once, nothing else does",
	[STATE] = "userspace reads what the guest programmed, and restores what it saved",
	[LIFE] = "all vCPUs run, until they are ended",
};

struct storm *storm;

struct worker {
	pid_t pid;
	bool doomed;
	unsigned long progress;
	time_t since;
};

static struct worker workers[WORKERS];
static uint64_t online;

uint64_t draw(uint64_t *sequence)
{
	/* splitmix64: any seed is as good as any other */
	uint64_t value = *sequence += 0x9e3779b97f4a7c15;

	value = (value ^ value >> 30) * 0xbf58476d1ce4e5b9;
	value = (value ^ value >> 27) * 0x94d049bb133111eb;
	return value ^ value >> 31;
}

void broken(enum claim claim, const char *format, ...)
{
	va_list arguments;

	if ((!storm->exact && claim != LIFE) || atomic_exchange(&storm->claims[claim].broken, true))
		return;
	va_start(arguments, format);
	vsnprintf(storm->claims[claim].how, sizeof(storm->claims[claim].how), format, arguments);
	va_end(arguments);
	atomic_store(&storm->over, true);
}

static time_t now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec;
}

static void check_clocks(void)
{
	uint64_t frequency;

	asm("mrs %0, cntfrq_el0" : "=r"(frequency));
	if (frequency != CNTFRQ)
		die("the system counter runs at %lu Hz; the storm wants the emulated host",
		    frequency);
}

/*
 * Keeps KVM's and perf's hooks in the scheduler enabled during the whole storm, by a VM and an
 * event of a task. The kernel switches the hooks by rewriting instructions that all CPUs run, and
 * the emulator may continue with the old ones (docs/testbed.md). Then vCPUs would move without
 * their counters.
 */
static void keep_hooks(void)
{
	struct perf_event_attr dummy = { .type = PERF_TYPE_SOFTWARE, .size = sizeof(dummy),
					 .config = PERF_COUNT_SW_DUMMY };
	static struct vm vm;

	vm_create(&vm);
	if (syscall(SYS_perf_event_open, &dummy, 0, -1, -1, PERF_FLAG_FD_CLOEXEC) < 0)
		die("perf_event_open failed");
}

/* CPUs */

/* First brings CPUs online, then takes others offline: one is always left */
static void set_all_online(uint64_t cpus)
{
	for_each_cpu(cpu, cpus & ~online)
		set_online(cpu, true);
	for_each_cpu(cpu, online & ~cpus) {
		set_online(cpu, false);
		record(OFFLINED);
	}
	online = cpus;
}

static void plug(uint64_t *sequence)
{
	uint64_t cpus = draw(sequence) & all_cpus;

	/* Often take a whole PMU offline */
	if (one_in(sequence, 2))
		cpus = all_cpus & ~pmus[draw(sequence) % pmu_count].cpus;
	set_all_online(cpus ?: all_cpus);
	for (int i = 0; i < pmu_count; i++)
		if (!(pmus[i].cpus & online))
			record(PMUS_OFFLINED);
}

/* Processes of VMs */

static void start_worker(int number, uint64_t seed)
{
	struct worker *worker = &workers[number];

	fflush(stdout);
	worker->pid = fork();
	if (worker->pid < 0)
		die("fork failed");
	if (!worker->pid)
		worker_main(number, seed);
	worker->doomed = false;
	worker->since = now();
}

static void reap_worker(struct worker *worker)
{
	int status;

	if (waitpid(worker->pid, &status, 0) != worker->pid)
		die("waiting for a process of VMs failed");
	if (!worker->doomed && status)
		broken(LIFE, "a process of VMs ended with status 0x%x", status);
	worker->pid = 0;
}

static void kill_worker(struct worker *worker)
{
	worker->doomed = true;
	kill(worker->pid, SIGKILL);
	reap_worker(worker);
}

static bool has_ended(const struct worker *worker)
{
	siginfo_t info = { 0 };

	return !waitid(P_PID, worker->pid, &info, WEXITED | WNOHANG | WNOWAIT) && info.si_pid;
}

static void watch_worker(int number)
{
	struct worker *worker = &workers[number];
	unsigned long progress = atomic_load(&storm->progress[number]);

	if (progress != worker->progress) {
		worker->progress = progress;
		worker->since = now();
	}
	if (now() - worker->since > storm->deadline) {
		broken(LIFE, "none of the vCPUs of a process got anywhere for %ld seconds",
		       storm->deadline);
		kill_worker(worker);
	} else if (has_ended(worker) && !atomic_load(&storm->over)) {
		broken(LIFE, "a process of VMs ended by itself");
	}
}

/* Waits for the processes, which end when the storm is over, and kills those that hang */
static void end_workers(void)
{
	time_t deadline = now() + storm->deadline;

	atomic_store(&storm->over, true);
	for (int i = 0; i < WORKERS; i++) {
		struct worker *worker = &workers[i];

		if (!worker->pid)
			continue;
		while (!has_ended(worker) && now() < deadline)
			usleep(PAUSE_US);
		if (has_ended(worker)) {
			reap_worker(worker);
			continue;
		}
		broken(LIFE, "a process of VMs does not end");
		kill_worker(worker);
	}
}

static bool all_done(void)
{
	for (int i = 0; i < ACTIONS; i++)
		if (!atomic_load(&storm->done[i]))
			return false;
	return true;
}

/* On a slow machine a short storm goes on until each action has happened. */
static void make_storm(unsigned int seconds, uint64_t sequence)
{
	time_t end = now() + seconds, last = end + storm->deadline;

	for (int i = 0; i < WORKERS; i++)
		start_worker(i, draw(&sequence));
	while (!atomic_load(&storm->over) && (now() < end || (!all_done() && now() < last))) {
		int number = draw(&sequence) % WORKERS;

		usleep(draw(&sequence) % PAUSE_US);
		if (one_in(&sequence, 8))
			plug(&sequence);
		if (one_in(&sequence, 16)) {
			kill_worker(&workers[number]);
			record(KILLED);
			start_worker(number, draw(&sequence));
		}
		for (int i = 0; i < WORKERS && !atomic_load(&storm->over); i++)
			watch_worker(i);
	}
	set_all_online(all_cpus);
	end_workers();
}

/* Results */

static void test_claims(void)
{
	for (int i = storm->exact ? 0 : LIFE; i < CLAIMS; i++) {
		result(!atomic_load(&storm->claims[i].broken), "%s", claims[i]);
		if (atomic_load(&storm->claims[i].broken))
			printf("# %s\n", storm->claims[i].how);
	}
}

static void test_actions(void)
{
	for (int i = 0; i < ACTIONS; i++)
		printf("# %lu %s\n", atomic_load(&storm->done[i]), actions[i]);
	result(all_done(), "each kind of action happened");
}

static void prepare(bool exact)
{
	check_clocks();
	storm = mmap(NULL, sizeof(*storm), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
		     0);
	if (storm == MAP_FAILED)
		die("mmap failed");
	storm->exact = exact;
	storm->deadline = number_from("DEADLINE", NULL);
	online = all_cpus;
	keep_hooks();
}

static void run_storm(void)
{
	make_storm(number_from("STORM_SECONDS", NULL), number_from("SEED", NULL));
	test_claims();
	test_actions();
}

static void test_exact(void)
{
	prepare(true);
	run_storm();
}

static void test_parallel(void)
{
	struct leaks start;

	prepare(false);
	leaks_measure(&start);
	run_storm();
	leaks_test(&start);
}

const struct group groups[] = {
	{ "exact", test_exact, 2 },
	{ "parallel", test_parallel, 2 },
	{ 0 }
};
