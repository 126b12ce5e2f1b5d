/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "check.h"

#define START_ADVICE	"start the VM with -cpu host,pmu-hybrid=on, or with QEMU itself " \
			"(<emulatorpin>) and all vCPUs on one PMU"

/* libvirt keeps each vCPU in a cpuset of its own, which it changes with the vCPU's affinity. */
static void advise_libvirt(const Vm *vm, const Vcpu *vcpu, const char *cpus, Report *report)
{
	g_autofree char *name = g_shell_quote(vm->domain);
	g_autofree char *uri = vm->uri ? g_shell_quote(vm->uri) : NULL;
	g_autofree char *connect = uri ? g_strdup_printf("-c %s ", uri) : g_strdup("");

	report_advise(report, "virsh %svcpupin %s %d %s; a VM that QEMU has paused goes on with "
		      "'resume'", connect, name, vcpu->index, cpus);
}

/* Advises to pin to CPUs that exist, are online, and are open to the thread */
static void advise_pinning(const Vm *vm, const Vcpu *vcpu, const Host *host, const ArmHostPMU *pmu,
			   Report *report)
{
	const ArmHostCPUSet *cpuset = vcpu->has_cpuset ? &vcpu->cpuset : &host->allowed;
	ArmHostCPUSet online = cpus_and(&pmu->cpus, &host->online);
	ArmHostCPUSet offline = cpus_and(&pmu->cpus, &host->present);
	ArmHostCPUSet usable = cpus_and(&online, cpuset);
	g_autofree char *list = arm_host_cpu_set_format(&usable);
	g_autofree char *online_list = arm_host_cpu_set_format(&online);
	g_autofree char *offline_list = arm_host_cpu_set_format(&offline);

	if (!*online_list) {
		report_advise(report, "chcpu -e %s, since no CPU of %s is online; "
			      "then pin the thread to them", offline_list, pmu->name);
	} else if (vm->domain) {
		advise_libvirt(vm, vcpu, online_list, report);
	} else if (*list) {
		report_advise(report, "taskset -pc %s %d; a VM that QEMU has paused goes on with "
			      "'cont'", list, vcpu->thread);
	} else if (vcpu->has_cpuset) {
		report_advise(report, "let the cgroup in /proc/%d/cgroup have CPUs %s, then "
			      "taskset -pc %s %d; a VM that QEMU has paused goes on with 'cont'",
			      vcpu->thread, online_list, online_list, vcpu->thread);
	} else {
		report_advise(report, "run this outside of the container: "
			      "its cpuset has no CPU of %s", pmu->name);
	}
}

static void report_vcpu(const Vcpu *vcpu, Level level, const char *rest, Report *report)
{
	g_autofree char *topic = g_strdup_printf("vcpu %d", vcpu->index);
	g_autofree char *cpus = arm_host_cpu_set_format(&vcpu->cpus.all);

	report_add(report, level, topic, "thread %d on CPU %d, may run on CPUs %s%s", vcpu->thread,
		   vcpu->cpu, cpus, rest);
}

/* A thread that waits may have been pinned elsewhere since it ran; it moves when it wakes up. */
static bool is_on(const Vcpu *vcpu, const ArmHostCPUSet *cpus)
{
	return vcpu->cpu >= 0 && test_bit(vcpu->cpu, cpus->cpus) &&
		test_bit(vcpu->cpu, vcpu->cpus.online.cpus);
}

/* pmu: the PMU that the vCPU must not leave */
static void judge_stray(const Vm *vm, const Vcpu *vcpu, const Host *host, const ArmHostPMU *pmu,
			Report *report)
{
	ArmHostCPUSet outside = cpus_andnot(&vcpu->cpus.online, &pmu->cpus);
	ArmHostCPUSet later = cpus_andnot(&vcpu->cpus.all, &pmu->cpus);
	g_autofree char *later_list = arm_host_cpu_set_format(&later);
	g_autofree char *rest = NULL;

	if (is_on(vcpu, &outside)) {
		rest = g_strdup_printf(": it has left %s", pmu->name);
		report_vcpu(vcpu, LEVEL_PROBLEM, rest, report);
	} else if (!cpus_are_empty(&outside)) {
		rest = g_strdup_printf(": it can leave %s", pmu->name);
		report_vcpu(vcpu, LEVEL_WARNING, rest, report);
	} else if (*later_list) {
		rest = g_strdup_printf(": it can leave %s once CPUs %s are online", pmu->name,
				       later_list);
		report_vcpu(vcpu, LEVEL_WARNING, rest, report);
	} else {
		report_vcpu(vcpu, LEVEL_OK, "", report);
		return;
	}
	advise_pinning(vm, vcpu, host, pmu, report);
}

