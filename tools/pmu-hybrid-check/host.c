/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <sched.h>
#include "check.h"

/*
 * The capacity where the kernel has no file with it: on hosts with one kind of core, and of CPUs
 * that are offline
 */
#define NO_CAPACITY	0

bool cpus_are_in(const ArmHostCPUSet *cpus, const ArmHostCPUSet *others)
{
	ArmHostCPUSet rest = cpus_andnot(cpus, others);

	return cpus_are_empty(&rest);
}

bool cpus_are_empty(const ArmHostCPUSet *cpus)
{
	return bitmap_empty(cpus->cpus, ARM_HOST_MAX_CPUS);
}

ArmHostCPUSet cpus_and(const ArmHostCPUSet *a, const ArmHostCPUSet *b)
{
	ArmHostCPUSet both;

	bitmap_and(both.cpus, a->cpus, b->cpus, ARM_HOST_MAX_CPUS);
	return both;
}

ArmHostCPUSet cpus_andnot(const ArmHostCPUSet *a, const ArmHostCPUSet *b)
{
	ArmHostCPUSet rest;

	bitmap_andnot(rest.cpus, a->cpus, b->cpus, ARM_HOST_MAX_CPUS);
	return rest;
}

/* The highest capacity of the CPUs; the strongest CPU of a host has 1024 */
static int read_capacity(const char *root, const ArmHostCPUSet *cpus)
{
	int strongest = NO_CAPACITY;

	for (unsigned long cpu = 0;
	     (cpu = find_next_bit(cpus->cpus, ARM_HOST_MAX_CPUS, cpu)) < ARM_HOST_MAX_CPUS; cpu++) {
		g_autofree char *text =
			read_text(NULL, "%s/sys/devices/system/cpu/cpu%lu/cpu_capacity", root, cpu);
		int capacity;

		if (parse_int(text, &capacity)) {
			strongest = MAX(strongest, capacity);
		}
	}
	return strongest;
}

ArmHostCPUSet host_usable_cpus(const Host *host, const ArmHostPMU *pmu)
{
	ArmHostCPUSet usable = cpus_and(&host->online, &host->allowed);

	return cpus_and(&usable, &pmu->cpus);
}

static const ArmHostPMU *find_strongest(const Host *host)
{
	const ArmHostPMU *strongest = NULL;
	int most = -1;

	for (guint i = 0; i < host->pmus->len; i++) {
		const ArmHostPMU *pmu = g_ptr_array_index(host->pmus, i);
		ArmHostCPUSet usable = host_usable_cpus(host, pmu);
		int capacity = cpus_are_empty(&usable) ? -1 : read_capacity(host->root, &usable);

		if (capacity > most) {
			most = capacity;
			strongest = pmu;
		}
	}
	return strongest;
}

/* KVM takes by default the PMU that QEMU chooses for a VM on these CPUs alone. */
const ArmHostPMU *host_find_covering(const Host *host, const ArmHostCPUSet *cpus)
{
	ArmHostCPUs all = { .present = *cpus, .online = *cpus, .allowed = *cpus };
	ArmHostPMUChoice choice;

	arm_host_pmus_choose_one(host->pmus, &all, &choice);
	return choice.pmu;
}

const ArmHostPMU *host_pmu_of_cpu(const Host *host, int cpu)
{
	ArmHostCPUSet cpus = { };

	bitmap_set(cpus.cpus, cpu, 1);
	return host_find_covering(host, &cpus);
}

bool host_is_hybrid(const Host *host)
{
	return host->pmus->len && !host->covering;
}

ArmHostCPUSet host_uncovered(const Host *host, const ArmHostCPUSet *cpus)
{
	ArmHostCPUSet rest = *cpus;

	for (guint i = 0; i < host->pmus->len; i++) {
		const ArmHostPMU *pmu = g_ptr_array_index(host->pmus, i);

		rest = cpus_andnot(&rest, &pmu->cpus);
	}
	return rest;
}

void host_leave_uncovered(const Host *host)
{
	ArmHostCPUSet uncovered = host_uncovered(host, &host->allowed);
	ArmHostCPUSet covered = cpus_andnot(&host->allowed, &uncovered);

	if (!*host->root && !cpus_are_empty(&uncovered) && !cpus_are_empty(&covered)) {
		sched_setaffinity(0, sizeof(covered), (cpu_set_t *)covered.cpus);
	}
}

/*
 * Finds the online CPUs that a cpuset allows. An affinity alone could be widened again, so it does
 * not count: this widens it, looks, and restores it.
 */
