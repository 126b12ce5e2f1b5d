/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Tests what the tool says about hosts and VMs, with folders that look like /sys and /proc, and
 * with answers that a monitor might give.
 */
#include <glib/gstdio.h>
#include "check.h"

#define BIGLITTLE	{ { "armv8_cortex_a55", "0-3", 530 }, { "armv8_cortex_a76", "4-7", 1024 } }
#define HOMOGENEOUS	{ { "armv8_cortex_a72", "0-7" } }
#define MAX_VCPUS	2
#define PID		100

typedef struct TestPMU {
	const char *name;
	const char *cpus;
	int capacity;
} TestPMU;

typedef struct TestVcpu {
	const char *cpus;
	int cpu;
} TestVcpu;

typedef struct HostCase {
	const char *name;
	TestPMU pmus[3];
	Kvm kvm;
	Qemu qemu;
	const char *text;
} HostCase;

typedef struct VmCase {
	const char *name;
	TestPMU pmus[3];
	Answer fixed_counters;
	const char *emulator;
	TestVcpu vcpus[MAX_VCPUS];
	const char *command_line;
	/*
	 * Answers for pmu-hybrid, pmu-backend and query-status; without a status there is no
	 * monitor.
	 */
	const char *hybrid;
	const char *backend;
	const char *status;
	const char *text;
} VmCase;

#define KVM_FIXED	{ YES, YES, YES }
#define KVM_STOCK	{ YES, YES, NO }
#define QEMU_HYBRID	{ (char *)"/qemu", (char *)"10.2.2", YES }
#define QEMU_STOCK	{ (char *)"/qemu", (char *)"10.2.2", NO }
#define HOST_LINES	"ok       host     Linux 7.3 on CPUs 0-7\n"
#define BIGLITTLE_LINES	HOST_LINES "ok       pmu      armv8_cortex_a55 on CPUs 0-3\n" \
			"ok       pmu      armv8_cortex_a76 on CPUs 4-7\n"
#define FIXED_CPUS	"ok       kernel   KVM has a PMU for guests, with fixed counters " \
			"that count on all CPUs"
#define FIXED_LINE	FIXED_CPUS "\n"
#define HYBRID_LINE	"ok       qemu     /qemu 10.2.2: use -cpu host,pmu-hybrid=on\n"
#define ADVICE		"                  -> "
#define START_ADVICE	ADVICE "start the VM with -cpu host,pmu-hybrid=on, or with QEMU itself " \
			"(<emulatorpin>) and all vCPUs on one PMU\n"
#define GETS(when, cpus)	"ok       choice   " when ", vCPUs on CPUs " cpus " get "
#define GETS_FIXED(when, cpus) \
	GETS(when, cpus) "fixed-counters: the cycle counter alone, on all of them\n"
#define GETS_ALL(when, cpus, pmu)	GETS(when, cpus) pmu " with all of its counters\n"

