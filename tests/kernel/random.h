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
#define FAULT		((uint64_t)-1)	/* as an argument: an address where nothing is */
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
	/* What a call that reads returns when it succeeds */
	int value;
};

/* Properties of the host that the model has to know */
extern struct hardware {
	unsigned int counters, slots;
} hardware[MAX_PMUS];
extern bool host_is_nested;

enum filter { FILTER_ALLOW, FILTER_DENY, FILTER_RANGE, FILTER_ACTION };

/* Arguments: the index of a PMU. The last one is another than the first where there are several. */
#define LAST_PMU	MAX_PMUS
#define UNKNOWN_PMU	(MAX_PMUS + 1)

int pmu_index(uint64_t argument);

/* Each predicts what a call may return, and changes the model when that is success. */
uint64_t predict_create(struct model *model, int vcpu, uint64_t argument);
uint64_t predict_init(struct model *model, int vcpu, uint64_t features);
uint64_t predict_gic_create(struct model *model, int vcpu, uint64_t argument);
uint64_t predict_gic_init(struct model *model, int vcpu, uint64_t argument);
uint64_t predict_run(struct model *model, int vcpu, uint64_t argument);
uint64_t predict_irq(struct model *model, int vcpu, uint64_t irq);
uint64_t predict_get_irq(struct model *model, int vcpu, uint64_t argument);
uint64_t predict_pmu_init(struct model *model, int vcpu, uint64_t argument);
uint64_t predict_filter(struct model *model, int vcpu, uint64_t filter);
uint64_t predict_set_pmu(struct model *model, int vcpu, uint64_t argument);
uint64_t predict_counters(struct model *model, int vcpu, uint64_t counters);
uint64_t predict_fixed(struct model *model, int vcpu, uint64_t argument);
uint64_t predict_unknown(struct model *model, int vcpu, uint64_t argument);
uint64_t predict_get(struct model *model, int vcpu, uint64_t attribute);
uint64_t predict_has(struct model *model, int vcpu, uint64_t attribute);
uint64_t predict_read_n(struct model *model, int vcpu, uint64_t argument);
uint64_t predict_write_n(struct model *model, int vcpu, uint64_t n);
uint64_t predict_read_slots(struct model *model, int vcpu, uint64_t argument);
uint64_t predict_write_slots(struct model *model, int vcpu, uint64_t slots);
uint64_t predict_read_hpmn(struct model *model, int vcpu, uint64_t argument);
uint64_t predict_write_hpmn(struct model *model, int vcpu, uint64_t hpmn);
uint64_t predict_enter_el1(struct model *model, int vcpu, uint64_t argument);

struct action {
	const char *name;
	/* Returns 0, -errno or the value it reads */
	int (*call)(struct vm *vm, int vcpu, uint64_t argument);
	uint64_t (*predict)(struct model *model, int vcpu, uint64_t argument);
	uint64_t argument;
	unsigned int weight;
	/* Differs from stock as our series means it to */
	bool ours;
};

extern const struct action actions[];
extern const size_t action_count;

/* Is it a call that can be made, and that nothing but what is under test keeps from succeeding? */
bool is_possible(const struct model *model, const struct action *action, int vcpu);
/* Does its result differ from stock now, as our series means it to? */
bool is_changed(const struct model *model, const struct action *action);

#endif
