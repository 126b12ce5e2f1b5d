/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include "check.h"

#define PROGRAM	"qemu-system-aarch64"
/* The name in our Debian package, which is installed beside the distribution's QEMU */
#define PACKAGED	PROGRAM "-pmu-hybrid"

/* QEMU gets so long to quit. It has no VM to stop. */
#define QUIT_SECONDS	5

static bool ask_monitor(Qemu *qemu, Monitor *monitor, Error **errp)
{
	JsonObject *model = json_object_new();
	JsonObject *arguments = json_object_new();
	g_autoptr(JsonNode) version = monitor_run(monitor, "query-version", NULL, errp);
	g_autoptr(JsonNode) expansion = NULL;
	JsonObject *numbers, *properties;

	json_set_string(model, "name", "host");
	json_set_string(arguments, "type", "full");
	json_object_set_object_member(arguments, "model", model);
	expansion = monitor_run(monitor, "query-cpu-model-expansion", arguments,
				version ? errp : NULL);
	if (!version || !expansion) {
		return false;
	}
	numbers = json_get_object(json_node_as_object(version), "qemu");
	qemu->version = g_strdup_printf("%d.%d.%d", json_get_int(numbers, "major"),
					json_get_int(numbers, "minor"),
					json_get_int(numbers, "micro"));
	properties = json_get_object(json_get_object(json_node_as_object(expansion), "model"),
				     "props");
	qemu->hybrid = properties && json_object_has_member(properties, "pmu-hybrid");
	return true;
}

/*
 * Makes a group of processes, so that stop() ends a wrapper and its QEMU. The process that is
 * started also ends if this program is interrupted.
 */
static void leave_group(G_GNUC_UNUSED gpointer data)
{
	setpgid(0, 0);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
}

/*
 * Starts QEMU without a machine, with its monitor on our end of a socket pair. Its messages go to a
 * file: a pipe would be open until the last process that uses it ends.
 */
static bool start(const char *path, int output, int *fd, GPid *process, Error **errp)
{
	const char *command[] = {
		path, "-M", "none", "-accel", "kvm", "-no-user-config", "-nodefaults", "-display",
		"none", "-chardev", "socket,id=qmp,fd=3", "-mon", "chardev=qmp,mode=control", NULL
	};
	const int target = 3;
	int fds[2];
	bool good;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds)) {
		error_setg(errp, "socketpair: %s", g_strerror(errno));
		return false;
	}
	good = g_spawn_async_with_pipes_and_fds(NULL, command, NULL, G_SPAWN_DO_NOT_REAP_CHILD |
						G_SPAWN_STDOUT_TO_DEV_NULL, leave_group,
						NULL, -1, -1, output, &fds[1], &target, 1, process,
						NULL, NULL, NULL, errp);
	close(fds[1]);
	if (!good) {
		close(fds[0]);
	}
	*fd = fds[0];
	return good;
}

/* The program need not be QEMU: it may be a script around it, or anything. */
static void stop(GPid process)
{
	siginfo_t ended = { };

	for (int i = 0; i < QUIT_SECONDS * 100 && !ended.si_pid; i++) {
		waitid(P_PID, process, &ended, WEXITED | WNOHANG | WNOWAIT);
		g_usleep(ended.si_pid ? 0 : G_USEC_PER_SEC / 100);
	}
	kill(-process, SIGKILL);
	waitpid(process, NULL, 0);
}

static char *read_first_line(int file)
{
	char text[1024];
	ssize_t length = pread(file, text, sizeof(text) - 1, 0);

	text[MAX(length, 0)] = 0;
	text[strcspn(text, "\n")] = 0;
	return *text ? g_strdup(text) : NULL;
}

static bool ask_program(Qemu *qemu, Error **errp)
{
	int output = memfd_create("stderr", MFD_CLOEXEC);
	g_autoptr(GError) error = NULL;
	Monitor *monitor;
	GPid process;
	int fd;

	if (!start(qemu->path, output, &fd, &process, errp)) {
		close(output);
		return false;
	}
	monitor = monitor_open_fd(fd, &error);
	if (monitor) {
		g_autoptr(JsonNode) gone = NULL;

		ask_monitor(qemu, monitor, &error);
		gone = monitor_run(monitor, "quit", NULL, NULL);
		monitor->close(monitor);
	}
	stop(process);
	if (error) {
		/* QEMU's own message says more than that it has closed the monitor. */
		qemu->trouble = read_first_line(output) ?: g_strdup(error->message);
	}
	close(output);
	return true;
}

bool qemu_ask(Qemu *qemu, const Kvm *kvm, const char *path, Error **errp)
{
	g_autofree char *found = NULL;

	*qemu = (Qemu){ .hybrid = UNKNOWN };
	found = g_find_program_in_path(path ?: PACKAGED);
	if (!found && path) {
		error_setg(errp, "%s: no such program", path);
		return false;
	}
	found = found ?: g_find_program_in_path(PROGRAM);
	if (!found) {
		qemu->trouble = g_strdup("no " PROGRAM " in PATH");
		return true;
	}
	qemu->path = g_canonicalize_filename(found, NULL);
	if (!ask_program(qemu, errp)) {
		return false;
	}
	/* QEMU has the property only where KVM gives its vCPU a PMU. */
	if (qemu->hybrid == NO && kvm->pmu == YES && kvm->trouble) {
		qemu->hybrid = UNKNOWN;
	}
	return true;
}

void qemu_free(Qemu *qemu)
{
	g_free(qemu->path);
	g_free(qemu->version);
	g_free(qemu->trouble);
}

static void judge_old_qemu(const Qemu *qemu, const Host *host, Report *report)
{
	report_add(report, LEVEL_WARNING, "qemu", "%s %s has no pmu-hybrid", qemu->path,
		   qemu->version);
	if (host->strongest) {
		ArmHostCPUSet usable = host_usable_cpus(host, host->strongest);
		g_autofree char *cpus = arm_host_cpu_set_format(&usable);

		report_advise(report, "install a QEMU that has it, "
			      "or keep QEMU on one PMU from its start: taskset -c %s", cpus);
	} else {
		report_advise(report, "install a QEMU that has it");
	}
}

void judge_qemu(const Qemu *qemu, const Host *host, Report *report)
{
	JsonObject *facts = json_object_new();

	json_object_set_object_member(report->facts, "qemu", facts);
	if (qemu->path) {
		json_set_string(facts, "path", qemu->path);
		json_set_string(facts, "version", qemu->version);
		json_set_answer(facts, "pmu-hybrid", qemu->hybrid);
	}
	if (qemu->trouble) {
		report_add(report, LEVEL_UNKNOWN, "qemu", "%s", qemu->trouble);
		report_advise(report, "see that QEMU starts with KVM; "
			      "--qemu PATH names another one");
	} else if (!host_is_hybrid(host)) {
		report_add(report, LEVEL_OK, "qemu", "%s %s%s", qemu->path, qemu->version,
			   host->covering ? "; VMs need no pmu-hybrid on this host" : "");
	} else if (qemu->hybrid == UNKNOWN || host->kvm.pmu == NO ||
		   (host->kvm.set_pmu == NO && host->kvm.fixed_counters == NO)) {
		/* QEMU would not start; the finding about the kernel says what to do. */
		report_add(report, LEVEL_OK, "qemu", "%s %s", qemu->path, qemu->version);
	} else if (qemu->hybrid == YES) {
		report_add(report, LEVEL_OK, "qemu", "%s %s: use -cpu host,pmu-hybrid=on",
			   qemu->path, qemu->version);
	} else {
		judge_old_qemu(qemu, host, report);
	}
}
