// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Measures what KVM_RUN costs, from one store to the window to the next, in ticks of the system
 * counter. Run it on the exact host (testbed/run --exact), where a tick is an instruction of any of
 * its CPUs.
 *
 *   bench LAPS
 *
 * On a kernel that does not know the mode, VMs with it are left out. Each line of stdout is a name
 * and a number; bench.py evaluates them.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "guest.h"
#include "vm.h"

#define MAX_PMUS	8
#define MAX_LAPS	10000
/*
 * Laps before those that are measured: afterwards each PMU has been visited, and caches of the
 * emulated kernel (slabs, RCU) are warm
 */
#define WARMUP_LAPS	32
/* Cycles to go to an overflow: more than are counted here */
#define NEAR		(1 << 24)
#define MOST_VCPUS	4
/* Turns of the guest's inner loop for laps whose cycles are compared */
#define EXACT_TURNS	64
#define MOVES		1000
/* Writes of the counter by the guest, at a time */
#define WRITES		64

static struct host_pmu pmus[MAX_PMUS];
static int pmu_count;

/* What userspace chooses, and what the guest programs */
struct setup {
	const char *name;
	/* Attribute of KVM_ARM_VCPU_PMU_V3_CTRL; 0 leaves the choice to KVM */
	int attr;
	uint64_t pmcr, start;
};

#define FIXED	KVM_ARM_VCPU_PMU_V3_FIXED_COUNTERS_ONLY

static const struct setup unused = { "unused", 0, PMCR_E | PMCR_LC, 0 };
static const struct setup single = { "single", KVM_ARM_VCPU_PMU_V3_SET_PMU, PMCR_E | PMCR_LC, 0 };
static const struct setup fixed = { "fixed", FIXED, PMCR_E | PMCR_LC, 0 };
static const struct setup armed = { "armed", FIXED, PMCR_E, (1ULL << 32) - NEAR };
static const struct setup armed_64bit = { "armed_64bit", FIXED, PMCR_E | PMCR_LC, -(uint64_t)NEAR };

/* Returns where a vCPU moves before a lap. With several vCPUs each begins on another CPU. */
struct move {
	const char *name;
	uint64_t (*where)(int vcpu, int lap);
};

static uint64_t cpu_of(const struct host_pmu *pmu, int number)
{
	uint64_t cpus = pmu->cpus;

	for (number %= __builtin_popcountll(cpus); number; number--)
		cpus &= cpus - 1;
	return cpus & -cpus;
}

static uint64_t stay(int vcpu, int lap)
{
	(void)lap;
	return cpu_of(&pmus[vcpu % pmu_count], vcpu / pmu_count);
}

static uint64_t within_pmu(int vcpu, int lap)
{
	return cpu_of(&pmus[vcpu / __builtin_popcountll(pmus[0].cpus)], vcpu + lap);
}

static uint64_t across_pmus(int vcpu, int lap)
{
	return cpu_of(&pmus[(vcpu + lap) % pmu_count], vcpu / pmu_count);
}

static const struct move same_cpu = { "same_cpu", stay };
static const struct move same_pmu = { "same_pmu", within_pmu };
static const struct move cross_pmu = { "cross_pmu", across_pmus };

/*
 * Numbers, of which the median counts: work on another CPU of the host makes some larger, but none
 * smaller
 */
struct sample {
	uint64_t values[MOST_VCPUS * MAX_LAPS];
	int count;
};

static void add(struct sample *sample, uint64_t value)
{
	sample->values[sample->count++] = value;
}

static int compare(const void *left, const void *right)
{
	uint64_t a = *(const uint64_t *)left, b = *(const uint64_t *)right;

	return (a > b) - (a < b);
}

static void sort(struct sample *sample)
{
	qsort(sample->values, sample->count, sizeof(*sample->values), compare);
}

static uint64_t percentile(struct sample *sample, int percent)
{
	sort(sample);
	return sample->values[(sample->count - 1) * percent / 100];
}

