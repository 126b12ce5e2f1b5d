// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Claim: in any order of calls, the attributes of a vCPU's PMU return what
 * Documentation/virt/kvm/devices/vcpu.rst says.
 *
 * How it can tell: random sequences of calls are made to KVM and to a model that was written from
 * that text. The text lists errors, but not which one takes precedence: the model gives all that
 * apply, and KVM may return any of them. Where KVM deviates from the text, and did so before our
 * series, the model follows KVM; "Not documented" marks each such place.
 *
 *   random all      all calls
 *   random stock    without the calls for fixed counters only, on any kernel; prints all results,
 *                   so that kernels can be compared
 *
 * SEED=n COUNT=n  the first sequence, and how many
 * OPS="name:vcpu ..."  one sequence instead, as printed for a failed one
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "random.h"

#define LENGTH_MIN	4
#define LENGTH_MAX	24

struct call {
	const struct action *action;
	int vcpu;
};

struct sequence {
	struct call calls[LENGTH_MAX];
	int length;
	/* It is compared with a stock kernel: without the calls that differ on purpose */
	bool compared;
};

/* How a sequence went: the call that returned something unexpected, -1 when none did */
struct outcome {
	int failed;
	int got, wanted;
	uint64_t allowed;
};

static bool is_expected(const struct outcome *outcome)
{
	return outcome->got < 0 ? outcome->allowed & MAY(-outcome->got)
		: outcome->got == outcome->wanted;
}

static struct outcome play(const struct sequence *sequence, bool print)
{
	struct outcome outcome = { .failed = -1 };
	struct model model = { 0 };
	struct vm vm;

	vm_create(&vm);
	for (int i = 0; i < sequence->length && outcome.failed < 0; i++) {
		const struct action *action = sequence->calls[i].action;
		int vcpu = sequence->calls[i].vcpu;

		if (!is_possible(&model, action, vcpu) ||
		    (sequence->compared && is_changed(&model, action)))
			continue;
		model.value = 0;
		outcome.allowed = action->predict(&model, vcpu, action->argument);
		outcome.got = action->call(&vm, vcpu, action->argument);
		outcome.wanted = outcome.allowed == SUCCESS ? model.value : -1;
		if (print)
			printf(" %s:%d=%d", action->name, vcpu, outcome.got);
		if (!is_expected(&outcome))
			outcome.failed = i;
	}
	vm_destroy(&vm);
	return outcome;
}

/* xorshift64*, as the sequences have to be the same with any C library */
static uint64_t random_state;

static unsigned int random_below(unsigned int limit)
{
	random_state ^= random_state >> 12;
	random_state ^= random_state << 25;
	random_state ^= random_state >> 27;
	return (random_state * 0x2545f4914f6cdd1dULL >> 33) % limit;
}

static unsigned int weight_of(const struct action *action, bool stock)
{
	return stock && action->ours ? 0 : action->weight;
}

static const struct action *random_action(bool stock)
{
	const struct action *action;
	unsigned int at, total = 0;

	for (size_t i = 0; i < action_count; i++)
		total += weight_of(&actions[i], stock);
	at = random_below(total);
	for (action = actions; at >= weight_of(action, stock); action++)
		at -= weight_of(action, stock);
	return action;
}

static const struct action *find_action(const char *name)
{
	for (size_t i = 0; i < action_count; i++)
		if (!strcmp(actions[i].name, name))
			return &actions[i];
	die("there is no action '%s'", name);
}

static void make_sequence(struct sequence *sequence, uint64_t seed, bool stock)
{
	/* Mostly vCPUs without EL2, as those with EL2 take longer */
	static const char *const features[] = {
		"init-pmu", "init-pmu", "init-pmu", "init-strict", "init-strict", "init-strict",
		"init-pmu-el2", "init-strict-el2", "init-none",
	};
	const char *init;

	/* Not 0, and very different for neighbouring seeds */
	random_state = (seed + 1) * 0x9e3779b97f4a7c15ULL;
	sequence->compared = stock;
	sequence->length = LENGTH_MIN + random_below(LENGTH_MAX - LENGTH_MIN + 1);
	sequence->calls[0] = (struct call){ find_action("create"), 0 };
	init = features[random_below(ARRAY_SIZE(features))];
	sequence->calls[1] = (struct call){ find_action(init), 0 };
	for (int i = 2; i < sequence->length; i++)
		sequence->calls[i] = (struct call){ random_action(stock),
						    random_below(2) ? 0 : random_below(MAX_VCPUS) };
}

