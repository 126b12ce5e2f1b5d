// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Claim: the storm's model lets pass what a counter may do, an overflow that the emulator makes too early among it, and nothing else;
 * and cycles which such an overflow makes up are not among those that guests could have witnessed.
 *
 * Early overflows happen by chance, in some storms and not in others. Here rounds are made up, and each case has one.
 */
#include <stdio.h>
#include <string.h>

#include "storm.h"

/* A round, in nanoseconds: when the guest begins it, what it sees pass in small steps, and how long it is */
#define BEGIN			1000000
#define IN_GUEST		600
#define LENGTH			1000
/* The counter's own part of it; between the last round's end and its first reading; and the most that either may be */
#define COUNT			800
#define BEFORE			250
#define MOST_WITHIN		(LENGTH - 200)
#define MOST_BEFORE		300

/* Far from overflows of both widths, and as far before one as is long for a storm */
#define FAR			0x1234567800000000ULL
#define DISTANCE		50000000ULL
/* What a period has behind it */
#define ELAPSED			1000000000ULL

#define WIDE			(PMCR_E | PMCR_LC)
#define NARROW			PMCR_E
#define NONE			CLAIMS

/* What is not told is as in a round in which nothing special happens */
static const struct made_up {
	const char *what;
	uint64_t pmcr, value;
	/* Which the counter counts besides, before its first reading in the round and between the two */
	uint64_t more_before, more_within;
	/* And what it counted since it was written */
	uint64_t elapsed;
	bool disabled, by_default;
	/* Expected: which claim breaks, how many overflows are early, and whether the round's cycles count as countable by guests */
	enum claim breaks;
	unsigned long early;
	bool left_out;
	/* What comes after the round */
	unsigned int interrupts;
} rounds[] = {
	{ "a round", WIDE, FAR, .breaks = NONE },
	{ "a round's end, by an overflow", WIDE, -(uint64_t)BEFORE - COUNT, .breaks = NONE, .interrupts = 1 },
	{ "a round with an overflow of 32 bits", NARROW, FAR - BEFORE - 1, .breaks = NONE, .interrupts = 1 },
	{ "a counter that stands still", WIDE, FAR, -(uint64_t)BEFORE, -(uint64_t)COUNT, .disabled = true, .breaks = NONE, .left_out = true },
	{ "the default PMU, on a CPU that is not its own", WIDE, FAR, 0, -(uint64_t)COUNT, .by_default = true, .breaks = NONE, .left_out = true },
	{ "all that may be", WIDE, FAR, MOST_BEFORE - BEFORE, MOST_WITHIN - COUNT, .breaks = NONE },

	{ "lost within the round", WIDE, FAR, 0, IN_GUEST - COUNT - 1, .breaks = COUNTS },
	{ "made up within the round", WIDE, FAR, 0, MOST_WITHIN - COUNT + 1, .breaks = COUNTS, .left_out = true },
	{ "made up between rounds", WIDE, FAR, MOST_BEFORE - BEFORE + 1, .breaks = COUNTS },
	{ "back between rounds", WIDE, FAR, -(uint64_t)BEFORE - 1, .breaks = COUNTS },
	{ "back within the round", WIDE, FAR, 0, -(uint64_t)COUNT - 1, .breaks = COUNTS, .left_out = true },
	{ "disabled, and yet it counts", WIDE, FAR, -(uint64_t)BEFORE, 1 - (uint64_t)COUNT, .disabled = true, .breaks = COUNTS, .left_out = true },
	{ "an interrupt without an overflow", WIDE, FAR, .breaks = OVERFLOWS, .interrupts = 1 },
	{ "two interrupts of an overflow", WIDE, -(uint64_t)BEFORE - 1, .breaks = OVERFLOWS, .interrupts = 2 },

	{ "early between rounds", WIDE, -DISTANCE, DISTANCE - BEFORE, .breaks = NONE, .early = 1, .interrupts = 1 },
	{ "early within the round", WIDE, -DISTANCE - BEFORE, 0, DISTANCE, .breaks = NONE, .early = 1, .left_out = true, .interrupts = 1 },
	{ "32 bits, early within the round", NARROW, FAR - DISTANCE - BEFORE, 0, DISTANCE, .breaks = NONE, .early = 1, .left_out = true,
	  .interrupts = 1 },
	{ "a renewed period ends early", WIDE, FAR, 0, PERIOD_REARMED, .breaks = NONE, .early = 1, .left_out = true, .interrupts = 1 },
	{ "a renewed period ends early, twice the interrupt", WIDE, FAR, 0, PERIOD_REARMED, .breaks = OVERFLOWS, .early = 1, .left_out = true,
	  .interrupts = 2 },
	{ "a new period ends early", WIDE, FAR, 0, PERIOD_NEW, .breaks = NONE, .early = 1, .left_out = true, .interrupts = 1 },
	{ "what was left of a new period ends early", WIDE, FAR, PERIOD_NEW - ELAPSED - BEFORE, .elapsed = ELAPSED, .breaks = NONE, .early = 1,
	  .interrupts = 1 },
	{ "what was left of a renewed period ends early", WIDE, FAR, 0, PERIOD_REARMED - ELAPSED - BEFORE - COUNT, .elapsed = ELAPSED,
	  .breaks = NONE, .early = 1, .left_out = true, .interrupts = 1 },
	{ "less than was left of a period", WIDE, FAR, 0, PERIOD_REARMED - ELAPSED - BEFORE - COUNT - 1, .elapsed = ELAPSED,
	  .breaks = COUNTS, .left_out = true },
	{ "more than was left of a period", WIDE, FAR, 0, PERIOD_NEW + MOST_WITHIN - COUNT + 1, .elapsed = ELAPSED, .breaks = COUNTS,
	  .left_out = true },
	{ "no period, after one that ended early", WIDE, FAR, PERIOD_REARMED, PERIOD_REARMED + ELAPSED, .breaks = COUNTS,
	  .early = 1, .left_out = true },
	{ "less than to the overflow", WIDE, -DISTANCE - BEFORE, 0, DISTANCE - COUNT - 1, .breaks = COUNTS, .left_out = true },
	{ "a period that would be farther than the overflow", WIDE, -DISTANCE - BEFORE, 0, PERIOD_REARMED, .breaks = COUNTS, .left_out = true },
	{ "farther than an early overflow", WIDE, -DISTANCE - BEFORE, 0, DISTANCE + MOST_WITHIN - COUNT + 1, .breaks = COUNTS, .left_out = true },
};