/* The mean of the middle half, for samples with more than one common value */
static uint64_t middle(struct sample *sample)
{
	int first = sample->count / 4, last = sample->count - first;
	uint64_t sum = 0;

	sort(sample);
	for (int i = first; i < last; i++)
		sum += sample->values[i];
	return sum / (last - first);
}

static void set_register(struct vm *vm, int vcpu, int number, uint64_t value)
{
	if (vcpu_set_reg(vm, vcpu, REG_CORE(regs.regs[0]) + number * 2, value))
		die("setting x%d failed", number);
}

static void set_up_pmu(struct vm *vm, int vcpu, int attr)
{
	int irq = GUEST_PMU_PPI, type = pmus[0].type;

	if ((attr && vcpu_set_attr(vm, vcpu, attr, &type)) ||
	    vcpu_set_attr(vm, vcpu, KVM_ARM_VCPU_PMU_V3_IRQ, &irq) ||
	    vcpu_set_attr(vm, vcpu, KVM_ARM_VCPU_PMU_V3_INIT, NULL))
		die("setting the PMU of vCPU %d up failed", vcpu);
}

/* All vCPUs run ENTRY, with TURNS of its inner loop between two reports */
static void create(struct vm *vm, const struct setup *setup, int vcpus, const char *entry,
		   uint64_t turns)
{
	uint64_t pc;

	/* The default PMU is that of the CPU where a vCPU is initialised */
	pin_to(pmus[0].cpus);
	vm_create(vm);
	for (int i = 0; i < vcpus; i++) {
		vcpu_create(vm, i);
		if (vcpu_init(vm, i, PMU))
			die("KVM_ARM_VCPU_INIT failed");
	}
	vm_create_gic(vm);
	vm_load(vm, entry);
	pc = vcpu_get_reg(vm, 0, REG_CORE(regs.pc));
	for (int i = 0; i < vcpus; i++) {
		set_up_pmu(vm, i, setup->attr);
		vcpu_set_reg(vm, i, REG_CORE(regs.pc), pc);
		set_register(vm, i, 0, setup->pmcr);
		set_register(vm, i, 1, setup->start);
		set_register(vm, i, 2, PMU_CYCLE_BIT);
		set_register(vm, i, 3, turns);
		set_register(vm, i, 6, setup->pmcr);
	}
}

/* Does one KVM_RUN and returns its ticks; value is what the guest reported */
static uint64_t run(struct vm *vm, int vcpu, uint64_t *value)
{
	struct kvm_run *state = vm->run[vcpu];
	uint64_t start = read_cntvct(), ticks;
	int status = ioctl(vm->vcpu[vcpu], KVM_RUN, 0);

	ticks = read_cntvct() - start;
	if (status || state->exit_reason != KVM_EXIT_MMIO ||
	    state->mmio.phys_addr != GUEST_MMIO + GUEST_VALUE)
		die("expected a value of vCPU %d, got KVM exit %u, address 0x%llx", vcpu,
		    state->exit_reason,
		    (unsigned long long)state->mmio.phys_addr);
	memcpy(value, state->mmio.data, sizeof(*value));
	return ticks;
}


/* One vCPU, its thread, and what it measures */
struct runner {
	struct vm *vm;
	int vcpu, laps;
	const struct move *move;
	pthread_t thread;
	/* For each lap: ticks of KVM_RUN, ticks of the move before it, what the guest reported */
	uint64_t runs[MAX_LAPS], moves[MAX_LAPS], values[MAX_LAPS];
};

static struct runner runners[MOST_VCPUS];

static uint64_t do_move(uint64_t cpus)
{
	uint64_t start = read_cntvct();

	pin_to(cpus);
	return read_cntvct() - start;
}