/* The vCPU may run on any PMU, but each of its CPUs must have one. */
static void judge_coverage(const Vm *vm, const Vcpu *vcpu, const Host *host, Report *report)
{
	ArmHostCPUSet uncovered = host_uncovered(host, &vcpu->cpus.online);
	ArmHostCPUSet covered = cpus_andnot(&vcpu->cpus.online, &uncovered);
	g_autofree char *list = arm_host_cpu_set_format(&uncovered);
	g_autofree char *good = arm_host_cpu_set_format(&covered);
	g_autofree char *rest =
		g_strdup_printf(": no PMU is on CPUs %s, where its counters stand still", list);

	if (!*list) {
		report_vcpu(vcpu, LEVEL_OK, "", report);
		return;
	}
	report_vcpu(vcpu, is_on(vcpu, &uncovered) ? LEVEL_PROBLEM : LEVEL_WARNING, rest, report);
	if (*good && vm->domain) {
		advise_libvirt(vm, vcpu, good, report);
	} else if (*good) {
		report_advise(report, "taskset -pc %s %d", good, vcpu->thread);
	} else if (host->strongest) {
		advise_pinning(vm, vcpu, host, host->strongest, report);
	}
}

static void judge_vcpus(const Vm *vm, const Host *host, Report *report)
{
	const ArmHostPMU *pmu = vm->backend ? host_find_pmu(host, vm->backend) : NULL;

	for (guint i = 0; i < vm->vcpus->len; i++) {
		const Vcpu *vcpu = g_ptr_array_index(vm->vcpus, i);

		if (vm->kvm == NO || vm->pmu == NO || !host->pmus->len) {
			report_vcpu(vcpu, LEVEL_OK, "", report);
		} else if (pmu) {
			judge_stray(vm, vcpu, host, pmu, report);
		} else {
			judge_coverage(vm, vcpu, host, report);
		}
	}
}

/*
 * The PMUs that KVM may have taken when the vCPUs were made: their threads were then where QEMU's
 * first one is.
 */
static GPtrArray *find_picks(const Vm *vm, const Host *host)
{
	GPtrArray *picks = g_ptr_array_new();
	unsigned long cpu = 0;

	for (; (cpu = find_next_bit(vm->emulator.cpus, ARM_HOST_MAX_CPUS, cpu)) < ARM_HOST_MAX_CPUS;
	     cpu++) {
		const ArmHostPMU *pmu = host_pmu_of_cpu(host, cpu);

		if (pmu && !g_ptr_array_find(picks, pmu, NULL)) {
			g_ptr_array_add(picks, (gpointer)pmu);
		}
	}
	return picks;
}

