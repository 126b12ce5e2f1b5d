/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <stdio.h>
#include "check.h"

/* Fields of /proc/PID/stat behind the name, from 0 */
#define STAT_PROCESSOR	36
#define HYBRID		"pmu-hybrid=on"

static void vcpu_free(gpointer data)
{
	Vcpu *vcpu = data;

	g_free(vcpu->qom_path);
	g_free(vcpu);
}

static void add_vcpu(Vm *vm, int index, int thread, const char *qom_path)
{
	Vcpu *vcpu = g_new0(Vcpu, 1);

	vcpu->index = index;
	vcpu->thread = thread;
	vcpu->qom_path = g_strdup(qom_path);
	g_ptr_array_add(vm->vcpus, vcpu);
}

static int compare_vcpus(gconstpointer a, gconstpointer b)
{
	return (*(Vcpu *const *)a)->index - (*(Vcpu *const *)b)->index;
}

/* QEMU names its threads if it is told to, as libvirt does. */
static bool find_named_threads(Vm *vm, const char *root, Error **errp)
{
	g_autofree char *path = g_strdup_printf("%s/proc/%d/task", root, vm->pid);
	g_autoptr(GDir) dir = g_dir_open(path, 0, NULL);
	const char *thread;

	if (!dir) {
		error_setg(errp, "there is no process %d", vm->pid);
		return false;
	}
	while ((thread = g_dir_read_name(dir))) {
		g_autofree char *name = read_text(NULL, "%s/%s/comm", path, thread);
		int index, length = 0;

		if (name && sscanf(name, "CPU %d/KVM%n", &index, &length) == 1 && length && !name[length]) {
			add_vcpu(vm, index, atoi(thread), NULL);
		}
	}
	if (!vm->vcpus->len) {
		error_setg(errp, "process %d has no thread called 'CPU 0/KVM'; if it is QEMU with KVM, give --qmp SOCKET, or start it "
			   "with -name debug-threads=on", vm->pid);
	}
	return vm->vcpus->len;
}

static bool find_threads_by_monitor(Vm *vm, Monitor *monitor, Error **errp)
{
	g_autoptr(JsonNode) answer = monitor_run(monitor, "query-cpus-fast", NULL, errp);
	JsonArray *cpus = answer && JSON_NODE_HOLDS_ARRAY(answer) ? json_node_get_array(answer) : NULL;

	if (!answer) {
		return false;
	}
	for (guint i = 0; cpus && i < json_array_get_length(cpus); i++) {
		JsonObject *cpu = json_node_as_object(json_array_get_element(cpus, i));

		add_vcpu(vm, json_get_int(cpu, "cpu-index"), json_get_int(cpu, "thread-id"), json_get_string(cpu, "qom-path"));
	}
	if (!vm->vcpus->len) {
		error_setg(errp, "the monitor tells of no vCPU");
	}
	return vm->vcpus->len;
}

/* The line of /proc/PID/status that starts so */
static char *find_status(const char *root, int pid, const char *name, Error **errp)
{
	g_autofree char *status = read_text(errp, "%s/proc/%d/status", root, pid);
	g_auto(GStrv) lines = status ? g_strsplit(status, "\n", -1) : NULL;

	for (int i = 0; lines && lines[i]; i++) {
		if (g_str_has_prefix(lines[i], name)) {
			return g_strdup(g_strstrip(lines[i] + strlen(name)));
		}
	}
	if (lines) {
		error_setg(errp, "%s/proc/%d/status has no %s", root, pid, name);
	}
	return NULL;
}

/* CPUs that are offline are told of as far as they are present: the choice is made with them. */
static bool read_affinity(const Host *host, const char *root, int thread, ArmHostCPUSet *cpus, Error **errp)
{
	g_autofree char *list = find_status(root, thread, "Cpus_allowed_list:", errp);

	if (!list || !arm_host_cpu_set_parse(list, cpus, errp)) {
		return false;
	}
	bitmap_and(cpus->cpus, cpus->cpus, host->cpus.present.cpus, ARM_HOST_MAX_CPUS);
	return true;
}

static bool read_cpu(const char *root, int thread, int *cpu, Error **errp)
{
	g_autofree char *stat = read_text(errp, "%s/proc/%d/stat", root, thread);
	/* The name is in brackets and may have some itself. */
	const char *fields = stat ? strrchr(stat, ')') : NULL;
	g_auto(GStrv) words = fields ? g_strsplit(g_strchug((char *)fields + 1), " ", -1) : NULL;

	if (!words || g_strv_length(words) <= STAT_PROCESSOR) {
		if (stat) {
			error_setg(errp, "%s/proc/%d/stat is too short", root, thread);
		}
		return false;
	}
	*cpu = atoi(words[STAT_PROCESSOR]);
	return true;
}

