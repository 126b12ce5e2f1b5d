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

/* Exit status when the question itself was wrong, or what it needs cannot be read */
#define STATUS_ERROR	4

/*
 * Of the JSON. A new member does not change it; another meaning, type or name of an old one does.
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
/* One line of valid text, in place of one that others wrote; takes it */
char *make_printable(char *text);
/* What to do about the last finding */
void report_advise(Report *report, const char *format, ...) G_GNUC_PRINTF(2, 3);
char *report_format(const Report *report, bool json);
/* null for what is unknown, and for nothing else: what there is not has no member. */
void json_set_answer(JsonObject *object, const char *name, Answer answer);
void json_set_string(JsonObject *object, const char *name, const char *text);
void json_set_cpus(JsonObject *object, const char *name, const ArmHostCPUSet *cpus);
/*
 * Of what others wrote: NULL, -1 or UNKNOWN where there is no such member, it is of another type,
 * or a number is not one of an int from 0
 */
JsonObject *json_node_as_object(JsonNode *node);
JsonObject *json_get_object(JsonObject *object, const char *name);
const char *json_get_string(JsonObject *object, const char *name);
int json_get_int(JsonObject *object, const char *name);
Answer json_get_answer(JsonObject *object, const char *name);

/* kvm.c: what the kernel can do */

typedef struct Kvm {
	Answer pmu;
	Answer set_pmu;
	Answer fixed_counters;
	/* Why there is no answer, how bad that is, and what to do about it */
	char *trouble;
	Level level;
	const char *advice;
} Kvm;

/*
 * A copy of another host (root) has no KVM to ask; features tell what it has, as --kvm takes it, or
 * are NULL.
 */
bool kvm_ask(Kvm *kvm, const char *root, const char *features, Error **errp);
/* Of a VM whose vCPU was made on that CPU; -1 on error */
int kvm_count_event_counters(int cpu, Error **errp);

/* proc.c: files and threads */

/* Contents of a file whose path is that format's, without the white space around them */
char *read_text(Error **errp, const char *format, ...) G_GNUC_PRINTF(2, 3);
/* A number from 0 to INT_MAX and nothing else */
bool parse_int(const char *text, int *value);

typedef struct Thread {
	/* Its number, its process, and its number in the innermost PID namespace that it is in */
	int id;
	int process;
	int inner_id;
	char name[32];
	/* Cpus_allowed_list: offline CPUs are among them unless a cpuset took them out */
	ArmHostCPUSet allowed;
	/* Where it is, or was when it last ran; -1 if unknown */
	int cpu;
} Thread;

/* ERROR_GONE if there is none */
bool thread_read(Thread *thread, const char *root, int id, Error **errp);
/* The numbers of a process's threads */
GArray *threads_list(const char *root, int process, Error **errp);

/* host.c: CPUs and PMUs */

typedef struct Host {
	const char *root;
	char *release;
	/*
	 * Which the host has, which of them run, and which of these a program here can be pinned to
	 */
	ArmHostCPUSet present;
	ArmHostCPUSet online;
	ArmHostCPUSet allowed;
	/* Whether /proc has the numbers of processes that system calls take and return */
	bool is_live;
	/* The file says other CPUs than those that programs run on, as in containers with lxcfs. */
	bool hides_cpus;
	GPtrArray *pmus;
	/* The PMU that KVM takes by itself, whatever the CPU; NULL if that depends on it */
	const ArmHostPMU *covering;
	/* The PMU with the strongest CPUs that programs can be pinned to; NULL without one */
	const ArmHostPMU *strongest;
	Kvm kvm;
} Host;