static bool find_allowed(Host *host)
{
	cpu_set_t *set = (cpu_set_t *)host->allowed.cpus;
	ArmHostCPUSet before, all;

	memset(&all, 0xff, sizeof(all));
	bitmap_zero(before.cpus, ARM_HOST_MAX_CPUS);
	if (sched_getaffinity(0, sizeof(before), (cpu_set_t *)before.cpus)) {
		return false;
	}
	host->own = before;
	bitmap_zero(host->allowed.cpus, ARM_HOST_MAX_CPUS);
	sched_setaffinity(0, sizeof(all), (cpu_set_t *)all.cpus);
	sched_getaffinity(0, sizeof(host->allowed), set);
	sched_setaffinity(0, sizeof(before), (cpu_set_t *)before.cpus);
	return true;
}

static bool read_cpus(Host *host, const char *sysfs, Error **errp)
{
	ArmHostCPUs cpus;

	if (!arm_host_cpus_read(sysfs, &cpus, errp)) {
		return false;
	}
	host->allowed = host->own = cpus.online;
	if (!*host->root && find_allowed(host) &&
	    !cpus_are_in(&host->allowed, &cpus.online)) {
		host->hides_cpus = true;
		arm_host_cpus_add_online(&cpus, &host->allowed);
		cpus.online = host->allowed;
	}
	host->present = cpus.present;
	host->online = cpus.online;
	return true;
}

/*
 * False in a copy, or where /proc is that of another PID namespace: the link names another process
 * or none there.
 */
static bool has_own_proc(const char *root)
{
	g_autofree char *link = g_strconcat(root, "/proc/self", NULL);
	g_autofree char *target = g_file_read_link(link, NULL);
	int pid;

	return parse_int(target, &pid) && pid == getpid();
}