static void *do_laps(void *argument)
{
	struct runner *runner = argument;

	for (int i = -WARMUP_LAPS; i < runner->laps; i++) {
		uint64_t value, moved = do_move(runner->move->where(runner->vcpu, i + WARMUP_LAPS)),
			ran;

		settle();
		ran = run(runner->vm, runner->vcpu, &value);
		if (i < 0)
			continue;
		runner->moves[i] = moved;
		runner->runs[i] = ran;
		runner->values[i] = value;
	}
	return NULL;
}

/*
 * Runs all vCPUs at the same time, each in a thread of its own. vCPU 0 always runs in this thread,
 * to which its perf events belong.
 */
static void run_laps(struct vm *vm, int vcpus, const struct move *move, int laps)
{
	for (int i = vcpus - 1; i >= 0; i--) {
		struct runner *runner = &runners[i];

		*runner = (struct runner){ .vm = vm, .vcpu = i, .laps = laps, .move = move };
		if (!i)
			do_laps(runner);
		else if (pthread_create(&runner->thread, NULL, do_laps, runner))
			die("starting a thread failed");
	}
	for (int i = 1; i < vcpus; i++)
		pthread_join(runners[i].thread, NULL);
}

static void print(const char *name, const char *unit, uint64_t value)
{
	printf("%s_%s %llu\n", name, unit, (unsigned long long)value);
	fflush(stdout);
}

static void measure_run(const struct setup *setup, const struct move *move, int vcpus, int laps)
{
	static struct sample runs, moves;
	char name[64];
	struct vm vm;

	create(&vm, setup, vcpus, guest_count, 1);
	run_laps(&vm, vcpus, move, laps);
	vm_destroy(&vm);
	runs.count = moves.count = 0;
	for (int i = 0; i < vcpus; i++) {
		for (int lap = 0; lap < laps; lap++) {
			add(&runs, runners[i].runs[lap]);
			add(&moves, runners[i].runs[lap] + runners[i].moves[lap]);
		}
	}
	snprintf(name, sizeof(name), "%s_%s_%d_vcpus", setup->name, move->name, vcpus);
	print(name, "run_insn", percentile(&runs, 50));
	print(name, "run_spread_insn", percentile(&runs, 90) - percentile(&runs, 10));
	print(name, "move_and_run_insn", middle(&moves));
}

static void measure_runs(const struct setup *setup, int vcpus, int laps)
{
	measure_run(setup, &same_cpu, vcpus, laps);
	measure_run(setup, &same_pmu, vcpus, laps);
	if (pmu_count > 1)
		measure_run(setup, &cross_pmu, vcpus, laps);
}

/*
 * Measures a read of the counter by the guest: the most it takes on any PMU, once all have been
 * visited
 */
static void measure_read(const struct setup *setup, int laps)
{
	int visited = setup->attr == FIXED ? pmu_count : 1;
	static struct sample reads;
	uint64_t worst = 0, value;
	struct vm vm;

	create(&vm, setup, 1, guest_read, 0);
	if (visited > 1)
		run_laps(&vm, 1, &cross_pmu, visited);
	for (int i = 0; i < visited; i++) {
		do_move(cpu_of(&pmus[i], 0));
		reads.count = 0;
		for (int lap = 0; lap < laps; lap++) {
			run(&vm, 0, &value);
			add(&reads, value / GUEST_READS);
		}
		if (percentile(&reads, 50) > worst)
			worst = percentile(&reads, 50);
	}
	vm_destroy(&vm);
	print(setup->name, "read_insn", worst);
}

/*
 * Measures a write of the counter by the guest after MOVE, once all PMUs have been visited: WRITES
 * of them at a time
 */
static void measure_write(const struct setup *setup, const struct move *move, int writes, int laps)
{
	static struct sample values;
	char name[64];
	struct vm vm;

	create(&vm, setup, 1, guest_write, writes);
	if (setup->attr == FIXED)
		run_laps(&vm, 1, &cross_pmu, pmu_count);
	run_laps(&vm, 1, move, laps);
	vm_destroy(&vm);
	values.count = 0;
	for (int lap = 0; lap < laps; lap++)
		add(&values, runners[0].values[lap] / writes);
	snprintf(name, sizeof(name), "%s_%s_write", setup->name, move->name);
	print(name, "insn", percentile(&values, 50));
}

