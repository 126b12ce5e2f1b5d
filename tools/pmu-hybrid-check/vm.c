/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <sched.h>
#include <stdio.h>
#include "check.h"

static void vcpu_free(gpointer data)
{
	Vcpu *vcpu = data;

	g_free(vcpu->qom_path);
	g_free(vcpu);
}

static Vcpu *add_vcpu(Vm *vm, int index)
{
	Vcpu *vcpu = g_new0(Vcpu, 1);

	vcpu->index = index;
	vcpu->cpu = -1;
	g_ptr_array_add(vm->vcpus, vcpu);
	return vcpu;
}

static int compare_vcpus(gconstpointer a, gconstpointer b)
{
	int first = (*(Vcpu *const *)a)->index, second = (*(Vcpu *const *)b)->index;

	return (first > second) - (first < second);
}

/*
 * QEMU names its threads if it is told to, as libvirt does. TCG may have one thread for all vCPUs.
 */
static bool parse_name(const char *name, int *index, Answer *kvm)
{
	static const struct {
		const char *prefix;
		const char *suffix;
		Answer kvm;
	} names[] = { { "CPU ", "/KVM", YES }, { "CPU ", "/TCG", NO }, { "ALL CPUs", "/TCG", NO } };

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		if (g_str_has_prefix(name, names[i].prefix) &&
		    g_str_has_suffix(name, names[i].suffix)) {
			const char *start = name + strlen(names[i].prefix);
			size_t length = strlen(start) - strlen(names[i].suffix);
			g_autofree char *number = g_strndup(start, length);

			*index = 0;
			*kvm = names[i].kvm;
			return !*number || parse_int(number, index);
		}
	}
	return false;
}

/*
 * Finds the online CPUs of a thread, as QEMU sees them. Only this host's kernel can tell for sure.
 */
static bool read_online(const Host *host, const Thread *thread, ArmHostCPUSet *online, Error **errp)
{
	bitmap_zero(online->cpus, ARM_HOST_MAX_CPUS);
	if (host->is_live && !*host->root) {
		if (sched_getaffinity(thread->id, sizeof(*online), (cpu_set_t *)online->cpus) < 0) {
			g_set_error(errp, ERROR_DOMAIN, ERROR_GONE, "thread %d: %s", thread->id,
				    g_strerror(errno));
			return false;
		}
		return true;
	}
	*online = cpus_and(&thread->allowed, &host->online);
	if (cpus_are_empty(online)) {
		/*
		 * The thread runs somewhere, so the file of online CPUs is that of a container with
		 * lxcfs.
		 */
		*online = thread->allowed;
	}
	return true;
}

/* Finds the CPUs of a thread as QEMU does */
static bool read_cpus(const Host *host, const Thread *thread, CPUs *cpus, Error **errp)
{
	ArmHostCPUs all = { .present = host->present, .online = host->online };

	if (!read_online(host, thread, &cpus->online, errp)) {
		return false;
	}
	arm_host_cpus_add_online(&all, &cpus->online);
	arm_host_cpus_allow(&all, &thread->allowed);
	cpus->all = all.allowed;
	return true;
}

static bool take_thread(Vm *vm, Vcpu *vcpu, const Host *host, const Thread *thread, Error **errp)
{
	vcpu->thread = thread->id;
	vcpu->cpu = thread->cpu;
	if (!read_cpus(host, thread, &vcpu->cpus, errp)) {
		return false;
	}
	vcpu->has_cpuset = thread_read_cpuset(host->root, thread->id, &vcpu->cpuset);
	bitmap_or(vm->cpus.all.cpus, vm->cpus.all.cpus, vcpu->cpus.all.cpus, ARM_HOST_MAX_CPUS);
	bitmap_or(vm->cpus.online.cpus, vm->cpus.online.cpus, vcpu->cpus.online.cpus,
		  ARM_HOST_MAX_CPUS);
	return true;
}