static bool read_threads(Vm *vm, const Host *host, const char *root, Error **errp)
{
	for (guint i = 0; i < vm->vcpus->len; i++) {
		Vcpu *vcpu = g_ptr_array_index(vm->vcpus, i);
		g_autofree char *group = find_status(root, vcpu->thread, "Tgid:", errp);

		if (!group || !read_affinity(host, root, vcpu->thread, &vcpu->cpus, errp) ||
		    !read_cpu(root, vcpu->thread, &vcpu->cpu, errp)) {
			return false;
		}
		if (vm->pid && vm->pid != atoi(group)) {
			error_setg(errp, "the monitor is that of process %s, not %d", group, vm->pid);
			return false;
		}
		vm->pid = atoi(group);
		bitmap_or(vm->cpus.cpus, vm->cpus.cpus, vcpu->cpus.cpus, ARM_HOST_MAX_CPUS);
	}
	return read_affinity(host, root, vm->pid, &vm->emulator, errp);
}

static JsonNode *get_property(Monitor *monitor, const char *path, const char *property, Error **errp)
{
	JsonObject *arguments = json_object_new();

	json_set_string(arguments, "path", path);
	json_set_string(arguments, "property", property);
	return monitor_run(monitor, "qom-get", arguments, errp);
}

/* A QEMU without pmu-hybrid has neither property. */
static bool ask_backend(Vm *vm, Monitor *monitor, Error **errp)
{
	const Vcpu *vcpu = g_ptr_array_index(vm->vcpus, 0);
	g_autoptr(JsonNode) status = monitor_run(monitor, "query-status", NULL, errp);
	g_autoptr(JsonNode) hybrid = NULL;
	g_autoptr(JsonNode) backend = NULL;

	if (!status) {
		return false;
	}
	vm->status = g_strdup(json_get_string(json_node_as_object(status), "status"));
	hybrid = get_property(monitor, vcpu->qom_path, "pmu-hybrid", NULL);
	backend = get_property(monitor, vcpu->qom_path, "pmu-backend", NULL);
	vm->hybrid = hybrid && JSON_NODE_HOLDS_VALUE(hybrid) && json_node_get_boolean(hybrid);
	vm->backend = backend && JSON_NODE_HOLDS_VALUE(backend) ? json_node_dup_string(backend) : g_strdup("");
	return true;
}

/* Words of the command line end with zeros. */
static Answer guess_hybrid(const char *root, int pid)
{
	g_autofree char *path = g_strdup_printf("%s/proc/%d/cmdline", root, pid);
	g_autofree char *line = NULL;
	gsize length;

	if (!g_file_get_contents(path, &line, &length, NULL)) {
		return UNKNOWN;
	}
	return memmem(line, length, HYBRID, strlen(HYBRID)) ? YES : NO;
}

Vm *vm_find(const Host *host, const char *root, int pid, Monitor *monitor, Error **errp)
{
	Vm *vm = g_new0(Vm, 1);

	vm->pid = pid;
	vm->vcpus = g_ptr_array_new_with_free_func(vcpu_free);
	if (!(monitor ? find_threads_by_monitor(vm, monitor, errp) : find_named_threads(vm, root, errp)) ||
	    !read_threads(vm, host, root, errp) || (monitor && !ask_backend(vm, monitor, errp))) {
		vm_free(vm);
		return NULL;
	}
	g_ptr_array_sort(vm->vcpus, compare_vcpus);
	if (!monitor) {
		vm->hybrid = guess_hybrid(root, vm->pid);
	}
	return vm;
}

void vm_free(Vm *vm)
{
	g_ptr_array_unref(vm->vcpus);
	g_free(vm->backend);
	g_free(vm->status);
	g_free(vm);
}

static const ArmHostPMU *find_pmu_of(const Host *host, const ArmHostCPUSet *cpus)
{
	ArmHostPMUChoice choice;

	host_choose(host, cpus, true, &choice, NULL);
	return choice.pmu;
}

/* pmu is that which the vCPU must not leave, or NULL */
static void judge_vcpu(const Vcpu *vcpu, const ArmHostPMU *pmu, Report *report)
{
	g_autofree char *topic = g_strdup_printf("vcpu %d", vcpu->index);
	g_autofree char *cpus = arm_host_cpu_set_format(&vcpu->cpus);
	g_autofree char *pmu_cpus = pmu ? arm_host_cpu_set_format(&pmu->cpus) : NULL;
	/* A thread that waits may have been pinned since, and moves when it wakes up. */
	bool has_left = pmu && !test_bit(vcpu->cpu, pmu->cpus.cpus) && test_bit(vcpu->cpu, vcpu->cpus.cpus);

	if (!pmu || cpus_are_in(&vcpu->cpus, &pmu->cpus)) {
		report_add(report, LEVEL_OK, topic, "thread %d on CPU %d, may run on CPUs %s", vcpu->thread, vcpu->cpu, cpus);
		return;
	}
	report_add(report, has_left ? LEVEL_PROBLEM : LEVEL_WARNING, topic, "thread %d on CPU %d, may run on CPUs %s: %s %s",
		   vcpu->thread, vcpu->cpu, cpus, has_left ? "it has left" : "it can leave", pmu->name);
	report_advise(report, "taskset -pc %s %d; a VM that QEMU has paused goes on with 'cont'", pmu_cpus, vcpu->thread);
}