static const HostCase host_cases[] = {
	{
		"all well", BIGLITTLE, KVM_FIXED, QEMU_HYBRID,
		BIGLITTLE_LINES FIXED_LINE HYBRID_LINE
	}, {
		"stock kernel", BIGLITTLE, KVM_STOCK, QEMU_HYBRID,
		BIGLITTLE_LINES
		"warning  kernel   KVM lacks KVM_ARM_VCPU_PMU_V3_FIXED_COUNTERS_ONLY: "
		"each VM has to stay on one PMU\n"
		ADVICE "boot a kernel with it, or pin the vCPUs of each VM to one PMU, "
		"e.g. CPUs 4-7\n"
		HYBRID_LINE
	}, {
		"stock QEMU", BIGLITTLE, KVM_FIXED, QEMU_STOCK,
		BIGLITTLE_LINES FIXED_LINE
		"warning  qemu     /qemu 10.2.2 has no pmu-hybrid\n"
		ADVICE "install a QEMU that has it, or keep QEMU on one PMU from its start: "
		"taskset -c 4-7\n"
	}, {
		"old kernel", BIGLITTLE, { YES, NO, YES }, QEMU_HYBRID,
		BIGLITTLE_LINES FIXED_LINE
		"warning  kernel   KVM lacks KVM_ARM_VCPU_PMU_V3_SET_PMU: "
		"QEMU cannot choose a PMU\n"
		ADVICE "boot Linux 5.18 or newer\n" HYBRID_LINE
	}, {
		"homogeneous and stock", HOMOGENEOUS, KVM_STOCK, QEMU_STOCK,
		HOST_LINES "ok       pmu      armv8_cortex_a72 on CPUs 0-7\n"
		"ok       kernel   KVM has a PMU for guests\n"
		"ok       qemu     /qemu 10.2.2; VMs need no pmu-hybrid on this host\n"
	}, {
		"CPUs without a PMU", { { "armv8_cortex_a72", "0-5" } }, KVM_FIXED, QEMU_HYBRID,
		HOST_LINES "ok       pmu      armv8_cortex_a72 on CPUs 0-5\n"
		"warning  pmu      none on CPUs 6-7\n"
		ADVICE "keep VMs away from these CPUs: a guest's counters stand still there\n"
		FIXED_CPUS " with a PMU\n" HYBRID_LINE
	}, {
		"no PMU", { }, { NO, NO, NO }, QEMU_STOCK,
		HOST_LINES "problem  pmu      no PMU of a CPU below /sys/bus/event_source/devices\n"
		ADVICE "see that device tree or firmware have the PMU, and the kernel its driver\n"
		"problem  kernel   KVM has no PMU for guests\n"
		ADVICE "give the host its PMU first: KVM backs that of guests by it\n"
		"ok       qemu     /qemu 10.2.2\n"
	}, {
		"nothing to ask", HOMOGENEOUS,
		{ UNKNOWN, UNKNOWN, UNKNOWN, (char *)"/dev/kvm: no", LEVEL_UNKNOWN, "be root" },
		{ NULL, NULL, UNKNOWN, (char *)"no QEMU" },
		HOST_LINES "ok       pmu      armv8_cortex_a72 on CPUs 0-7\n"
		"unknown  kernel   /dev/kvm: no\n"
		ADVICE "be root\n"
		"unknown  qemu     no QEMU\n"
		ADVICE "see that QEMU starts with KVM; --qemu PATH names another one\n"
	},
};