bool host_read(Host *host, const char *root, Error **errp);
void host_free(Host *host);
const ArmHostPMU *host_find_pmu(const Host *host, const char *name);
/* Of the PMUs that cover all of the CPUs, that which KVM takes by itself; NULL without one */
const ArmHostPMU *host_find_covering(const Host *host, const ArmHostCPUSet *cpus);
/* The PMU by which KVM backs a vCPU that is made on a CPU; NULL without one */
const ArmHostPMU *host_pmu_of_cpu(const Host *host, int cpu);
/* Where a program can be pinned to, of the PMU's CPUs; empty if to none */
ArmHostCPUSet host_usable_cpus(const Host *host, const ArmHostPMU *pmu);
/* Those without a PMU */
ArmHostCPUSet host_uncovered(const Host *host, const ArmHostCPUSet *cpus);
/* Whether it depends on the CPU which PMU KVM takes */
bool host_is_hybrid(const Host *host);
/* Whether all of the CPUs are among others */
bool cpus_are_in(const ArmHostCPUSet *cpus, const ArmHostCPUSet *others);
bool cpus_are_empty(const ArmHostCPUSet *cpus);
ArmHostCPUSet cpus_and(const ArmHostCPUSet *a, const ArmHostCPUSet *b);
ArmHostCPUSet cpus_andnot(const ArmHostCPUSet *a, const ArmHostCPUSet *b);
void judge_host(const Host *host, Report *report);
void judge_kernel(const Host *host, Report *report);

/* choice.c: what pmu-hybrid=on makes of it */

typedef struct CPUs {
	/* Where the vCPU threads may run, CPUs that are offline included, and where they can now */
	ArmHostCPUSet all;
	ArmHostCPUSet online;
} CPUs;

/* A VM whose choice is final is not the worse for another one. */
void judge_choice(const Host *host, const CPUs *cpus, const char *when, bool is_final,
		  Report *report);

/* monitor.c: QMP, of a socket or through libvirt */

/*
 * Seconds within which a monitor answers. Also of a QEMU that has to start first; another client
 * may keep a monitor busy for ever.
 */
#define ANSWER_SECONDS	30

/*
 * Codes of errors that callers tell from the others: the VM has ended, and QEMU has refused a
 * command.
 */
#define ERROR_GONE	1
#define ERROR_REFUSED	2

/* Of a monitor that is not asked by a socket of its own */
#define NO_PEER		(-1)

typedef struct Monitor {
	/* Sends a command and returns the message that answers it */
	JsonNode *(*exchange)(struct Monitor *monitor, const char *line, Error **errp);
	void (*close)(struct Monitor *monitor);
	/*
	 * The process at the other end, as this one's PID namespace has it: 0 if it is in another
	 */
	int peer;
} Monitor;

Monitor *monitor_open(const char *path, Error **errp);
/* The connection behind a file descriptor, which it takes */
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
	Answer hybrid;
	char *trouble;
} Qemu;

/* Without a path: that in PATH, if there is one */
bool qemu_ask(Qemu *qemu, const char *path, Error **errp);
void qemu_free(Qemu *qemu);
void judge_qemu(const Qemu *qemu, const Host *host, Report *report);

typedef struct Advice {
	/* What to start QEMU with; NULL where plain -cpu host will do, or nothing helps */
	char *line;
	/* Why it is no better, or unknown; NULL if it is good */
	char *reason;
} Advice;

/* choice.c, for scripts: how to start a VM whose vCPUs may run on these CPUs */
Level advise_start(const Host *host, const Qemu *qemu, const CPUs *cpus, Advice *advice);

/* cmdline.c: QEMU's command line, which is words that end with zeros */

/*
 * Whether a property of the vCPUs is on, where the host may have a qemu.conf; UNKNOWN unless the
 * line says so for sure, otherwise where it leaves the default
 */
Answer cmdline_find_property(const char *line, gsize length, const char *property,
			     bool has_default_file, Answer otherwise);

/* vm.c: a running VM */

typedef struct Vcpu {
	int index;
	/* As this PID namespace has it; 0 if it could not be told */
	int thread;
	/* Where the thread is, or was when it last ran, -1 if unknown, and where it may run */
	int cpu;
	CPUs cpus;
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
	/* Why there is nothing to judge: it ended meanwhile. Or NULL */
	char *ended;
	Answer kvm;
	Answer pmu;
	Answer hybrid;
	/* As pmu-backend has it; NULL if unknown */
	char *backend;
	char *status;
} Vm;

/*
 * Without a monitor the process tells what it can; without a pid (0) the monitor tells the process.
 */
Vm *vm_find(const Host *host, int pid, Monitor *monitor, Error **errp);
void vm_free(Vm *vm);

/* judge.c */
void judge_vm(const Vm *vm, const Host *host, Report *report);

/* overlay.c: one PMU node for all CPUs */

/*
 * Device-tree source, or NULL where one PMU cannot be right. In trouble: why the number of event
 * counters is unknown, or NULL
 */
char *overlay_make(const char *root, char **trouble, Error **errp);