/*
 * Without pmu-hybrid KVM takes the PMU of the CPU on which a vCPU is created, and its thread is then where QEMU's first thread may be.
 * That is not where vCPUs are pinned to later: libvirt's <emulatorpin> decides.
 */
static void judge_kvms_pick(const Vm *vm, const Host *host, Report *report)
{
	const ArmHostPMU *pmu = find_pmu_of(host, &vm->cpus);
	const ArmHostPMU *start = find_pmu_of(host, &vm->emulator);
	g_autofree char *emulator = arm_host_cpu_set_format(&vm->emulator);
	g_autofree char *cpus = arm_host_cpu_set_format(&vm->cpus);

	if (!pmu) {
		report_add(report, LEVEL_PROBLEM, "backend",
			   "no pmu-hybrid, one PMU picked by KVM, and vCPUs on CPUs %s: counters stand still on some", cpus);
	} else if (!start) {
		report_add(report, LEVEL_WARNING, "backend", "no pmu-hybrid, and QEMU itself on CPUs %s: KVM picked any of their PMUs",
			   emulator);
	} else if (start != pmu) {
		report_add(report, LEVEL_PROBLEM, "backend", "no pmu-hybrid, and QEMU itself on CPUs %s: KVM picked %s, vCPUs are on %s",
			   emulator, start->name, pmu->name);
	} else {
		report_add(report, LEVEL_OK, "backend", "no pmu-hybrid, but QEMU and its vCPUs stay on %s", pmu->name);
		return;
	}
	report_advise(report, "start the VM with -cpu host,pmu-hybrid=on, or with QEMU itself (<emulatorpin>) and all vCPUs on one PMU");
}

static void judge_backend(const Vm *vm, const Host *host, Report *report)
{
	if (vm->backend && *vm->backend) {
		report_add(report, LEVEL_OK, "backend", "%s (VM is %s)", vm->backend, vm->status);
	} else if (vm->hybrid == NO && host->pmus->len > 1) {
		judge_kvms_pick(vm, host, report);
	} else if (vm->hybrid == NO) {
		report_add(report, LEVEL_OK, "backend", "no pmu-hybrid, and one PMU");
	} else if (vm->backend) {
		report_add(report, LEVEL_OK, "backend", "chosen when the VM starts (it is %s)", vm->status);
	} else {
		report_add(report, LEVEL_UNKNOWN, "backend", "QEMU's monitor knows");
		report_advise(report, "give --qmp SOCKET, or --domain NAME for libvirt's VMs");
	}
}

static void add_facts(const Vm *vm, Report *report)
{
	JsonObject *facts = json_object_new();
	JsonArray *vcpus = json_array_new();

	for (guint i = 0; i < vm->vcpus->len; i++) {
		const Vcpu *vcpu = g_ptr_array_index(vm->vcpus, i);
		JsonObject *object = json_object_new();

		json_object_set_int_member(object, "index", vcpu->index);
		json_object_set_int_member(object, "thread", vcpu->thread);
		json_object_set_int_member(object, "cpu", vcpu->cpu);
		json_set_cpus(object, "cpus", &vcpu->cpus);
		json_array_add_object_element(vcpus, object);
	}
	json_object_set_int_member(facts, "pid", vm->pid);
	json_set_cpus(facts, "emulator-cpus", &vm->emulator);
	json_set_answer(facts, "pmu-hybrid", vm->hybrid);
	json_set_string(facts, "backend", vm->backend);
	json_set_string(facts, "status", vm->status);
	json_object_set_array_member(facts, "vcpus", vcpus);
	json_object_set_object_member(report->facts, "vm", facts);
}

void judge_vm(const Vm *vm, const Host *host, Report *report)
{
	const ArmHostPMU *pmu = vm->backend ? host_find_pmu(host, vm->backend) : NULL;
	bool is_chosen = vm->backend && *vm->backend;
	const char *when = vm->hybrid == NO ? "with pmu-hybrid=on" : vm->backend && !is_chosen ? "at its start" : "if it started now";

	add_facts(vm, report);
	for (guint i = 0; i < vm->vcpus->len; i++) {
		judge_vcpu(g_ptr_array_index(vm->vcpus, i), pmu, report);
	}
	judge_backend(vm, host, report);
	judge_choice(host, &vm->cpus, when, is_chosen || vm->hybrid == NO, report);
}