/* All threads of a process that are still there */
static GArray *read_threads(const Host *host, int process, Error **errp)
{
	g_autoptr(GArray) ids = threads_list(host->root, process, errp);
	GArray *threads;

	if (!ids) {
		return NULL;
	}
	threads = g_array_new(false, false, sizeof(Thread));
	for (guint i = 0; i < ids->len; i++) {
		g_autoptr(GError) error = NULL;
		Thread thread;

		if (thread_read(&thread, host->root, g_array_index(ids, int, i), &error)) {
			g_array_append_val(threads, thread);
		} else if (error->code != ERROR_GONE) {
			g_propagate_error(errp, g_steal_pointer(&error));
			g_array_unref(threads);
			return NULL;
		}
	}
	return threads;
}

static bool find_named_threads(Vm *vm, const Host *host, Error **errp)
{
	g_autoptr(GArray) threads = read_threads(host, vm->pid, errp);
	Answer kvm;
	int index;

	for (guint i = 0; threads && i < threads->len; i++) {
		const Thread *thread = &g_array_index(threads, Thread, i);

		if (!parse_name(thread->name, &index, &kvm)) {
			continue;
		}
		vm->kvm = kvm;
		if (!take_thread(vm, add_vcpu(vm, index), host, thread, errp)) {
			return false;
		}
	}
	if (threads && !vm->vcpus->len) {
		error_setg(errp, "process %d has no thread called 'CPU 0/KVM'; if it is QEMU with "
			   "KVM, give --qmp SOCKET, or start it with -name debug-threads=on",
			   vm->pid);
	}
	return vm->vcpus->len;
}

static bool ask_vcpus(Vm *vm, Monitor *monitor, Error **errp)
{
	g_autoptr(JsonNode) answer = monitor_run(monitor, "query-cpus-fast", NULL, errp);
	bool is_array = answer && JSON_NODE_HOLDS_ARRAY(answer);
	JsonArray *cpus = is_array ? json_node_get_array(answer) : NULL;

	if (!answer) {
		return false;
	}
	for (guint i = 0; cpus && i < json_array_get_length(cpus); i++) {
		JsonObject *cpu = json_node_as_object(json_array_get_element(cpus, i));
		Vcpu *vcpu = add_vcpu(vm, json_get_int(cpu, "cpu-index"));

		/* In QEMU's PID namespace, for now */
		vcpu->thread = json_get_int(cpu, "thread-id");
		vcpu->qom_path = g_strdup(json_get_string(cpu, "qom-path"));
	}
	if (!vm->vcpus->len) {
		error_setg(errp, "the monitor tells of no vCPU");
	}
	return vm->vcpus->len;
}

/*
 * A thread with the right number is that of the vCPU if it belongs to the monitor's process, or if
 * it has the right name.
 */
static bool is_vcpu(const Thread *thread, const Vcpu *vcpu, int peer)
{
	Answer kvm;
	int index;

	return thread->inner_id == vcpu->thread &&
	       (thread->process == peer ||
		(parse_name(thread->name, &index, &kvm) && (index == vcpu->index || kvm == NO)));
}

static const Thread *find_thread(const GArray *threads, const Vcpu *vcpu, int peer)
{
	for (guint i = 0; i < threads->len; i++) {
		const Thread *thread = &g_array_index(threads, Thread, i);

		if (is_vcpu(thread, vcpu, peer)) {
			return thread;
		}
	}
	return NULL;
}

/*
 * Finds all vCPUs among the threads of a process, which may be in a PID namespace below this one.
 */
static bool find_in_process(Vm *vm, const Host *host, int process, int peer, Error **errp)
{
	g_autoptr(GError) error = NULL;
	g_autoptr(GArray) threads = read_threads(host, process, &error);
	g_autofree const Thread **found = g_new0(const Thread *, vm->vcpus->len);

	if (error && error->code != ERROR_GONE) {
		g_propagate_error(errp, g_steal_pointer(&error));
		return false;
	}
	for (guint i = 0; i < vm->vcpus->len; i++) {
		const Vcpu *vcpu = g_ptr_array_index(vm->vcpus, i);

		found[i] = threads ? find_thread(threads, vcpu, peer) : NULL;
		if (!found[i]) {
			return false;
		}
	}
	vm->pid = process;
	for (guint i = 0; i < vm->vcpus->len; i++) {
		if (!take_thread(vm, g_ptr_array_index(vm->vcpus, i), host, found[i], errp)) {
			return false;
		}
	}
	return true;
}

