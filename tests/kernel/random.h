/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The calls that random sequences are made of, and a model of what they return. */
#ifndef RANDOM_H
#define RANDOM_H

#include "harness.h"

#define FIXED_ONLY	KVM_ARM_VCPU_PMU_V3_FIXED_COUNTERS_ONLY
#define NO_SUCH_ATTR	6
#define NO_SUCH_PMU	4	/* PERF_TYPE_RAW, the type of no PMU */
#define NO_SUCH_FEATURE	(1U << 31)
#define COUNTERS_MAX	31
#define FAULT		((uint64_t)-1)	/* as an argument: an address that is not mapped */
#define SPSR_EL1H	0x3c5

/* What a call may return: a bit for each errno, and bit 0 for success */
#define MAY(error)	(1ULL << (error))
#define SUCCESS		MAY(0)

enum gic { GIC_MISSING, GIC_CREATED, GIC_READY };
enum backing { BACKING_NONE, BACKING_DEFAULT, BACKING_SELECTED, BACKING_FIXED };

struct model {
	/* All vCPUs of a VM have the features of the first one that was initialised */
	unsigned int features;
	bool configured, ran, filtered;
	enum gic gic;
	enum backing backing;
	int pmu;
	unsigned int counters, slots;
	struct {
		bool created, initialised, pmu_ready, at_el1;
		int irq;
		unsigned int hpmn;
	} vcpu[MAX_VCPUS];
	/* The value that a call returns if it reads one and succeeds */
	int value;
};

/* Properties of the host that the model has to know */
extern struct hardware {
	unsigned int counters, slots;
} hardware[MAX_PMUS];
extern bool host_is_nested;

enum filter { FILTER_ALLOW, FILTER_DENY, FILTER_RANGE, FILTER_ACTION };

/* Arguments besides the index of a PMU. On a host with several PMUs the last is not the first. */
#define LAST_PMU	MAX_PMUS
#define UNKNOWN_PMU	(MAX_PMUS + 1)

int pmu_index(uint64_t argument);

/* Returns 0, -errno or the value it reads. */
typedef int call_fn(struct vm *vm, int vcpu, uint64_t argument);
/* Predicts what a call may return, and changes the model when that is success. */
typedef uint64_t predict_fn(struct model *model, int vcpu, uint64_t argument);

predict_fn predict_create, predict_init, predict_gic_create, predict_gic_init, predict_run,
	   predict_irq, predict_get_irq, predict_pmu_init, predict_filter, predict_set_pmu,
	   predict_counters, predict_fixed, predict_unknown, predict_get, predict_has,
	   predict_read_n, predict_write_n, predict_read_slots, predict_write_slots,
	   predict_read_hpmn, predict_write_hpmn, predict_enter_el1;

struct action {
	const char *name;
	call_fn *call;
	predict_fn *predict;
	uint64_t argument;
	unsigned int weight;
	/* The result differs from that of a stock kernel, as the series intends */
	bool ours;
};

extern const struct action actions[];
extern const size_t action_count;

/* Whether the call can be made, and only what is under test can make it fail */
bool is_possible(const struct model *model, const struct action *action, int vcpu);
/* Whether the result differs from that of a stock kernel in this state, as the series intends */
bool is_changed(const struct model *model, const struct action *action);

#endif
