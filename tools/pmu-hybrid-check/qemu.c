/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <gio/gio.h>
#include <sys/socket.h>
#include "check.h"

#define PROGRAM	"qemu-system-aarch64"
/* as our Debian package has it, beside the distribution's */
#define PACKAGED	PROGRAM "-pmu-hybrid"

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
	expansion = monitor_run(monitor, "query-cpu-model-expansion", arguments, version ? errp : NULL);
	if (!version || !expansion) {
		return false;
	}
	numbers = json_get_object(json_node_as_object(version), "qemu");
	qemu->version = g_strdup_printf("%d.%d.%d", json_get_int(numbers, "major"), json_get_int(numbers, "minor"),
					json_get_int(numbers, "micro"));
	properties = json_get_object(json_get_object(json_node_as_object(expansion), "model"), "props");
	qemu->hybrid = properties && json_object_has_member(properties, "pmu-hybrid");
	return true;
}

/* Starts QEMU without a machine, its monitor on our end of a socket pair. */
static GSubprocess *start(const char *path, int *fd, Error **errp)
{
	g_autoptr(GSubprocessLauncher) launcher = g_subprocess_launcher_new(G_SUBPROCESS_FLAGS_STDOUT_SILENCE |
									    G_SUBPROCESS_FLAGS_STDERR_PIPE);
	GSubprocess *process;
	int fds[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds)) {
		error_setg(errp, "socketpair: %s", g_strerror(errno));
		return NULL;
	}
	*fd = fds[0];
	g_subprocess_launcher_take_fd(launcher, fds[1], 3);
	process = g_subprocess_launcher_spawn(launcher, errp, path, "-M", "none", "-accel", "kvm", "-no-user-config", "-nodefaults",
					      "-display", "none", "-chardev", "socket,id=qmp,fd=3", "-mon", "chardev=qmp,mode=control",
					      NULL);
	if (!process) {
		close(*fd);
	}
	return process;
}

bool qemu_ask(Qemu *qemu, const char *path, Error **errp)
{
	g_autoptr(GSubprocess) process = NULL;
	g_autoptr(GError) error = NULL;
	g_autofree char *found = NULL;
	g_autofree char *output = NULL;
	Monitor *monitor;
	int fd;

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
	process = start(qemu->path, &fd, errp);
	if (!process) {
		return false;
	}
	monitor = monitor_open_fd(fd, &error);
	if (monitor) {
		ask_monitor(qemu, monitor, &error);
		monitor->close(monitor);
	}
	g_subprocess_force_exit(process);
	g_subprocess_communicate_utf8(process, NULL, NULL, NULL, &output, NULL);
	if (error) {
		/* What QEMU itself has to say is worth more than that it was gone. */
		qemu->trouble = g_strdup(output && *output ? strtok(output, "\n") : error->message);
	}
	return true;
}

void qemu_free(Qemu *qemu)
{
	g_free(qemu->path);
	g_free(qemu->version);
	g_free(qemu->trouble);
}

void judge_qemu(const Qemu *qemu, const Host *host, Report *report)
{
	JsonObject *facts = json_object_new();

	json_set_string(facts, "path", qemu->path);
	json_set_string(facts, "version", qemu->version);
	json_set_answer(facts, "pmu-hybrid", qemu->hybrid);
	json_object_set_object_member(report->facts, "qemu", facts);
	if (qemu->trouble) {
		report_add(report, LEVEL_UNKNOWN, "qemu", "%s", qemu->trouble);
		report_advise(report, "see that QEMU starts with KVM; --qemu PATH names another one");
	} else if (host->pmus->len < 2) {
		report_add(report, LEVEL_OK, "qemu", "%s %s%s", qemu->path, qemu->version,
			   host->pmus->len ? "; VMs need no pmu-hybrid on this host" : "");
	} else if (qemu->hybrid == YES) {
		report_add(report, LEVEL_OK, "qemu", "%s %s: use -cpu host,pmu-hybrid=on", qemu->path, qemu->version);
	} else {
		g_autofree char *cpus = arm_host_cpu_set_format(&host->strongest->cpus);

		report_add(report, LEVEL_WARNING, "qemu", "%s %s has no pmu-hybrid", qemu->path, qemu->version);
		report_advise(report, "install a QEMU that has it, or keep QEMU on one PMU from its start: taskset -c %s", cpus);
	}
}
