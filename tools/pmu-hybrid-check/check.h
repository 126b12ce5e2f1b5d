/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
#include <json-glib/json-glib.h>
#include "qemu/osdep.h"
#include "qapi/error.h"
#include "target/arm/host-pmu.h"

#define FIXED_COUNTERS	"fixed-counters"

/* From harmless to bad; the worst one is the exit status. */
typedef enum {
	LEVEL_OK,
	LEVEL_WARNING,
	LEVEL_UNKNOWN,
	LEVEL_PROBLEM,
	LEVEL__MAX
} Level;

/* Exit status when the arguments are wrong, or what they need cannot be read */
#define STATUS_ERROR	4

/*
 * Version of the JSON. A new member does not change it; a new meaning, type or name of an old
 * member does.
 */
#define SCHEMA		1

typedef enum { NO, YES, UNKNOWN } Answer;

/* report.c: what was found, as lines and as JSON */

typedef struct Report {
	GPtrArray *findings;
	/* Members of the JSON object beside the findings */
	JsonObject *facts;
	Level worst;
} Report;

Report *report_new(void);
void report_free(Report *report);
void report_add(Report *report, Level level, const char *topic, const char *format,
		...) G_GNUC_PRINTF(4, 5);
/* Makes one line of valid text out of a text that others wrote; takes the text */
char *make_printable(char *text);
/* Adds to the last finding what to do about it */
void report_advise(Report *report, const char *format, ...) G_GNUC_PRINTF(2, 3);
char *report_format(const Report *report, bool json);
/* null means unknown and nothing else: what does not exist has no member. */
void json_set_answer(JsonObject *object, const char *name, Answer answer);
void json_set_string(JsonObject *object, const char *name, const char *text);
void json_set_cpus(JsonObject *object, const char *name, const ArmHostCPUSet *cpus);
/*
 * These read what others wrote. They return NULL, -1 or UNKNOWN if there is no such member, if it
 * has another type, or if a number is not from 0 to INT_MAX.
 */
JsonObject *json_node_as_object(JsonNode *node);
JsonObject *json_get_object(JsonObject *object, const char *name);
const char *json_get_string(JsonObject *object, const char *name);
int json_get_int(JsonObject *object, const char *name);
Answer json_get_answer(JsonObject *object, const char *name);

/* kvm.c: what the kernel can do */

#define PROTECTED	"protected KVM: no counter of any guest counts"
#define PROTECTED_ADVICE	"boot without kvm-arm.mode=protected"

typedef struct Kvm {
	Answer pmu;
	Answer set_pmu;
	Answer fixed_counters;
	/* Why there is no answer, how bad that is, and what to do about it */
	char *trouble;
	Level level;
	const char *advice;
	/* It switches the PMU off while any guest runs */
	bool is_protected;
} Kvm;

/*
 * Asks KVM. A copy of another host (root) has none; then features lists what it has, in the form of
 * --kvm, or is NULL.
 */
bool kvm_ask(Kvm *kvm, const char *root, const char *features, Error **errp);
/* Event counters of a VM whose vCPU is created on that CPU; -1 on error */
int kvm_count_event_counters(int cpu, Error **errp);

/* proc.c: files and threads */

/* Contents of the file whose path the format gives, without the white space around them */
char *read_text(Error **errp, const char *format, ...) G_GNUC_PRINTF(2, 3);
/* True if the text is a number from 0 to INT_MAX and nothing else */
bool parse_int(const char *text, int *value);

typedef struct Thread {
	/* Its number, its process, and its number in the innermost PID namespace that it is in */
	int id;
	int process;
	int inner_id;
	char name[32];
	/* Cpus_allowed_list, which includes offline CPUs unless a cpuset took them out */
	ArmHostCPUSet allowed;
	/* Where it is, or was when it last ran; -1 if unknown */
	int cpu;
} Thread;

/* The error is ERROR_GONE if there is no such thread */
bool thread_read(Thread *thread, const char *root, int id, Error **errp);
/*
 * What the thread's cgroup lets it have; false if that is unknown, as it is from a container for
 * threads outside of it
 */
