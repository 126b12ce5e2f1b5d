/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Tells what -cpu host,pmu-hybrid=on can do on this host, and does for a VM; see
 * pmu-hybrid-check.1.
 */
#include <locale.h>
#include "check.h"

static struct {
	gboolean advise;
	gboolean json;
	gboolean overlay;
	gboolean version;
	int pid;
	char *cpus;
	char *domain;
	char *kvm;
	char *qemu;
	char *qmp;
	char *root;
	char *uri;
	char **rest;
} options = { .root = "" };

static const GOptionEntry entries[] = {
	{ "pid", 'p', 0, G_OPTION_ARG_INT, &options.pid, "a running VM: QEMU's process", "PID" },
	{ "domain", 'd', 0, G_OPTION_ARG_STRING, &options.domain, "a running VM: libvirt's domain",
	  "NAME" },
	{ "qmp", 'm', 0, G_OPTION_ARG_FILENAME, &options.qmp, "a running VM: QEMU's QMP monitor",
	  "SOCKET" },
	{ "cpus", 'c', 0, G_OPTION_ARG_STRING, &options.cpus,
	  "what pmu-hybrid=on chooses for vCPUs on these CPUs", "LIST" },
	{ "qemu", 'q', 0, G_OPTION_ARG_FILENAME, &options.qemu,
	  "QEMU to look at (qemu-system-aarch64[-pmu-hybrid])", "PATH" },
	{ "advise", 'a', 0, G_OPTION_ARG_NONE, &options.advise,
	  "for scripts: print what to start QEMU with, on one line", NULL },
	{ "overlay", 'o', 0, G_OPTION_ARG_NONE, &options.overlay,
	  "print a device-tree overlay with one PMU for all CPUs", NULL },
	{ "connect", 0, 0, G_OPTION_ARG_STRING, &options.uri, "libvirt's URI, with --domain",
	  "URI" },
	{ "root", 0, 0, G_OPTION_ARG_FILENAME, &options.root,
	  "look at copies of /sys and /proc in this folder", "FOLDER" },
	{ "kvm", 0, 0, G_OPTION_ARG_STRING, &options.kvm,
	  "with --root, what its kernel has: none, pmu,set-pmu,fixed-counters", "LIST" },
	{ "json", 'j', 0, G_OPTION_ARG_NONE, &options.json, "print JSON", NULL },
	{ "version", 0, 0, G_OPTION_ARG_NONE, &options.version, "print the version", NULL },
	{ G_OPTION_REMAINING, 0, 0, G_OPTION_ARG_STRING_ARRAY, &options.rest, NULL, NULL },
	{ }
};

static bool parse_options(int argc, char **argv, Error **errp)
{
	g_autoptr(GOptionContext) context = g_option_context_new(NULL);
	int questions;

	g_option_context_set_summary(context, "Tells what VMs with -cpu host,pmu-hybrid=on can "
				     "count on this host, what a running VM does, and what to "
				     "change.\nWithout arguments: host, kernel and QEMU.");
	g_option_context_set_description(context, "Exit status: 0 ok, 1 a warning, 2 something is "
					 "unknown, 3 a problem, 4 wrong use, or no answer.");
	g_option_context_add_main_entries(context, entries, NULL);
	if (!g_option_context_parse(context, &argc, &argv, errp)) {
		return false;
	}
	questions = !!options.cpus + !!options.domain + (options.pid || options.qmp);
	if (options.rest) {
		error_setg(errp, "what is '%s'? See --help", options.rest[0]);
	} else if (questions > 1) {
		error_setg(errp, "--cpus, --domain and --pid are different questions");
	} else if (options.pid < 0) {
		error_setg(errp, "--pid %d: it is above 0", options.pid);
	} else if (options.uri && !options.domain) {
		error_setg(errp, "--connect needs --domain");
	} else if (options.kvm && !*options.root) {
		error_setg(errp, "--kvm needs --root: this host's KVM is asked");
	} else if (options.qemu && questions && !options.advise) {
		error_setg(errp, "--qemu is for the question without --cpus, --domain and --pid");
	} else if (options.advise && (options.domain || options.pid || options.qmp ||
				      options.json || options.overlay)) {
		error_setg(errp, "--advise goes with --cpus, --qemu and --root alone");
	} else if (options.overlay && (questions || options.qemu || options.json)) {
		error_setg(errp, "--overlay goes with --root alone");
	}
	return !*errp;
}

/* Takes an affinity as QEMU takes those of vCPUs */
static CPUs count_cpus(const Host *host, const ArmHostCPUSet *affinity)
{
	ArmHostCPUs all = { .present = host->present, .online = host->online };

	arm_host_cpus_allow(&all, affinity);
	return (CPUs){ all.allowed, cpus_and(&all.allowed, &host->online) };
}

