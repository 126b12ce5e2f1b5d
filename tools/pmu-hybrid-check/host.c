/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "check.h"

char *read_text(Error **errp, const char *format, ...)
{
	g_autofree char *path = NULL;
	va_list arguments;
	char *text;

	va_start(arguments, format);
	path = g_strdup_vprintf(format, arguments);
	va_end(arguments);
	return g_file_get_contents(path, &text, NULL, errp) ? g_strstrip(text) : NULL;
}

bool cpus_are_in(const ArmHostCPUSet *cpus, const ArmHostCPUSet *others)
{
	ArmHostCPUSet rest;

	return !bitmap_andnot(rest.cpus, cpus->cpus, others->cpus, ARM_HOST_MAX_CPUS);
}

/* Relative to the strongest CPU's 1024; 0 where the kernel knows of no difference */
static int read_capacity(const char *root, const ArmHostPMU *pmu)
{
	unsigned long cpu = find_first_bit(pmu->cpus.cpus, ARM_HOST_MAX_CPUS);
	g_autofree char *text = read_text(NULL, "%s/sys/devices/system/cpu/cpu%lu/cpu_capacity", root, cpu);

	return text ? atoi(text) : 0;
}

static const ArmHostPMU *find_strongest(const char *root, const GPtrArray *pmus)
{
	const ArmHostPMU *strongest = NULL;
	int most = -1;

	for (guint i = 0; i < pmus->len; i++) {
		const ArmHostPMU *pmu = g_ptr_array_index(pmus, i);
		int capacity = read_capacity(root, pmu);

		if (capacity > most) {
			most = capacity;
			strongest = pmu;
		}
	}
	return strongest;
}

bool host_read(Host *host, const char *root, Error **errp)
{
	g_autofree char *sysfs = g_strconcat(root, "/sys", NULL);

	host->release = read_text(NULL, "%s/proc/sys/kernel/osrelease", root);
	if (!arm_host_cpus_read(sysfs, &host->cpus, errp)) {
		return false;
	}
	host->pmus = arm_host_pmus_read(sysfs, errp);
	if (!host->pmus) {
		return false;
	}
	host->strongest = find_strongest(root, host->pmus);
	return true;
}

void host_free(Host *host)
{
	g_free(host->release);
	g_free(host->kvm.trouble);
	g_clear_pointer(&host->pmus, g_ptr_array_unref);
}

const ArmHostPMU *host_find_pmu(const Host *host, const char *name)
{
	for (guint i = 0; i < host->pmus->len; i++) {
		const ArmHostPMU *pmu = g_ptr_array_index(host->pmus, i);

		if (g_str_equal(pmu->name, name)) {
			return pmu;
		}
	}
	return NULL;
}

bool host_choose(const Host *host, const ArmHostCPUSet *cpus, bool fixed_counters, ArmHostPMUChoice *choice, Error **errp)
{
	ArmHostCPUs all = host->cpus;

	arm_host_cpus_allow(&all, cpus);
	return arm_host_pmus_choose(host->pmus, &all, fixed_counters, choice, errp);
}

static void judge_coverage(const Host *host, Report *report)
{
	ArmHostCPUSet rest = host->cpus.online;
	g_autofree char *list = NULL;

	for (guint i = 0; i < host->pmus->len; i++) {
		const ArmHostPMU *pmu = g_ptr_array_index(host->pmus, i);

		bitmap_andnot(rest.cpus, rest.cpus, pmu->cpus.cpus, ARM_HOST_MAX_CPUS);
	}
	list = arm_host_cpu_set_format(&rest);
	if (!host->pmus->len) {
		report_add(report, LEVEL_PROBLEM, "pmu", "no PMU of a CPU below /sys/bus/event_source/devices");
		report_advise(report, "see that device tree or firmware have the PMU, and the kernel its driver");
	} else if (*list) {
		report_add(report, LEVEL_WARNING, "pmu", "none on CPUs %s", list);
		report_advise(report, "keep VMs away from these CPUs: a guest's counters stand still there");
	}
}