bool thread_read_cpuset(const char *root, int id, ArmHostCPUSet *cpuset);
/* The numbers of a process's threads */
GArray *threads_list(const char *root, int process, Error **errp);

/* host.c: CPUs and PMUs */

typedef struct Host {
	const char *root;
	char *release;
	/*
	 * CPUs that the host has; those of them that are online; those of these to which a program
	 * here can be pinned
	 */
	ArmHostCPUSet present;
	ArmHostCPUSet online;
	ArmHostCPUSet allowed;
	/* This program's affinity, which programs that it starts inherit; in a copy all online */
	ArmHostCPUSet own;
	/* Whether the process numbers in /proc are those of system calls here */
	bool is_live;
	/*
	 * The file of online CPUs does not name those that programs run on, as in containers with
	 * lxcfs.
	 */
	bool hides_cpus;
	GPtrArray *pmus;
	/* The PMU that KVM takes by default, if it is the same on every CPU; otherwise NULL */
	const ArmHostPMU *covering;
	/* The PMU with the strongest CPUs that programs can be pinned to; NULL without one */
	const ArmHostPMU *strongest;
	Kvm kvm;
} Host;

/* Reports protected KVM as a problem, and what to do about it */
void report_protected(Report *report, const char *topic);
bool host_read(Host *host, const char *root, Error **errp);
void host_free(Host *host);
const ArmHostPMU *host_find_pmu(const Host *host, const char *name);
/* Of the PMUs that cover all of the CPUs, the one that KVM takes by default; NULL without one */
const ArmHostPMU *host_find_covering(const Host *host, const ArmHostCPUSet *cpus);
/* The PMU that KVM takes by default for a vCPU that is created on a CPU; NULL without one */
const ArmHostPMU *host_pmu_of_cpu(const Host *host, int cpu);
/* Those of the PMU's CPUs to which a program can be pinned; may be empty */
ArmHostCPUSet host_usable_cpus(const Host *host, const ArmHostPMU *pmu);
/* Those of the CPUs that have no PMU */
ArmHostCPUSet host_uncovered(const Host *host, const ArmHostCPUSet *cpus);
/*
 * Moves this program to CPUs with a PMU, if it can. On others KVM makes no vCPU with a PMU, so that
 * KVM seems to lack the mode, and QEMU pmu-hybrid.
 */
void host_leave_uncovered(const Host *host);
/* Whether the PMU that KVM takes by default depends on the CPU */
bool host_is_hybrid(const Host *host);
/* Whether all of cpus are among others */
bool cpus_are_in(const ArmHostCPUSet *cpus, const ArmHostCPUSet *others);
bool cpus_are_empty(const ArmHostCPUSet *cpus);
ArmHostCPUSet cpus_and(const ArmHostCPUSet *a, const ArmHostCPUSet *b);
ArmHostCPUSet cpus_andnot(const ArmHostCPUSet *a, const ArmHostCPUSet *b);
void judge_host(const Host *host, Report *report);
void judge_kernel(const Host *host, Report *report);

/* choice.c: what pmu-hybrid=on chooses */

typedef struct CPUs {
	/*
	 * Where the vCPU threads may run, including offline CPUs; and those of these that are
	 * online
	 */
	ArmHostCPUSet all;
	ArmHostCPUSet online;
} CPUs;

/* is_final: the VM has its PMU already, so no outcome is a problem for it. */
void judge_choice(const Host *host, const CPUs *cpus, const char *when, bool is_final,
		  Report *report);

/* monitor.c: QMP, by a socket or through libvirt */

/*
 * Seconds to wait for the answer of a monitor, also if QEMU has to start first. Without a limit, a
 * monitor that another client keeps busy would block for ever.
 */
#define ANSWER_SECONDS	30

/* Codes of errors that callers have to know: the VM has ended, and QEMU has refused a command. */
#define ERROR_GONE	1
#define ERROR_REFUSED	2

/* The peer of a monitor that has no socket of its own */
#define NO_PEER		(-1)