static void judge(const struct made_up *made_up)
{
	struct counter counter = {
		.programmed = true, .enabled = !made_up->disabled, .pmcr = made_up->pmcr,
		.value = made_up->value, .passed = made_up->value, .start = made_up->value - made_up->elapsed, .time = BEGIN - 100,
	};
	struct round round = { .backing = made_up->by_default ? BACKED_BY_DEFAULT : BACKED_BY_FIXED };
	struct sample sample = {
		.begin = BEGIN, .before_first = BEGIN + 190, .after_first = counter.time + MOST_BEFORE, .in_guest = IN_GUEST,
		.last = BEGIN + LENGTH - 20, .end = BEGIN + 190 + MOST_WITHIN,
	};

	sample.first = made_up->value + BEFORE + made_up->more_before;
	sample.second = sample.first + COUNT + made_up->more_within;
	apply_round(&counter, &round);
	judge_round(&counter, &round, &sample);
	for (unsigned int i = 0; i < made_up->interrupts; i++)
		judge_interrupt(&counter, sample.second);
}

static bool is_as_expected(const struct made_up *made_up)
{
	uint64_t counted = made_up->left_out ? 0 : COUNT + made_up->more_within, witnessed = made_up->left_out ? 0 : IN_GUEST;
	bool ok = atomic_load(&storm->counted) == counted && atomic_load(&storm->witnessed) == witnessed &&
		  atomic_load(&storm->early) == made_up->early;

	for (enum claim claim = 0; claim < CLAIMS; claim++)
		ok &= atomic_load(&storm->claims[claim].broken) == (claim == made_up->breaks);
	return ok;
}

static void explain(const struct made_up *made_up)
{
	printf("# %lu cycles counted, %lu witnessed, %lu overflows early, wanted %lu\n", atomic_load(&storm->counted),
	       atomic_load(&storm->witnessed), atomic_load(&storm->early), made_up->early);
	for (enum claim claim = 0; claim < CLAIMS; claim++)
		if (atomic_load(&storm->claims[claim].broken))
			printf("# claim %d: %s\n", claim, storm->claims[claim].how);
}

void test_judge(void)
{
	static struct storm made_up_storm;

	storm = &made_up_storm;
	for (size_t i = 0; i < ARRAY_SIZE(rounds); i++) {
		bool ok;

		memset(storm, 0, sizeof(*storm));
		judge(&rounds[i]);
		ok = is_as_expected(&rounds[i]);
		result(ok, "%s", rounds[i].what);
		if (!ok)
			explain(&rounds[i]);
	}
}
