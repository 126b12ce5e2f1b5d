/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "check.h"

typedef struct Choice {
	ArmHostPMUChoice qemus;
	/* Why QEMU refuses */
	GError *error;
} Choice;

/* The outcomes by the names that QEMU and its users see */
static const char *const outcomes[] = {
	[ARM_PMU_BACKEND_NONE] = "refused",
	[ARM_PMU_BACKEND_HOST_PMU] = "pmu",
	[ARM_PMU_BACKEND_FIXED_COUNTERS] = FIXED_COUNTERS,
};

static Answer both(Answer a, Answer b)
{
	return a == NO || b == NO ? NO : a == UNKNOWN || b == UNKNOWN ? UNKNOWN : YES;
}

/* Chooses with the same code as QEMU */
static Choice choose(const Host *host, const CPUs *cpus, bool has_mode)
{
	ArmHostCPUs all = { .present = host->present, .online = host->online,
			    .allowed = cpus->all };
	Choice choice = { };

	arm_host_cpus_add_online(&all, &cpus->online);
	arm_host_pmus_choose(host->pmus, &all, has_mode, &choice.qemus, &choice.error);
	return choice;
}

static void refuse(Choice *choice, const char *reason)
{
	g_clear_error(&choice->error);
	choice->qemus = (ArmHostPMUChoice){ };
	error_setg(&choice->error, "%s", reason);
}

/* Whether KVM has what the choice needs. QEMU's rules only know the host; QEMU then asks KVM. */
static Answer ask_kvm(const Host *host, Choice *choice)
{
	const Kvm *kvm = &host->kvm;
	const ArmHostPMU *pmu = choice->qemus.pmu;
	Answer able = YES;

	if (pmu) {
		able = both(kvm->pmu, choice->qemus.is_default ? YES : kvm->set_pmu);
	} else if (choice->qemus.backend == ARM_PMU_BACKEND_FIXED_COUNTERS) {
		able = both(kvm->pmu, kvm->fixed_counters);
	}
	if (kvm->pmu == NO) {
		refuse(choice, "KVM has no PMU for guests, so that -cpu host has no pmu-hybrid");
		return YES;
	}
	if (able == NO && pmu) {
		g_autofree char *reason =
			g_strdup_printf("%s covers these CPUs, but the kernel lacks "
					"KVM_ARM_VCPU_PMU_V3_SET_PMU; boot Linux 5.18 or newer",
					pmu->name);

		refuse(choice, reason);
		return YES;
	}
	return able;
}

static void report_pmu(const Choice *choice, Answer able, const char *list, const char *when,
		       bool is_final, Report *report)
{
	g_autofree char *later = arm_host_cpu_set_format(&choice->qemus.uncovered);
	g_autofree char *cpus = arm_host_cpu_set_format(&choice->qemus.pmu->cpus);
	const char *condition = able == YES ? "" : choice->qemus.is_default ?
		" if KVM has a PMU for guests" :
		" if KVM has a PMU for guests and KVM_ARM_VCPU_PMU_V3_SET_PMU";
	Level level = is_final ? LEVEL_OK : able != YES ? LEVEL_UNKNOWN :
		      *later ? LEVEL_WARNING : LEVEL_OK;

	if (*later) {
		report_add(report, level, "choice",
			   "%s, vCPUs on CPUs %s get %s with all of its counters%s; "
			   "QEMU pauses the VM on CPUs %s when they come online",
			   when, list, choice->qemus.pmu->name, condition, later);
		report_advise(report, "pin the vCPUs to CPUs %s", cpus);
	} else {
		report_add(report, level, "choice",
			   "%s, vCPUs on CPUs %s get %s with all of its counters%s", when, list,
			   choice->qemus.pmu->name, condition);
	}
}

static void report_choice(const Choice *choice, Answer able, const CPUs *cpus, const char *when,
			  bool is_final, Report *report)
{
	g_autofree char *list = arm_host_cpu_set_format(&cpus->all);

	if (choice->error) {
		report_add(report, is_final ? LEVEL_OK : LEVEL_PROBLEM, "choice",
			   "%s, QEMU refuses: %s", when, choice->error->message);
	} else if (choice->qemus.pmu) {
		report_pmu(choice, able, list, when, is_final, report);
	} else if (able == YES) {
		report_add(report, LEVEL_OK, "choice",
			   "%s, vCPUs on CPUs %s get " FIXED_COUNTERS
			   ": the cycle counter alone, on all of them", when, list);
	} else {
		report_add(report, is_final ? LEVEL_OK : LEVEL_UNKNOWN, "choice",
			   "%s, vCPUs on CPUs %s get " FIXED_COUNTERS
			   " if the kernel has them; otherwise QEMU refuses", when, list);
	}
}