typedef struct Monitor {
	/* Sends a command and returns the message that answers it */
	JsonNode *(*exchange)(struct Monitor *monitor, const char *line, Error **errp);
	void (*close)(struct Monitor *monitor);
	/*
	 * The process at the other end, by its number in this PID namespace: 0 if it is in another
	 * one
	 */
	int peer;
} Monitor;

Monitor *monitor_open(const char *path, Error **errp);
/* Opens a monitor on a connected file descriptor, which it takes */
Monitor *monitor_open_fd(int fd, Error **errp);
JsonNode *monitor_parse(const char *text, Error **errp);
/* Returns what the command returns; takes the arguments, which may be NULL. */
JsonNode *monitor_run(Monitor *monitor, const char *command, JsonObject *arguments, Error **errp);
/* libvirt.c */
Monitor *monitor_open_domain(const char *uri, const char *domain, Error **errp);

/* qemu.c: what a QEMU program can do */

typedef struct Qemu {
	char *path;
	char *version;
	/* UNKNOWN without trouble where KVM has a PMU for guests, but not for this program */
	Answer hybrid;
	char *trouble;
} Qemu;

/* Without a path it asks the QEMU in PATH, if there is one */
bool qemu_ask(Qemu *qemu, const Kvm *kvm, const char *path, Error **errp);
void qemu_free(Qemu *qemu);
void judge_qemu(const Qemu *qemu, const Host *host, Report *report);

typedef struct Advice {
	/* What to start QEMU with; NULL if plain -cpu host is enough, or if nothing helps */
	char *line;
	/* Why the level is not LEVEL_OK; NULL if it is */
	char *reason;
} Advice;

/* choice.c, for scripts: how to start a VM whose vCPUs may run on these CPUs */
Level advise_start(const Host *host, const Qemu *qemu, const CPUs *cpus, Advice *advice);

/* cmdline.c: QEMU's command line: words that end with a zero byte each */

/*
 * Whether a property of the vCPUs is on: OTHERWISE if the line leaves the default, UNKNOWN if the
 * line does not tell for sure. has_default_file: the host has a qemu.conf, which may tell.
 */
Answer cmdline_find_property(const char *line, gsize length, const char *property,
			     bool has_default_file, Answer otherwise);

/* vm.c: a running VM */

typedef struct Vcpu {
	int index;
	/* Its number in this PID namespace; 0 if it could not be told */
	int thread;
	/* Where the thread is, or was when it last ran, -1 if unknown, and where it may run */
	int cpu;
	CPUs cpus;
	/* What its cgroup lets it have; meaningless if that is unknown */
	ArmHostCPUSet cpuset;
	bool has_cpuset;
	char *qom_path;
} Vcpu;

typedef struct Vm {
	/* 0 if it could not be told */
	int pid;
	GPtrArray *vcpus;
	/* Where QEMU's first thread may run, and where any vCPU may */
	ArmHostCPUSet emulator;
	CPUs cpus;
	/* Why the threads are unknown, or NULL */
	char *hidden;
	/* Why the VM has ended meanwhile, or NULL; if it has, there is nothing to judge */
	char *ended;
	Answer kvm;
	Answer pmu;
	Answer hybrid;
	/* The value of pmu-backend; NULL if unknown */
	char *backend;
	char *status;
	/* The domain of libvirt, and where it is; NULL if the user named none */
	const char *domain;
	const char *uri;
} Vm;

/*
 * Without a monitor this looks at the process alone. Without a pid (0) it gets the process from the
 * monitor.
 */
Vm *vm_find(const Host *host, int pid, Monitor *monitor, Error **errp);

/* A VM that ended before its monitor could be asked */
Vm *vm_new_ended(int pid, const char *reason);
void vm_free(Vm *vm);

/* judge.c */
void judge_vm(const Vm *vm, const Host *host, Report *report);

/* overlay.c: one PMU node for all CPUs */

/*
 * Returns device-tree source, or NULL if one PMU cannot be right. Sets trouble to why the number of
 * event counters is unknown, or to NULL.
 */
char *overlay_make(const char *root, char **trouble, Error **errp);