/* Removes the calls that are not needed for the same call to fail in the same way */
static void shrink(struct sequence *sequence, struct outcome *outcome)
{
	const struct action *failed = sequence->calls[outcome->failed].action;

	sequence->length = outcome->failed + 1;
	for (int i = sequence->length - 2; i >= 0; i--) {
		struct sequence shorter = *sequence;
		struct outcome other;

		memmove(&shorter.calls[i], &shorter.calls[i + 1],
			(--shorter.length - i) * sizeof(*shorter.calls));
		other = play(&shorter, false);
		if (other.failed < 0 || shorter.calls[other.failed].action != failed ||
		    other.got != outcome->got)
			continue;
		*sequence = shorter;
		*outcome = other;
	}
}

static void print_result(int value)
{
	if (value < 0)
		printf("-%s", strerrorname_np(-value));
	else
		printf("%d", value);
}

static void explain_allowed(const struct outcome *outcome)
{
	if (outcome->allowed & SUCCESS)
		printf(" %d", outcome->wanted);
	for (int error = 1; error < 64; error++)
		if (outcome->allowed & MAY(error))
			printf(" -%s", strerrorname_np(error));
}

static void explain(struct sequence *sequence, struct outcome *outcome)
{
	shrink(sequence, outcome);
	printf("# %s: expected", sequence->calls[outcome->failed].action->name);
	explain_allowed(outcome);
	printf(", got ");
	print_result(outcome->got);
	printf("\n# replay: OPS=\"");
	for (int i = 0; i <= outcome->failed; i++)
		printf("%s%s:%d", i ? " " : "", sequence->calls[i].action->name,
		       sequence->calls[i].vcpu);
	printf("\"\n");
}

static void replay(char *text)
{
	struct sequence sequence = { .length = 0 };
	struct outcome outcome;

	for (char *word = strtok(text, " "); word; word = strtok(NULL, " ")) {
		char *colon = strchr(word, ':');
		struct call *call = &sequence.calls[sequence.length++];

		if (!colon || colon[1] < '0' || colon[1] >= '0' + MAX_VCPUS || colon[2] ||
		    sequence.length > LENGTH_MAX)
			die("OPS is a list of up to %d NAME:VCPU, not '%s'", LENGTH_MAX, word);
		*colon = '\0';
		*call = (struct call){ find_action(word), colon[1] - '0' };
	}
	printf("#");
	outcome = play(&sequence, true);
	printf("\n");
	if (outcome.failed >= 0)
		explain(&sequence, &outcome);
	result(outcome.failed < 0, "one sequence");
}

/* Reads what each PMU has: KVM tells userspace when it selects the PMU. */
static void measure_hardware(void)
{
	for (int i = 0; i < pmu_count; i++) {
		struct vm vm;

		if (vm_create_vcpu(&vm, STRICT) ||
		    vcpu_set_attr(&vm, 0, KVM_ARM_VCPU_PMU_V3_SET_PMU, &pmus[i].type))
			die("PMU %s cannot be selected", pmus[i].name);
		hardware[i].counters = PMCR_N(vcpu_get_reg(&vm, 0, REG_PMCR_EL0));
		hardware[i].slots = vcpu_get_reg(&vm, 0, REG_PMMIR_EL1);
		printf("# PMU %s has %u event counters and %u slots\n", pmus[i].name,
		       hardware[i].counters, hardware[i].slots);
		vm_destroy(&vm);
	}
	host_is_nested = capability(kvm_fd(), KVM_CAP_ARM_EL2) > 0;
}

static void test_random(bool stock)
{
	uint64_t seed = number_from("SEED", "1"), count = number_from("COUNT", "2000");
	struct outcome outcome = { .failed = -1 };
	struct sequence sequence;
	uint64_t i;

	/* The default PMU is that of the CPU where a vCPU is initialised */
	pin_to(pmus[0].cpus);
	measure_hardware();
	if (getenv("OPS")) {
		replay(getenv("OPS"));
		return;
	}
	printf("# SEED=%lu COUNT=%lu, %s EL2 for guests\n", seed, count,
	       host_is_nested ? "with" : "without");
	for (i = seed; i < seed + count && outcome.failed < 0; i++) {
		make_sequence(&sequence, i, stock);
		if (stock)
			printf("# %lu:", i);
		outcome = play(&sequence, stock);
		if (stock)
			printf("\n");
	}
	if (outcome.failed >= 0) {
		printf("# the sequence with SEED=%lu\n", i - 1);
		explain(&sequence, &outcome);
	}
	result(outcome.failed < 0, "%lu random sequences%s", count,
	       stock ? " without fixed counters only" : "");
}

static void test_all(void)
{
	test_random(false);
}

static void test_stock(void)
{
	test_random(true);
}

const struct group groups[] = {
	{ "all", test_all, 1 },
	{ "stock", test_stock, 1 },
	{ 0 }
};
