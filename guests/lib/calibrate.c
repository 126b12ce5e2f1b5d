// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What the boot loader of Windows does with the PMU, as far as it is known: a public trap log of a
 * build of 2022 has the order of its accesses. It is not known which values it writes, and what it
 * does when a count goes back; here numbers are unsigned and have 64 bits.
 */
#include "guest.h"

#define WARM_US		1
#define SHORT_US	1000
#define LONG_US		9000
#define LATER_US	5000
/* The last two stalls differ by 8 ms; so many times 8 ms are a second */
#define DIFFERENCES_PER_SECOND	125
/* A clock that is off by more is called wrong. A busy machine disturbs a rate by less. */
#define WRONG_FACTOR	6

#define ALL_COUNTERS	0xffffffffUL

const char *const loader_points[] = {
	[POINT_NONE] = "none", [POINT_SETUP] = "setup", [POINT_SHORT] = "short",
	[POINT_BETWEEN] = "between", [POINT_EARLY] = "early", [POINT_LATE] = "late",
	[POINT_END] = "end", [POINT_KERNEL] = "kernel", NULL,
};

/* Points inside a stall split it in two. */
static const struct {
	uint64_t stall_us, split_us;
} inside[] = {
	[POINT_SHORT] = { SHORT_US, 500 },
	[POINT_EARLY] = { LONG_US, 2000 },
	[POINT_LATE] = { LONG_US, 8000 },
	[POINT_KERNEL] = { 0, 0 },
};

struct span {
	uint64_t cycles, ticks;
};

static struct span now(void)
{
	struct span now;

	isb();
	now.ticks = cntvct();
	isb();
	now.cycles = read_cycles();
	isb();
	return now;
}

static struct span since(struct span start)
{
	struct span end = now();

	return (struct span){ .cycles = end.cycles - start.cycles,
			      .ticks = end.ticks - start.ticks };
}

/* A calibration that runs. held: what its points took, which is not part of a stall. */
struct run {
	const struct loader *loader;
	struct span held;
};

static void pass_point(struct run *run, enum point point)
{
	struct span start = now(), taken;

	if (!run->loader->at_point)
		return;
	run->loader->at_point(point);
	taken = since(start);
	run->held.cycles += taken.cycles;
	run->held.ticks += taken.ticks;
}

static struct span stall(struct run *run, uint64_t us)
{
	const struct loader *loader = run->loader;
	struct span held = run->held, start = now(), span;

	if (inside[loader->point].stall_us == us) {
		loader->stall(inside[loader->point].split_us);
		pass_point(run, loader->point);
		loader->stall(us - inside[loader->point].split_us);
	} else {
		loader->stall(us);
	}
	span = since(start);
	span.cycles -= run->held.cycles - held.cycles;
	span.ticks -= run->held.ticks - held.ticks;
	return span;
}

/* IMP, IDCODE and N of PMCR_EL0 are written back as read. */
void set_up_as_loader(bool lc, uint64_t user)
{
	uint64_t pmcr;

	read_sysreg(pmccntr_el0);
	pmcr = read_sysreg(pmcr_el0);
	write_sysreg(ALL_COUNTERS, pmcntenclr_el0);
	write_sysreg(ALL_COUNTERS, pmovsclr_el0);
	write_sysreg(ALL_COUNTERS, pmintenclr_el1);
	write_sysreg((pmcr & ~(uint64_t)PMCR_LC) | PMCR_E | (lc ? PMCR_LC : 0), pmcr_el0);
	write_sysreg(0, pmccfiltr_el0);
	write_sysreg(PMCNTEN_C, pmcntenset_el0);
	write_sysreg(user, pmuserenr_el0);
	isb();
	read_sysreg(pmccntr_el0);
}

static uint64_t rate_of(struct span span)
{
	return span.ticks ? span.cycles * cntfrq() / span.ticks : 0;
}

static uint64_t higher(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

/*
 * A counter that stood still shows a rate that is too low, never one that is too high: the highest
 * rate is right.
 */
static bool is_wrong(uint64_t frequency, uint64_t rate)
{
	return frequency / WRONG_FACTOR > rate || frequency < rate / WRONG_FACTOR;
}

bool calibrate_as_loader(const struct loader *loader)
{
	struct run run = { .loader = loader };
	struct span first, second, later;
	uint64_t frequency, rate;
	bool wrong;

	check_pmu();
	set_up_as_loader(loader->lc, loader->user);
	pass_point(&run, POINT_SETUP);
	stall(&run, WARM_US);
	first = stall(&run, SHORT_US);
	pass_point(&run, POINT_BETWEEN);
	second = stall(&run, LONG_US);
	frequency = DIFFERENCES_PER_SECOND * (second.cycles - first.cycles);
	pass_point(&run, POINT_END);
	if (!(frequency / 1000))
		stop("divide by zero vcpu=%u loader stall=%s short=%lu long=%lu held=%lu "
		     "frequency=%lu", vcpu_index(), loader->name, first.cycles, second.cycles,
		     run.held.cycles, frequency);
	later = stall(&run, LATER_US);
	rate = higher(rate_of(first), higher(rate_of(second), rate_of(later)));
	wrong = is_wrong(frequency, rate);
	print("loader stall=%s short=%lu long=%lu held=%lu frequency=%lu rate=%lu elapsed_ms=%lu "
	      "clock=%s", loader->name, first.cycles, second.cycles, run.held.cycles, frequency,
	      rate, later.cycles / (frequency / 1000), wrong ? "wrong" : "right");
	return !wrong;
}