static const VmCase vm_cases[] = {
	{
		"fixed counters", BIGLITTLE, YES, "0-7", { { "0-7", 1 }, { "0-7", 5 } }, "", "true",
		"fixed-counters", "running",
		"ok       vcpu 0   thread 101 on CPU 1, may run on CPUs 0-7\n"
		"ok       vcpu 1   thread 102 on CPU 5, may run on CPUs 0-7\n"
		"ok       backend  fixed-counters (VM is running)\n"
		GETS_FIXED("if it started now", "0-7")
	}, {
		"not started", BIGLITTLE, NO, "0-7", { { "4-7", 4 } }, "", "true", "", "prelaunch",
		"ok       vcpu 0   thread 101 on CPU 4, may run on CPUs 4-7\n"
		"ok       backend  chosen when the VM starts (it is prelaunch)\n"
		GETS_ALL("at its start", "4-7", "armv8_cortex_a76")
	}, {
		"will be refused", BIGLITTLE, NO, "0-7", { { "3-4", 3 } }, "", "true", "",
		"prelaunch",
		"ok       vcpu 0   thread 101 on CPU 3, may run on CPUs 3-4\n"
		"ok       backend  chosen when the VM starts (it is prelaunch)\n"
		"problem  choice   at its start, QEMU refuses: The vCPU threads may run on the "
		"host's CPUs 3-4, which no single PMU covers (the host has armv8_cortex_a55 on "
		"CPUs 0-3, armv8_cortex_a76 on CPUs 4-7), and its kernel lacks "
		"KVM_ARM_VCPU_PMU_V3_FIXED_COUNTERS_ONLY; either pin all vCPU threads to the CPUs "
		"of one PMU, or use a kernel with that attribute\n"
	}, {
		"can leave", BIGLITTLE, UNKNOWN, "0-7", { { "4-7", 4 }, { "3-4", 4 } }, "", "true",
		"armv8_cortex_a76", "running",
		"ok       vcpu 0   thread 101 on CPU 4, may run on CPUs 4-7\n"
		"warning  vcpu 1   thread 102 on CPU 4, may run on CPUs 3-4: "
		"it can leave armv8_cortex_a76\n"
		ADVICE "taskset -pc 4-7 102; a VM that QEMU has paused goes on with 'cont'\n"
		"ok       backend  armv8_cortex_a76 (VM is running)\n"
		GETS("if it started now", "3-7") "fixed-counters if the kernel has them; "
		"otherwise QEMU refuses\n"
	}, {
		"can leave, and waits where it may not be", BIGLITTLE, YES, "0-7",
		{ { "2,4-7", 3 } }, "", "true", "armv8_cortex_a76", "paused",
		"warning  vcpu 0   thread 101 on CPU 3, may run on CPUs 2,4-7: "
		"it can leave armv8_cortex_a76\n"
		ADVICE "taskset -pc 4-7 101; a VM that QEMU has paused goes on with 'cont'\n"
		"ok       backend  armv8_cortex_a76 (VM is paused)\n"
		GETS_FIXED("if it started now", "2,4-7")
	}, {
		"has left", BIGLITTLE, YES, "0-7", { { "0-7", 3 } }, "", "true", "armv8_cortex_a76",
		"paused",
		"problem  vcpu 0   thread 101 on CPU 3, may run on CPUs 0-7: "
		"it has left armv8_cortex_a76\n"
		ADVICE "taskset -pc 4-7 101; a VM that QEMU has paused goes on with 'cont'\n"
		"ok       backend  armv8_cortex_a76 (VM is paused)\n"
		GETS_FIXED("if it started now", "0-7")
	}, {
		"pinned again while it waits", BIGLITTLE, YES, "0-7", { { "4-7", 3 } }, "", "true",
		"armv8_cortex_a76", "paused",
		"ok       vcpu 0   thread 101 on CPU 3, may run on CPUs 4-7\n"
		"ok       backend  armv8_cortex_a76 (VM is paused)\n"
		GETS_ALL("if it started now", "4-7", "armv8_cortex_a76")
	}, {
		"KVM's pick, all CPUs", BIGLITTLE, YES, "0-7", { { "0-7", 0 } }, "", "false", "",
		"running",
		"ok       vcpu 0   thread 101 on CPU 0, may run on CPUs 0-7\n"
		"problem  backend  no pmu-hybrid, one PMU picked by KVM, and vCPUs on CPUs 0-7: "
		"counters stand still on some\n"
		START_ADVICE
		GETS_FIXED("with pmu-hybrid=on", "0-7")
	}, {
		"KVM's pick, emulator elsewhere", BIGLITTLE, YES, "0-3", { { "4", 4 }, { "5", 5 } },
		"", NULL, NULL, "running",
		"ok       vcpu 0   thread 101 on CPU 4, may run on CPUs 4\n"
		"ok       vcpu 1   thread 102 on CPU 5, may run on CPUs 5\n"
		"problem  backend  no pmu-hybrid, and QEMU itself on CPUs 0-3: "
		"KVM picked armv8_cortex_a55, vCPUs are on armv8_cortex_a76\n"
		START_ADVICE
		GETS_ALL("with pmu-hybrid=on", "4-5", "armv8_cortex_a76")
	}, {
		"KVM's pick, emulator anywhere", BIGLITTLE, YES, "0-7", { { "4-7", 4 } },
		"qemu -cpu host", NULL, NULL, NULL,
		"ok       vcpu 0   thread 101 on CPU 4, may run on CPUs 4-7\n"
		"warning  backend  no pmu-hybrid, and QEMU itself on CPUs 0-7: "
		"KVM picked any of their PMUs\n"
		START_ADVICE
		GETS_ALL("with pmu-hybrid=on", "4-7", "armv8_cortex_a76")
	}, {
		"KVM's pick, together", BIGLITTLE, YES, "4-7", { { "4-7", 4 } }, "qemu -cpu host",
		NULL, NULL, NULL,
		"ok       vcpu 0   thread 101 on CPU 4, may run on CPUs 4-7\n"
		"ok       backend  no pmu-hybrid, but QEMU and its vCPUs stay on armv8_cortex_a76\n"
		GETS_ALL("with pmu-hybrid=on", "4-7", "armv8_cortex_a76")
	}, {
		"one PMU, offline CPUs", HOMOGENEOUS, NO, "0-9", { { "0-9", 9 } }, "qemu -cpu host",
		NULL, NULL, NULL,
		"ok       vcpu 0   thread 101 on CPU 9, may run on CPUs 0-7\n"
		"ok       backend  no pmu-hybrid, and one PMU\n"
		GETS_ALL("with pmu-hybrid=on", "0-7", "armv8_cortex_a72")
	}, {
		"no monitor", BIGLITTLE, YES, "0-7", { { "0-7", 4 } },
		"qemu -cpu host,pmu-hybrid=on", NULL, NULL, NULL,
		"ok       vcpu 0   thread 101 on CPU 4, may run on CPUs 0-7\n"
		"unknown  backend  QEMU's monitor knows\n"
		ADVICE "give --qmp SOCKET, or --domain NAME for libvirt's VMs\n"
		GETS_FIXED("if it started now", "0-7")
	},
};