static void report_only_pick(const Vm *vm, const Host *host, const ArmHostPMU *pick, Report *report)
{
	const ArmHostPMU *pmu = host_find_covering(host, &vm->cpus.online);
	ArmHostCPUSet later = cpus_andnot(&vm->cpus.all, &pick->cpus);
	g_autofree char *emulator = arm_host_cpu_set_format(&vm->emulator);
	g_autofree char *cpus = arm_host_cpu_set_format(&vm->cpus.online);
	g_autofree char *later_list = arm_host_cpu_set_format(&later);

	if (host->pmus->len == 1 && pmu) {
		report_add(report, LEVEL_OK, "backend", "no pmu-hybrid, and one PMU");
	} else if (!*later_list) {
		report_add(report, LEVEL_OK, "backend",
			   "no pmu-hybrid, but QEMU and its vCPUs stay on %s", pick->name);
	} else if (cpus_are_in(&vm->cpus.online, &pick->cpus)) {
		report_add(report, LEVEL_WARNING, "backend",
			   "no pmu-hybrid: vCPUs can leave %s once CPUs %s are online", pick->name,
			   later_list);
		report_advise(report, START_ADVICE);
	} else if (pmu) {
		report_add(report, LEVEL_PROBLEM, "backend",
			   "no pmu-hybrid, and QEMU itself on CPUs %s: "
			   "KVM picked %s, vCPUs are on %s", emulator, pick->name, pmu->name);
		report_advise(report, START_ADVICE);
	} else {
		report_add(report, LEVEL_PROBLEM, "backend",
			   "no pmu-hybrid, %s picked by KVM, and vCPUs on CPUs %s: "
			   "counters stand still on some", pick->name, cpus);
		report_advise(report, host->pmus->len > 1 ? START_ADVICE :
			      "pin the vCPUs to CPUs with a PMU");
	}
}

/*
 * Without pmu-hybrid KVM takes the PMU of the CPU on which a vCPU is created. The vCPU's thread
 * then runs where QEMU's first thread may run, which libvirt's <emulatorpin> decides. It is pinned
 * to the vCPU's own CPUs later.
 */
static void judge_kvms_pick(const Vm *vm, const Host *host, Report *report)
{
	g_autoptr(GPtrArray) picks = find_picks(vm, host);
	g_autofree char *emulator = arm_host_cpu_set_format(&vm->emulator);
	g_autofree char *cpus = arm_host_cpu_set_format(&vm->cpus.online);

	if (!host->pmus->len) {
		report_add(report, LEVEL_WARNING, "backend",
			   "the guest has no PMU: the host has none");
	} else if (!picks->len) {
		report_add(report, LEVEL_UNKNOWN, "backend",
			   "no pmu-hybrid, and QEMU itself on CPUs %s, none of which has a PMU: "
			   "it was started elsewhere", *emulator ? emulator : "that are offline");
	} else if (picks->len == 1) {
		report_only_pick(vm, host, g_ptr_array_index(picks, 0), report);
	} else if (!host_find_covering(host, &vm->cpus.online)) {
		report_add(report, LEVEL_PROBLEM, "backend",
			   "no pmu-hybrid, one PMU picked by KVM, and vCPUs on CPUs %s: "
			   "counters stand still on some", cpus);
		report_advise(report, START_ADVICE);
	} else {
		report_add(report, LEVEL_WARNING, "backend",
			   "no pmu-hybrid, and QEMU itself on CPUs %s: "
			   "KVM picked any of their PMUs", emulator);
		report_advise(report, START_ADVICE);
	}
}

static void judge_choice_made(const Vm *vm, const Host *host, Report *report)
{
	const char *status = vm->status ?: "in an unknown state";

	if (g_str_equal(vm->backend, FIXED_COUNTERS) || host_find_pmu(host, vm->backend)) {
		report_add(report, LEVEL_OK, "backend", "%s (VM is %s)", vm->backend, status);
	} else {
		report_add(report, LEVEL_UNKNOWN, "backend",
			   "%s (VM is %s), which is no PMU of this host", vm->backend, status);
		report_advise(report, "run this on the host of the VM");
	}
}