bool host_read(Host *host, const char *root, Error **errp)
{
	g_autofree char *sysfs = g_strconcat(root, "/sys", NULL);

	host->root = root;
	host->is_live = has_own_proc(root);
	host->release = read_text(NULL, "%s/proc/sys/kernel/osrelease", root);
	host->pmus = arm_host_pmus_read(sysfs, errp);
	if (!host->pmus || !read_cpus(host, sysfs, errp)) {
		return false;
	}
	host->covering = host_find_covering(host, &host->present);
	host->strongest = find_strongest(host);
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

static void judge_cpus(const Host *host, Report *report)
{
	ArmHostCPUSet offline_cpus = cpus_andnot(&host->present, &host->online);
	g_autofree char *online = arm_host_cpu_set_format(&host->online);
	g_autofree char *offline = arm_host_cpu_set_format(&offline_cpus);
	g_autofree char *allowed = arm_host_cpu_set_format(&host->allowed);
	g_autofree char *rest = *offline ?
		g_strdup_printf("; CPUs %s are offline", offline) : g_strdup("");

	json_set_string(report->facts, "linux", host->release);
	json_set_string(report->facts, "cpus", online);
	json_set_cpus(report->facts, "present-cpus", &host->present);
	json_set_string(report->facts, "allowed-cpus", allowed);
	report_add(report, LEVEL_OK, "host", "Linux %s on CPUs %s%s", host->release ?: "?", online,
		   rest);
	if (host->hides_cpus) {
		report_add(report, LEVEL_UNKNOWN, "host",
			   "/sys/devices/system/cpu/online is not the kernel's: "
			   "programs here run on CPUs %s", allowed);
		report_advise(report, "run this outside of the container: "
			      "CPUs that it hides are not judged");
	} else if (!cpus_are_in(&host->online, &host->allowed)) {
		report_add(report, LEVEL_OK, "host", "a cpuset keeps programs here on CPUs %s",
			   allowed);
	}
}

static void judge_coverage(const Host *host, Report *report)
{
	ArmHostCPUSet rest = host_uncovered(host, &host->present);
	g_autofree char *list = arm_host_cpu_set_format(&rest);

	if (!host->pmus->len) {
		report_add(report, LEVEL_PROBLEM, "pmu",
			   "no PMU of a CPU below /sys/bus/event_source/devices");
		report_advise(report, "see that device tree or firmware have the PMU, "
			      "and the kernel its driver");
	} else if (*list) {
		report_add(report, LEVEL_WARNING, "pmu", "none on CPUs %s", list);
		report_advise(report, "keep VMs away from these CPUs: "
			      "a guest's counters stand still there");
	}
}

void judge_host(const Host *host, Report *report)
{
	JsonArray *pmus = json_array_new();

	judge_cpus(host, report);
	json_object_set_array_member(report->facts, "pmus", pmus);
	for (guint i = 0; i < host->pmus->len; i++) {
		const ArmHostPMU *pmu = g_ptr_array_index(host->pmus, i);
		ArmHostCPUSet online = cpus_and(&pmu->cpus, &host->online);
		g_autofree char *cpus = arm_host_cpu_set_format(&pmu->cpus);
		JsonObject *object = json_object_new();

		report_add(report, LEVEL_OK, "pmu", "%s on CPUs %s%s", pmu->name, cpus,
			   cpus_are_empty(&online) ? ", all of them offline" : "");
		json_set_string(object, "name", pmu->name);
		json_set_string(object, "cpus", cpus);
		json_object_set_int_member(object, "type", pmu->type);
		json_array_add_object_element(pmus, object);
	}
	judge_coverage(host, report);
}

static void judge_mode(const Host *host, Report *report)
{
	const char *missing = host->kvm.set_pmu == NO ? " and KVM_ARM_VCPU_PMU_V3_SET_PMU" : "";

	report_add(report, LEVEL_WARNING, "kernel",
		   "KVM lacks KVM_ARM_VCPU_PMU_V3_FIXED_COUNTERS_ONLY%s: "
		   "each VM has to stay on one PMU", missing);
	if (host->strongest) {
		ArmHostCPUSet usable = host_usable_cpus(host, host->strongest);
		g_autofree char *cpus = arm_host_cpu_set_format(&usable);

		report_advise(report, *missing ?
			      "boot a kernel with them, or keep QEMU on one PMU from its start: "
			      "taskset -c %s" :
			      "boot a kernel with it, or pin the vCPUs of each VM to one PMU, "
			      "e.g. CPUs %s", cpus);
	} else {
		report_advise(report, "boot a kernel with %s", *missing ? "them" : "it");
	}
}

static void judge_no_pmu(const Host *host, Report *report)
{
	if (host->pmus->len) {
		report_add(report, LEVEL_PROBLEM, "kernel",
			   "KVM has no PMU for guests, although the host has: "
			   "on Apple silicon before Linux 6.15, "
			   "and where ID_AA64DFR0_EL1.PMUVer differs between cores");
		report_advise(report, "on Apple silicon, boot Linux 6.15 or newer; "
			      "elsewhere guests can have none on this host");
	} else {
		report_add(report, LEVEL_PROBLEM, "kernel", "KVM has no PMU for guests");
		report_advise(report, "give the host its PMU first: "
			      "KVM backs that of guests by it");
	}
}

void report_protected(Report *report, const char *topic)
{
	report_add(report, LEVEL_PROBLEM, topic, "%s", PROTECTED);
	report_advise(report, "%s", PROTECTED_ADVICE);
}

void judge_kernel(const Host *host, Report *report)
{
	const Kvm *kvm = &host->kvm;
	JsonObject *facts = json_object_new();

	json_set_answer(facts, "pmu", kvm->pmu);
	json_set_answer(facts, "set-pmu", kvm->set_pmu);
	json_set_answer(facts, FIXED_COUNTERS, kvm->fixed_counters);
	json_object_set_object_member(report->facts, "kvm", facts);
	if (kvm->is_protected) {
		report_protected(report, "kernel");
	} else if (kvm->trouble) {
		report_add(report, kvm->level, "kernel", "%s", kvm->trouble);
		if (kvm->advice) {
			report_advise(report, "%s", kvm->advice);
		}
	} else if (kvm->pmu == NO) {
		judge_no_pmu(host, report);
	} else if (kvm->fixed_counters == YES) {
		ArmHostCPUSet uncovered = host_uncovered(host, &host->present);

		report_add(report, LEVEL_OK, "kernel",
			   "KVM has a PMU for guests, with fixed counters that count on all CPUs%s",
			   cpus_are_empty(&uncovered) ? "" : " with a PMU");
	} else if (host_is_hybrid(host)) {
		judge_mode(host, report);
	} else {
		report_add(report, LEVEL_OK, "kernel", "KVM has a PMU for guests");
	}
	if (kvm->set_pmu == NO && kvm->fixed_counters == YES && host_is_hybrid(host)) {
		report_add(report, LEVEL_WARNING, "kernel",
			   "KVM lacks KVM_ARM_VCPU_PMU_V3_SET_PMU: QEMU cannot choose a PMU");
		report_advise(report, "boot Linux 5.18 or newer");
	}
}