static void write_file(const char *root, const char *text, const char *format,
		       ...) G_GNUC_PRINTF(3, 4);

static void write_file(const char *root, const char *text, const char *format, ...)
{
	g_autofree char *name = NULL;
	g_autofree char *path = NULL;
	g_autofree char *dir = NULL;
	va_list arguments;

	va_start(arguments, format);
	name = g_strdup_vprintf(format, arguments);
	va_end(arguments);
	path = g_build_filename(root, name, NULL);
	dir = g_path_get_dirname(path);
	g_assert_cmpint(g_mkdir_with_parents(dir, 0755), ==, 0);
	g_assert_true(g_file_set_contents(path, text, -1, NULL));
}

static char *make_root(const TestPMU *pmus)
{
	char *root = g_dir_make_tmp("test-check-XXXXXX", NULL);
	g_autofree char *devices = g_build_filename(root, "sys/bus/event_source/devices", NULL);

	g_assert_cmpint(g_mkdir_with_parents(devices, 0755), ==, 0);
	write_file(root, "7.3\n", "proc/sys/kernel/osrelease");
	write_file(root, "0-7\n", "sys/devices/system/cpu/online");
	write_file(root, "0-7\n", "sys/devices/system/cpu/present");
	for (int i = 0; i < 3 && pmus[i].name; i++) {
		g_autofree char *capacity = g_strdup_printf("%d\n", pmus[i].capacity);

		write_file(root, pmus[i].cpus, "sys/bus/event_source/devices/%s/cpus",
			   pmus[i].name);
		write_file(root, "8\n", "sys/bus/event_source/devices/%s/type", pmus[i].name);
		write_file(root, capacity, "sys/devices/system/cpu/cpu%d/cpu_capacity",
			   atoi(pmus[i].cpus));
	}
	return root;
}

static void remove_tree(const char *path)
{
	g_autoptr(GDir) dir = g_dir_open(path, 0, NULL);
	const char *name;

	while (dir && (name = g_dir_read_name(dir))) {
		g_autofree char *child = g_build_filename(path, name, NULL);

		remove_tree(child);
	}
	g_assert_cmpint(g_remove(path), ==, 0);
}

static void make_thread(const char *root, int pid, int thread, const char *name, const char *cpus,
			int cpu)
{
	g_autofree char *status = g_strdup_printf("Name:\t%s\nTgid:\t%d\nCpus_allowed_list:\t%s\n",
						  name, pid, cpus);
	const char *fields = " 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0"
		" 0 0 0";
	g_autofree char *stat = g_strdup_printf("%d (a) b)) S%s %d 0", thread, fields, cpu);

	write_file(root, status, "proc/%d/status", thread);
	write_file(root, stat, "proc/%d/stat", thread);
	write_file(root, name, "proc/%d/task/%d/comm", pid, thread);
}

/* In the file each word ends with a zero byte. */
static void write_command_line(const char *root, const char *words)
{
	g_autofree char *path = g_strdup_printf("%s/proc/%d/cmdline", root, PID);
	g_autofree char *line = g_strdelimit(g_strdup(words), " ", 0);

	g_assert_true(g_file_set_contents(path, line, strlen(words) + 1, NULL));
}

static void make_vm(const char *root, const VmCase *c)
{
	make_thread(root, PID, PID, "qemu-system-aar\n", c->emulator, 0);
	write_file(root, "IO mon_iothread\n", "proc/%d/task/%d/comm", PID, PID + 50);
	write_command_line(root, c->command_line);
	for (int i = 0; i < MAX_VCPUS && c->vcpus[i].cpus; i++) {
		g_autofree char *name = g_strdup_printf("CPU %d/KVM\n", i);

		make_thread(root, PID, PID + 1 + i, name, c->vcpus[i].cpus, c->vcpus[i].cpu);
	}
}