/*
 * Adds up how far the cycles between two reports of the guest in a row are from LENGTH. No other
 * CPU has anything to do meanwhile.
 */
static uint64_t sum_differences(int laps, uint64_t length)
{
	uint64_t sum = 0;

	for (int i = 1; i <= laps; i++) {
		int64_t ahead = runners[0].values[i] - runners[0].values[i - 1] - length;

		sum += ahead < 0 ? -ahead : ahead;
	}
	return sum;
}

/*
 * Measures the cycles that are missing, or too many, in laps that each follow a move to another
 * PMU. Laps without moves are all alike and give the right length.
 */
static void measure_lost_cycles(void)
{
	static struct sample laps;
	uint64_t length;
	struct vm vm;

	create(&vm, &fixed, 1, guest_count, EXACT_TURNS);
	run_laps(&vm, 1, &same_cpu, WARMUP_LAPS);
	laps.count = 0;
	for (int i = 1; i < WARMUP_LAPS; i++)
		add(&laps, runners[0].values[i] - runners[0].values[i - 1]);
	length = percentile(&laps, 50);
	if (length < 2 * EXACT_TURNS)
		die("a lap counts %llu cycles, less than the instructions of its loop",
		    (unsigned long long)length);
	run_laps(&vm, 1, &cross_pmu, MOVES + 1);
	vm_destroy(&vm);
	print("fixed", "lap_cycles", length);
	print("fixed", "lost_cycles", sum_differences(MOVES, length));
}

/* Bytes of an object of a slab cache */
static uint64_t object_size(const char *cache)
{
	FILE *stream = fopen("/proc/slabinfo", "re");
	char line[512], found[64];
	unsigned long size = 0;
	bool ok = false;

	if (!stream)
		die("cannot read /proc/slabinfo");
	while (!ok && fgets(line, sizeof(line), stream))
		ok = sscanf(line, "%63s %*u %*u %lu", found, &size) == 2 && !strcmp(found, cache);
	fclose(stream);
	if (!ok)
		die("/proc/slabinfo has no %s", cache);
	return size;
}

static void measure_setup(const struct setup *setup, int laps)
{
	for (int vcpus = 1; vcpus <= MOST_VCPUS; vcpus *= 2)
		measure_runs(setup, vcpus, laps);
}

static bool has_mode(void)
{
	struct vm vm;
	bool has;

	vm_create(&vm);
	vcpu_create(&vm, 0);
	has = !vcpu_init(&vm, 0, 1U << KVM_ARM_VCPU_PMU_V3) && !vcpu_has_attr(&vm, 0, FIXED);
	vm_destroy(&vm);
	return has;
}

int main(int argc, char **argv)
{
	int laps = argc == 2 ? atoi(argv[1]) : 0;

	if (laps < 1 || laps > MAX_LAPS)
		die("usage: bench LAPS");
	pmu_count = host_pmus(pmus, MAX_PMUS);
	print("host", "pmus", pmu_count);
	print("vcpu", "bytes", object_size("kvm_vcpu"));
	print("event", "bytes", object_size("perf_event"));
	measure_setup(&unused, laps);
	measure_read(&single, laps);
	measure_write(&single, &same_cpu, WRITES, laps);
	if (!has_mode())
		return 0;
	measure_setup(&fixed, laps);
	measure_read(&fixed, laps);
	measure_write(&fixed, &same_cpu, WRITES, laps);
	measure_write(&fixed, &cross_pmu, 1, laps);
	measure_lost_cycles();
	measure_runs(&armed, 1, laps);
	measure_runs(&armed_64bit, 1, laps);
	return 0;
}