static bool read_cpus(const Host *host, CPUs *cpus, Error **errp)
{
	ArmHostCPUSet asked;

	if (!arm_host_cpu_set_parse(options.cpus, &asked, errp)) {
		error_prepend(errp, "--cpus: ");
		return false;
	}
	if (!cpus_are_in(&asked, &host->present)) {
		g_autofree char *present = arm_host_cpu_set_format(&host->present);

		error_setg(errp, "--cpus %s: this host has CPUs %s", options.cpus, present);
		return false;
	}
	*cpus = count_cpus(host, &asked);
	return true;
}

static bool check_cpus(const Host *host, Report *report, Error **errp)
{
	CPUs cpus;

	if (!read_cpus(host, &cpus, errp)) {
		return false;
	}
	judge_choice(host, &cpus, "with pmu-hybrid=on", false, report);
	return true;
}

static bool check_vm(const Host *host, Report *report, Error **errp)
{
	Monitor *monitor = NULL;
	Vm *vm;

	if (options.domain || options.qmp) {
		monitor = options.domain ?
			  monitor_open_domain(options.uri, options.domain, errp) :
			  monitor_open(options.qmp, errp);
		if (!monitor && (*errp)->code != ERROR_GONE) {
			return false;
		}
	}
	if (*errp) {
		vm = vm_new_ended(options.pid, (*errp)->message);
		g_clear_error(errp);
	} else {
		vm = vm_find(host, options.pid, monitor, errp);
	}
	if (monitor) {
		monitor->close(monitor);
	}
	if (!vm) {
		return false;
	}
	vm->domain = options.domain;
	vm->uri = options.uri;
	judge_vm(vm, host, report);
	vm_free(vm);
	return true;
}

static bool check_host(const Host *host, Report *report, Error **errp)
{
	Qemu qemu;

	if (!qemu_ask(&qemu, &host->kvm, options.qemu, errp)) {
		return false;
	}
	judge_host(host, report);
	judge_kernel(host, report);
	judge_qemu(&qemu, host, report);
	qemu_free(&qemu);
	return true;
}

static bool ask_host(Host *host, Error **errp)
{
	if (!host_read(host, options.root, errp)) {
		return false;
	}
	host_leave_uncovered(host);
	return kvm_ask(&host->kvm, options.root, options.kvm, errp);
}

static bool check(Report *report, Error **errp)
{
	Host host = { };
	bool good = ask_host(&host, errp);

	if (good) {
		good = options.cpus ? check_cpus(&host, report, errp) :
		       options.pid || options.domain || options.qmp ?
		       check_vm(&host, report, errp) : check_host(&host, report, errp);
	}
	host_free(&host);
	return good;
}

/* LEVEL__MAX on error */
static Level ask_advice(Advice *advice, Error **errp)
{
	Host host = { };
	Level level = LEVEL__MAX;
	Qemu qemu;
	CPUs cpus;

	if (ask_host(&host, errp)) {
		cpus = count_cpus(&host, &host.own);
		if ((!options.cpus || read_cpus(&host, &cpus, errp)) &&
		    qemu_ask(&qemu, &host.kvm, options.qemu, errp)) {
			level = advise_start(&host, &qemu, &cpus, advice);
			qemu_free(&qemu);
		}
	}
	host_free(&host);
	return level;
}

/* A message may quote names of the host's files, which can hold anything. */
static void print_message(const char *kind, const char *message)
{
	g_autofree char *text = make_printable(g_strdup(message));

	g_printerr("pmu-hybrid-check: %s%s\n", kind, text);
}

static int print_advice(void)
{
	g_autoptr(GError) error = NULL;
	Advice advice = { };
	Level level = ask_advice(&advice, &error);

	if (level == LEVEL__MAX) {
		print_message("error: ", error->message);
		return STATUS_ERROR;
	}
	if (advice.line) {
		g_print("%s\n", advice.line);
	}
	if (advice.reason) {
		print_message("", advice.reason);
	}
	g_free(advice.line);
	g_free(advice.reason);
	return level;
}

static int print_overlay(void)
{
	g_autoptr(GError) error = NULL;
	g_autofree char *trouble = NULL;
	g_autofree char *text = overlay_make(options.root, &trouble, &error);

	if (!text) {
		print_message("error: ", error->message);
		return STATUS_ERROR;
	}
	g_print("%s", text);
	if (trouble) {
		g_printerr("pmu-hybrid-check: the numbers of event counters are unknown: %s; "
			   "the overlay says what to check\n", trouble);
	}
	return trouble ? LEVEL_UNKNOWN : LEVEL_OK;
}

int main(int argc, char **argv)
{
	Report *report = report_new();
	g_autoptr(GError) error = NULL;
	int status = STATUS_ERROR;

	setlocale(LC_ALL, "");
	if (!parse_options(argc, argv, &error)) {
		print_message("error: ", error->message);
	} else if (options.version) {
		g_print("pmu-hybrid-check %s\n", VERSION);
		status = LEVEL_OK;
	} else if (options.advise) {
		status = print_advice();
	} else if (options.overlay) {
		status = print_overlay();
	} else if (!check(report, &error)) {
		print_message("error: ", error->message);
	} else {
		g_autofree char *text = report_format(report, options.json);

		g_print("%s", text);
		status = report->worst;
	}
	report_free(report);
	return status;
}