typedef struct TestMonitor {
	Monitor base;
	const VmCase *vm;
} TestMonitor;

static char *answer_cpus(const VmCase *c)
{
	GString *text = g_string_new("{\"return\": [");

	for (int i = 0; i < MAX_VCPUS && c->vcpus[i].cpus; i++) {
		g_string_append_printf(text, "%s{\"cpu-index\": %d, \"thread-id\": %d, "
				       "\"qom-path\": \"/cpu\"}", i ? ", " : "", i, PID + 1 + i);
	}
	g_string_append(text, "]}");
	return g_string_free(text, false);
}

static JsonNode *answer(Monitor *base, const char *line, Error **errp)
{
	const VmCase *c = ((TestMonitor *)base)->vm;
	g_autofree char *text = NULL;

	if (strstr(line, "query-cpus-fast")) {
		text = answer_cpus(c);
	} else if (strstr(line, "query-kvm")) {
		text = g_strdup("{\"return\": {\"enabled\": true, \"present\": true}}");
	} else if (strstr(line, "\"pmu\"")) {
		text = g_strdup("{\"return\": true}");
	} else if (strstr(line, "query-status")) {
		text = g_strdup_printf("{\"return\": {\"status\": \"%s\"}}", c->status);
	} else if (strstr(line, "pmu-hybrid") && c->hybrid) {
		text = g_strdup_printf("{\"return\": %s}", c->hybrid);
	} else if (strstr(line, "pmu-backend") && c->backend) {
		text = g_strdup_printf("{\"return\": \"%s\"}", c->backend);
	}
	return monitor_parse(text ?: "{\"error\": {\"class\": \"GenericError\", "
			     "\"desc\": \"no such thing\"}}", errp);
}

static void check_text(const Report *report, const char *expected)
{
	g_autofree char *text = report_format(report, false);
	g_autofree char *json = report_format(report, true);
	g_autoptr(JsonNode) node = json_from_string(json, NULL);
	JsonObject *object = json_node_get_object(node);
	JsonArray *findings = json_object_get_array_member(object, "findings");

	g_assert_cmpstr(text, ==, expected);
	/* The verdict is the level of the worst line, in both formats. */
	g_assert_cmpint(json_array_get_length(findings), >, 0);
	g_assert_true(strstr(text, json_get_string(object, "verdict")));
	g_assert_cmpint(report->worst, ==, strstr(text, "problem ") ? 3 :
			strstr(text, "unknown ") ? 2 : !!strstr(text, "warning "));
}

static void test_host(const void *data)
{
	const HostCase *c = data;
	g_autofree char *root = make_root(c->pmus);
	Report *report = report_new();
	Host host = { };

	g_assert_true(host_read(&host, root, &(Error *){ NULL }));
	host.kvm = c->kvm;
	judge_host(&host, report);
	judge_kernel(&host, report);
	judge_qemu(&c->qemu, &host, report);
	check_text(report, c->text);
	host.kvm.trouble = NULL;
	host_free(&host);
	report_free(report);
	remove_tree(root);
}

static void test_vm(const void *data)
{
	const VmCase *c = data;
	g_autofree char *root = make_root(c->pmus);
	TestMonitor monitor = { { answer, NULL, NO_PEER }, c };
	Report *report = report_new();
	Host host = { };
	g_autoptr(GError) error = NULL;
	Vm *vm;

	make_vm(root, c);
	g_assert_true(host_read(&host, root, &(Error *){ NULL }));
	host.kvm = (Kvm){ YES, YES, c->fixed_counters };
	vm = vm_find(&host, c->status ? 0 : PID, c->status ? &monitor.base : NULL, &error);
	g_assert_no_error(error);
	judge_vm(vm, &host, report);
	check_text(report, c->text);
	vm_free(vm);
	host_free(&host);
	report_free(report);
	remove_tree(root);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	for (size_t i = 0; i < ARRAY_SIZE(host_cases); i++) {
		g_autofree char *path = g_strdup_printf("/host/%s", host_cases[i].name);

		g_test_add_data_func(path, &host_cases[i], test_host);
	}
	for (size_t i = 0; i < ARRAY_SIZE(vm_cases); i++) {
		g_autofree char *path = g_strdup_printf("/vm/%s", vm_cases[i].name);

		g_test_add_data_func(path, &vm_cases[i], test_vm);
	}
	return g_test_run();
}