static void judge_backend(const Vm *vm, const Host *host, Report *report)
{
	if (host->kvm.is_protected && vm->kvm != NO && vm->pmu != NO) {
		report_protected(report, "backend");
	} else if (vm->backend && *vm->backend) {
		judge_choice_made(vm, host, report);
	} else if (vm->kvm == NO) {
		report_add(report, LEVEL_OK, "backend",
			   "TCG, not KVM: QEMU emulates the guest's PMU, "
			   "which counts on every CPU");
	} else if (vm->kvm == UNKNOWN) {
		report_add(report, LEVEL_UNKNOWN, "backend",
			   "the monitor does not tell whether the VM uses KVM");
	} else if (vm->pmu == NO) {
		report_add(report, LEVEL_WARNING, "backend", "the guest has no PMU: %s",
			   host->kvm.pmu == NO ? "KVM has none for guests" : "pmu=off");
		report_advise(report, "Windows needs a PMU to start, and perf to count: %s",
			      host->kvm.pmu == NO ? "see pmu-hybrid-check without arguments" :
			      "start the VM without pmu=off (<pmu state='off'/>)");
	} else if (vm->hybrid == UNKNOWN || (vm->hybrid == YES && !vm->backend)) {
		report_add(report, LEVEL_UNKNOWN, "backend",
			   vm->hybrid == YES ? "QEMU's monitor knows" :
			   "QEMU's monitor knows: the command line alone does not tell "
			   "whether pmu-hybrid is on");
		report_advise(report, "give --qmp SOCKET, or --domain NAME for libvirt's VMs");
	} else if (vm->hybrid == YES) {
		report_add(report, LEVEL_OK, "backend", "chosen when the VM starts (it is %s)",
			   vm->status ?: "in an unknown state");
	} else if (vm->hidden) {
		report_add(report, LEVEL_UNKNOWN, "backend",
			   "no pmu-hybrid: KVM picked a PMU by where QEMU was started");
	} else {
		judge_kvms_pick(vm, host, report);
	}
}

static void add_vcpu_facts(const Vm *vm, JsonObject *facts)
{
	JsonArray *vcpus = json_array_new();

	for (guint i = 0; i < vm->vcpus->len; i++) {
		const Vcpu *vcpu = g_ptr_array_index(vm->vcpus, i);
		JsonObject *object = json_object_new();

		json_object_set_int_member(object, "index", vcpu->index);
		if (vm->hidden) {
			json_object_set_null_member(object, "thread");
			json_object_set_null_member(object, "cpu");
			json_object_set_null_member(object, "cpus");
		} else {
			json_object_set_int_member(object, "thread", vcpu->thread);
			json_object_set_int_member(object, "cpu", vcpu->cpu);
			json_set_cpus(object, "cpus", &vcpu->cpus.all);
		}
		json_array_add_object_element(vcpus, object);
	}
	json_object_set_array_member(facts, "vcpus", vcpus);
}

static void add_facts(const Vm *vm, Report *report)
{
	JsonObject *facts = json_object_new();

	if (vm->pid) {
		json_object_set_int_member(facts, "pid", vm->pid);
	} else {
		json_object_set_null_member(facts, "pid");
	}
	json_object_set_boolean_member(facts, "ended", !!vm->ended);
	json_object_set_object_member(report->facts, "vm", facts);
	if (vm->ended) {
		return;
	}
	if (vm->hidden) {
		json_object_set_null_member(facts, "emulator-cpus");
	} else {
		json_set_cpus(facts, "emulator-cpus", &vm->emulator);
	}
	json_set_answer(facts, "kvm", vm->kvm);
	json_set_answer(facts, "pmu", vm->pmu);
	json_set_answer(facts, "pmu-hybrid", vm->hybrid);
	json_set_string(facts, "backend", vm->backend);
	json_set_string(facts, "status", vm->status);
	add_vcpu_facts(vm, facts);
}

void judge_vm(const Vm *vm, const Host *host, Report *report)
{
	bool is_chosen = vm->backend && *vm->backend;
	const char *when = vm->hybrid == NO ? "with pmu-hybrid=on" :
			   vm->backend && !is_chosen ? "at its start" : "if it started now";

	add_facts(vm, report);
	if (vm->ended) {
		report_add(report, LEVEL_UNKNOWN, "vm", "it ended while this looked at it: %s",
			   vm->ended);
		return;
	}
	if (vm->hidden) {
		report_add(report, LEVEL_UNKNOWN, "vm", "where its vCPUs may run is unknown: %s",
			   vm->hidden);
		report_advise(report, "run this where QEMU's threads can be seen: "
			      "for a VM in a container, on the host, as root");
	} else {
		judge_vcpus(vm, host, report);
	}
	judge_backend(vm, host, report);
	if (!vm->hidden && vm->kvm != NO && vm->pmu != NO && !host->kvm.is_protected) {
		judge_choice(host, &vm->cpus, when, is_chosen || vm->hybrid == NO, report);
	}
}