/* The process of the monitor's first vCPU, if its thread is in this PID namespace; 0 otherwise */
static int find_process(const Vm *vm, const Host *host, GError **error)
{
	const Vcpu *vcpu = g_ptr_array_index(vm->vcpus, 0);
	Thread thread;

	if (vcpu->thread > 0 && thread_read(&thread, host->root, vcpu->thread, error)) {
		return is_vcpu(&thread, vcpu, 0) ? thread.process : 0;
	}
	if (*error && (*error)->code == ERROR_GONE) {
		g_clear_error(error);
	}
	return 0;
}

static void hide(Vm *vm, const char *reason)
{
	for (guint i = 0; i < vm->vcpus->len; i++) {
		Vcpu *vcpu = g_ptr_array_index(vm->vcpus, i);

		vcpu->thread = 0;
	}
	vm->pid = 0;
	vm->hidden = g_strdup(reason);
}

/*
 * The monitor numbers threads as QEMU's PID namespace does. The socket's peer is QEMU, unless a
 * proxy or libvirt is in between; it has no number here if its namespace is not this one or below.
 */
static bool find_monitors_threads(Vm *vm, const Host *host, int peer, Error **errp)
{
	int wanted = vm->pid, process;
	g_autoptr(GError) error = NULL;

	if (!host->is_live && !*host->root) {
		hide(vm, "/proc is that of another PID namespace");
		return true;
	}
	peer = host->is_live ? peer : NO_PEER;
	if (peer == 0 && !wanted) {
		hide(vm, "QEMU is in another PID namespace");
		return true;
	}
	if ((peer > 0 && (!wanted || wanted == peer) &&
	     find_in_process(vm, host, peer, peer, &error)) ||
	    (wanted && wanted != peer && find_in_process(vm, host, wanted, 0, &error))) {
		return true;
	}
	process = error || peer == 0 ? 0 : find_process(vm, host, &error);
	if (!wanted && process && find_in_process(vm, host, process, 0, &error)) {
		return true;
	}
	if (error) {
		g_propagate_error(errp, g_steal_pointer(&error));
		return false;
	}
	if (wanted && process) {
		error_setg(errp, "the monitor is that of process %d, not %d", process, wanted);
	} else if (wanted) {
		error_setg(errp, "the monitor is not that of process %d", wanted);
	} else {
		hide(vm, "no process here has the threads that the monitor names");
	}
	return !wanted;
}

static JsonNode *get_property(Monitor *monitor, const char *path, const char *property,
			      Error **errp)
{
	JsonObject *arguments = json_object_new();

	json_set_string(arguments, "path", path);
	json_set_string(arguments, "property", property);
	return monitor_run(monitor, "qom-get", arguments, errp);
}

/* A refusal is an answer: this QEMU, or this VM, has no such thing. */
static bool is_refusal(GError **error, Error **errp)
{
	if (*error && (*error)->code != ERROR_REFUSED) {
		g_propagate_error(errp, g_steal_pointer(error));
		return false;
	}
	return true;
}

static bool ask_switch(const char *path, const char *property, Monitor *monitor, Answer *answer,
		       Error **errp)
{
	g_autoptr(GError) error = NULL;
	g_autoptr(JsonNode) node = get_property(monitor, path, property, &error);
	bool is_switch = node && JSON_NODE_HOLDS_VALUE(node) &&
		json_node_get_value_type(node) == G_TYPE_BOOLEAN;

	*answer = is_switch ? (json_node_get_boolean(node) ? YES : NO) : node ? UNKNOWN : NO;
	return is_refusal(&error, errp);
}

static bool ask_backend(Vm *vm, const char *path, Monitor *monitor, Error **errp)
{
	g_autoptr(GError) error = NULL;
	g_autoptr(JsonNode) node = get_property(monitor, path, "pmu-backend", &error);
	bool is_text = node && JSON_NODE_HOLDS_VALUE(node) &&
		json_node_get_value_type(node) == G_TYPE_STRING;

	vm->backend = is_text ? json_node_dup_string(node) : node ? NULL : g_strdup("");
	return is_refusal(&error, errp);
}

