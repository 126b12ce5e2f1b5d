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

/* Exit status when the question itself was wrong */
#define STATUS_ERROR	4

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
void report_add(Report *report, Level level, const char *topic, const char *format, ...) G_GNUC_PRINTF(4, 5);
/* What to do about the last finding */
void report_advise(Report *report, const char *format, ...) G_GNUC_PRINTF(2, 3);
char *report_format(const Report *report, bool json);
/* NULL for what is unknown */
void json_set_answer(JsonObject *object, const char *name, Answer answer);
void json_set_string(JsonObject *object, const char *name, const char *text);
void json_set_cpus(JsonObject *object, const char *name, const ArmHostCPUSet *cpus);
/* Of what others wrote: nothing, or -1, where there is no such member or it is something else */
JsonObject *json_node_as_object(JsonNode *node);
JsonObject *json_get_object(JsonObject *object, const char *name);
const char *json_get_string(JsonObject *object, const char *name);
int json_get_int(JsonObject *object, const char *name);

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

/* A copy of another host (root) has no KVM. */
void kvm_ask(Kvm *kvm, const char *root);
/* Of a VM whose vCPU was made on that CPU; -1 on error */
int kvm_count_event_counters(int cpu, Error **errp);

/* host.c: CPUs and PMUs, and what pmu-hybrid makes of them */

typedef struct Host {
	char *release;
	/* None of them is allowed; see host_choose() */
	ArmHostCPUs cpus;
	GPtrArray *pmus;
	/* The PMU of the strongest CPUs; NULL without a PMU */
	const ArmHostPMU *strongest;
	Kvm kvm;
} Host;

bool host_read(Host *host, const char *root, Error **errp);
void host_free(Host *host);
const ArmHostPMU *host_find_pmu(const Host *host, const char *name);
/* As arm_host_pmus_choose(), for a VM whose threads may run on these CPUs */
bool host_choose(const Host *host, const ArmHostCPUSet *cpus, bool fixed_counters, ArmHostPMUChoice *choice, Error **errp);
/* Whether all of the CPUs are among others */
bool cpus_are_in(const ArmHostCPUSet *cpus, const ArmHostCPUSet *others);
/* Contents of a file whose path is that format's, without the white space around them */
char *read_text(Error **errp, const char *format, ...) G_GNUC_PRINTF(2, 3);
void judge_host(const Host *host, Report *report);
void judge_kernel(const Host *host, Report *report);
/* What pmu-hybrid=on makes of it. A VM whose choice is final is not the worse for another one. */
void judge_choice(const Host *host, const ArmHostCPUSet *cpus, const char *when, bool is_final, Report *report);

/* monitor.c: QMP, of a socket or through libvirt */

/* Seconds within which a monitor answers. Also of a QEMU that has to start first; another client may keep a monitor busy for ever. */
#define ANSWER_SECONDS	30

/* Codes of errors that callers tell from the others: the VM has ended, and QEMU has refused a command. */
#define ERROR_GONE	1
#define ERROR_REFUSED	2

/* Of a monitor that is not asked by a socket of its own */
#define NO_PEER		(-1)

typedef struct Monitor {
	/* Sends a command and returns the message that answers it */
	JsonNode *(*exchange)(struct Monitor *monitor, const char *line, Error **errp);
	void (*close)(struct Monitor *monitor);
	/* The process at the other end, as this one's PID namespace has it: 0 if it is in another */
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

/* vm.c: a running VM */

typedef struct Vcpu {
	int index;
	int thread;
	/* Where the thread is, or was when it last ran, and where it may run */
	int cpu;
	ArmHostCPUSet cpus;
	char *qom_path;
} Vcpu;

typedef struct Vm {
	int pid;
	GPtrArray *vcpus;
	/* Where QEMU's first thread may run, and where any vCPU may */
	ArmHostCPUSet emulator;
	ArmHostCPUSet cpus;
	Answer hybrid;
	/* As pmu-backend has it; NULL if unknown */
	char *backend;
	char *status;
} Vm;

/* Without a monitor the process tells what it can; without a pid (0) the monitor tells the process. */
Vm *vm_find(const Host *host, const char *root, int pid, Monitor *monitor, Error **errp);
void vm_free(Vm *vm);
void judge_vm(const Vm *vm, const Host *host, Report *report);

/* overlay.c: one PMU node for all CPUs */

/* Device-tree source, or NULL where one PMU cannot be right. In trouble: why the number of event counters is unknown, or NULL */
char *overlay_make(const char *root, char **trouble, Error **errp);