void judge_choice(const Host *host, const CPUs *cpus, const char *when, bool is_final,
		  Report *report)
{
	Choice choice = choose(host, cpus, host->kvm.fixed_counters != NO);
	Answer able = ask_kvm(host, &choice);
	JsonObject *facts = json_object_new();

	if (host->kvm.is_protected) {
		report_protected(report, "choice");
	} else {
		report_choice(&choice, able, cpus, when, is_final, report);
	}
	json_set_cpus(facts, "cpus", &cpus->all);
	json_set_string(facts, "outcome", able == YES ? outcomes[choice.qemus.backend] : NULL);
	if (choice.qemus.pmu && able == YES) {
		json_set_string(facts, "pmu", choice.qemus.pmu->name);
	}
	json_object_set_object_member(report->facts, "choice", facts);
	g_clear_error(&choice.error);
}

/*
 * True if plain -cpu host is as good: KVM takes a PMU that covers these CPUs, wherever the vCPUs
 * are created.
 */
static bool needs_nothing(const Host *host, const CPUs *cpus, const Choice *choice)
{
	return choice->qemus.is_default ||
		(host->covering && cpus_are_in(&cpus->all, &host->covering->cpus));
}

static ArmHostCPUSet usable_of(const Host *host, const ArmHostPMU *pmu, const CPUs *cpus)
{
	ArmHostCPUSet usable = host_usable_cpus(host, pmu);

	return cpus_and(&usable, &cpus->online);
}

/* Advises to pin to the strongest PMU that has some of these CPUs, or else to another one */
static Level advise_pinning(const Host *host, const CPUs *cpus, char *reason, Advice *advice)
{
	ArmHostCPUSet usable = host->strongest ?
		usable_of(host, host->strongest, cpus) : (ArmHostCPUSet){ };
	g_autofree char *list = NULL;

	for (guint i = 0; i < host->pmus->len && cpus_are_empty(&usable); i++) {
		usable = usable_of(host, g_ptr_array_index(host->pmus, i), cpus);
	}
	advice->reason = reason;
	if (cpus_are_empty(&usable)) {
		return LEVEL_PROBLEM;
	}
	list = arm_host_cpu_set_format(&usable);
	advice->line = g_strdup_printf("taskset -c %s", list);
	return LEVEL_WARNING;
}

static Level advise(const Host *host, const Qemu *qemu, const CPUs *cpus, const Choice *choice,
		    Answer able, Advice *advice)
{
	if (host->kvm.is_protected) {
		advice->reason = g_strdup(PROTECTED "; " PROTECTED_ADVICE);
		return LEVEL_PROBLEM;
	}
	if (host->kvm.pmu == NO) {
		advice->reason = g_strdup(choice->error->message);
		return LEVEL_PROBLEM;
	}
	if (able == UNKNOWN) {
		advice->reason = g_strdup(host->kvm.trouble ?: "what KVM has is unknown");
		return LEVEL_UNKNOWN;
	}
	if (needs_nothing(host, cpus, choice)) {
		return LEVEL_OK;
	}
	if (qemu->hybrid == UNKNOWN) {
		advice->reason = g_strdup(qemu->trouble ?: host->kvm.trouble);
		return LEVEL_UNKNOWN;
	}
	if (qemu->hybrid == NO) {
		return advise_pinning(host, cpus,
				      g_strdup_printf("%s has no pmu-hybrid", qemu->path), advice);
	}
	if (choice->error) {
		return advise_pinning(host, cpus, g_strdup(choice->error->message), advice);
	}
	advice->line = g_strdup("-cpu host,pmu-hybrid=on");
	if (!cpus_are_empty(&choice->qemus.uncovered)) {
		g_autofree char *later = arm_host_cpu_set_format(&choice->qemus.uncovered);

		advice->reason =
			g_strdup_printf("QEMU pauses the VM on CPUs %s when they come online",
					later);
		return LEVEL_WARNING;
	}
	return LEVEL_OK;
}

Level advise_start(const Host *host, const Qemu *qemu, const CPUs *cpus, Advice *advice)
{
	Choice choice = choose(host, cpus, host->kvm.fixed_counters != NO);
	Answer able = ask_kvm(host, &choice);
	Level level;

	*advice = (Advice){ };
	level = advise(host, qemu, cpus, &choice, able, advice);
	if (advice->reason) {
		advice->reason = make_printable(advice->reason);
	}
	g_clear_error(&choice.error);
	return level;
}