static bool ask_vm(Vm *vm, Monitor *monitor, Error **errp)
{
	const Vcpu *vcpu = g_ptr_array_index(vm->vcpus, 0);
	g_autoptr(GError) error = NULL;
	g_autoptr(JsonNode) kvm = monitor_run(monitor, "query-kvm", NULL, &error);
	g_autoptr(JsonNode) status = is_refusal(&error, errp) ?
		monitor_run(monitor, "query-status", NULL, errp) : NULL;

	if (!status) {
		return false;
	}
	vm->kvm = json_get_answer(json_node_as_object(kvm), "enabled");
	vm->status = g_strdup(json_get_string(json_node_as_object(status), "status"));
	return !vcpu->qom_path || (ask_switch(vcpu->qom_path, "pmu", monitor, &vm->pmu, errp) &&
				   ask_switch(vcpu->qom_path, "pmu-hybrid", monitor, &vm->hybrid,
					      errp) &&
				   ask_backend(vm, vcpu->qom_path, monitor, errp));
}

static void read_command_line(Vm *vm, const Host *host)
{
	g_autofree char *path = g_strdup_printf("%s/proc/%d/cmdline", host->root, vm->pid);
	/* Unless it is told not to, QEMU reads this file, too. */
	g_autofree char *settings = g_strdup_printf("%s/proc/%d/root/etc/qemu/qemu.conf",
						    host->root, vm->pid);
	bool has_settings = g_file_test(settings, G_FILE_TEST_EXISTS);
	g_autofree char *line = NULL;
	gsize length;

	if (g_file_get_contents(path, &line, &length, NULL)) {
		vm->pmu = cmdline_find_property(line, length, "pmu", has_settings, host->kvm.pmu);
		vm->hybrid = cmdline_find_property(line, length, "pmu-hybrid", has_settings, NO);
	}
}

static bool find_parts(Vm *vm, const Host *host, Monitor *monitor, Error **errp)
{
	Thread first;

	if (!monitor && !find_named_threads(vm, host, errp)) {
		return false;
	}
	if (monitor && (!ask_vcpus(vm, monitor, errp) ||
			!find_monitors_threads(vm, host, monitor->peer, errp) ||
			!ask_vm(vm, monitor, errp))) {
		return false;
	}
	if (!vm->hidden) {
		if (!thread_read(&first, host->root, vm->pid, errp)) {
			return false;
		}
		vm->emulator = cpus_and(&first.allowed, &host->online);
	}
	if (!monitor) {
		read_command_line(vm, host);
	}
	return true;
}

static Vm *vm_new(int pid)
{
	Vm *vm = g_new0(Vm, 1);

	vm->pid = pid;
	vm->kvm = vm->pmu = vm->hybrid = UNKNOWN;
	vm->vcpus = g_ptr_array_new_with_free_func(vcpu_free);
	return vm;
}

Vm *vm_new_ended(int pid, const char *reason)
{
	Vm *vm = vm_new(pid);

	vm->ended = g_strdup(reason);
	return vm;
}

Vm *vm_find(const Host *host, int pid, Monitor *monitor, Error **errp)
{
	Vm *vm = vm_new(pid);
	g_autoptr(GArray) threads = pid ? threads_list(host->root, pid, errp) : NULL;
	g_autoptr(GError) error = NULL;

	if (pid && !threads) {
		g_prefix_error(errp, "--pid: ");
		vm_free(vm);
		return NULL;
	}
	if (!find_parts(vm, host, monitor, &error)) {
		if (error->code != ERROR_GONE) {
			g_propagate_error(errp, g_steal_pointer(&error));
			vm_free(vm);
			return NULL;
		}
		vm->ended = g_strdup(error->message);
	}
	g_ptr_array_sort(vm->vcpus, compare_vcpus);
	return vm;
}

void vm_free(Vm *vm)
{
	g_ptr_array_unref(vm->vcpus);
	g_free(vm->hidden);
	g_free(vm->ended);
	g_free(vm->backend);
	g_free(vm->status);
	g_free(vm);
}