void judge_host(const Host *host, Report *report)
{
	g_autofree char *online = arm_host_cpu_set_format(&host->cpus.online);
	JsonArray *pmus = json_array_new();

	json_set_string(report->facts, "linux", host->release);
	json_set_string(report->facts, "cpus", online);
	json_object_set_array_member(report->facts, "pmus", pmus);
	report_add(report, LEVEL_OK, "host", "Linux %s on CPUs %s", host->release ?: "?", online);
	for (guint i = 0; i < host->pmus->len; i++) {
		const ArmHostPMU *pmu = g_ptr_array_index(host->pmus, i);
		g_autofree char *cpus = arm_host_cpu_set_format(&pmu->cpus);
		JsonObject *object = json_object_new();

		report_add(report, LEVEL_OK, "pmu", "%s on CPUs %s", pmu->name, cpus);
		json_set_string(object, "name", pmu->name);
		json_set_string(object, "cpus", cpus);
		json_object_set_int_member(object, "type", pmu->type);
		json_array_add_object_element(pmus, object);
	}
	judge_coverage(host, report);
}

void judge_kernel(const Host *host, Report *report)
{
	const Kvm *kvm = &host->kvm;
	JsonObject *facts = json_object_new();

	json_set_answer(facts, "pmu", kvm->pmu);
	json_set_answer(facts, "set-pmu", kvm->set_pmu);
	json_set_answer(facts, FIXED_COUNTERS, kvm->fixed_counters);
	json_object_set_object_member(report->facts, "kvm", facts);
	if (kvm->trouble) {
		report_add(report, kvm->level, "kernel", "%s", kvm->trouble);
		if (kvm->advice) {
			report_advise(report, "%s", kvm->advice);
		}
	} else if (kvm->pmu == NO) {
		report_add(report, LEVEL_PROBLEM, "kernel", "KVM has no PMU for guests");
		report_advise(report, "boot a kernel with CONFIG_HW_PERF_EVENTS; Apple silicon needs Linux 6.15");
	} else if (kvm->fixed_counters == YES) {
		report_add(report, LEVEL_OK, "kernel", "KVM has a PMU for guests, with fixed counters that count on all CPUs");
	} else if (host->pmus->len > 1) {
		g_autofree char *cpus = arm_host_cpu_set_format(&host->strongest->cpus);

		report_add(report, LEVEL_WARNING, "kernel", "KVM lacks KVM_ARM_VCPU_PMU_V3_FIXED_COUNTERS_ONLY: each VM has to stay on one PMU");
		report_advise(report, "boot a kernel with it, or pin the vCPUs of each VM to one PMU, e.g. CPUs %s", cpus);
	} else {
		report_add(report, LEVEL_OK, "kernel", "KVM has a PMU for guests");
	}
	if (kvm->set_pmu == NO && kvm->pmu == YES && host->pmus->len > 1) {
		report_add(report, LEVEL_WARNING, "kernel", "KVM lacks KVM_ARM_VCPU_PMU_V3_SET_PMU: QEMU cannot choose a PMU");
		report_advise(report, "boot Linux 5.18 or newer");
	}
}

void judge_choice(const Host *host, const ArmHostCPUSet *cpus, const char *when, bool is_final, Report *report)
{
	Answer fixed = host->kvm.fixed_counters;
	g_autofree char *list = arm_host_cpu_set_format(cpus);
	JsonObject *facts = json_object_new();
	g_autoptr(GError) error = NULL;
	ArmHostPMUChoice choice;
	const char *name = NULL;

	if (!host_choose(host, cpus, fixed != NO, &choice, &error)) {
		report_add(report, is_final ? LEVEL_OK : LEVEL_PROBLEM, "choice", "%s, QEMU refuses: %s", when, error->message);
	} else if (choice.pmu) {
		name = choice.pmu->name;
		report_add(report, LEVEL_OK, "choice", "%s, vCPUs on CPUs %s get %s with all of its counters", when, list, name);
	} else if (fixed == YES) {
		name = FIXED_COUNTERS;
		report_add(report, LEVEL_OK, "choice", "%s, vCPUs on CPUs %s get %s: the cycle counter alone, on all of them", when, list,
			   name);
	} else {
		report_add(report, is_final ? LEVEL_OK : LEVEL_UNKNOWN, "choice",
			   "%s, vCPUs on CPUs %s get %s if the kernel has them; otherwise QEMU refuses", when, list, FIXED_COUNTERS);
	}
	json_set_string(facts, "cpus", list);
	json_set_string(facts, "backend", name);
	json_object_set_object_member(report->facts, "choice", facts);
}
