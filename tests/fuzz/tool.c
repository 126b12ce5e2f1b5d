/*
 * Fuzzes pmu-hybrid-check (libFuzzer): whatever /proc, /sys and QEMU's monitor hold, it either says
 * what is wrong or prints a report that is valid and names CPUs that can be used. Of a device tree
 * it prints an overlay, which overlay.c judges.
 *
 * An input is text, with one fact a line:
 *
 *   sys/PATH TEXT, proc/PATH TEXT    a file, with escapes as in C; in a command line, "|" ends a
 *                                    word
 *   dt/PATH VALUE                    a property of the device tree, much as in its source: <CELL
 *                                    ...>, [BYTES] or TEXT; asks for an overlay
 *   qmp/COMMAND TEXT                 the line with which the monitor answers; for qom-get, COMMAND
 *                                    is qom-get/PROPERTY. Other commands are refused
 *   ask/pid N, ask/cpus LIST         a question about these, instead of one about the monitor's VM
 *   ask/kvm XYZ                      what KVM has: PMU, SET_PMU, fixed counters; 0 no, 1 yes, 2
 *                                    unknown
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <ftw.h>
#include <glib/gstdio.h>
#include "tool.h"

#define MAX_LINES	64
#define MAX_DEPTH	10
#define BASE		"sys/firmware/devicetree/base/"

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* In memory if /dev/shm can be written: each input makes some folders */
static char *root;

typedef struct Input {
	Files files;
	bool has_tree;
	char *pid;
	char *cpus;
	char *kvm;
	GHashTable *answers;
} Input;

typedef struct FuzzMonitor {
	Monitor base;
	const Input *input;
} FuzzMonitor;

static int remove_entry(const char *path, G_GNUC_UNUSED const struct stat *stat,
			G_GNUC_UNUSED int type, struct FTW *ftw)
{
	return ftw->level ? g_remove(path) : 0;
}

void files_empty(const Files *files)
{
	nftw(files->root, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

static void remove_root(void)
{
	files_empty(&(Files){ .root = root });
	g_rmdir(root);
}

int LLVMFuzzerInitialize(G_GNUC_UNUSED int *argc, G_GNUC_UNUSED char ***argv)
{
	const char *shm = "/dev/shm";

	root = g_build_filename(g_access(shm, W_OK) ? g_get_tmp_dir() : shm, "tool-XXXXXX", NULL);
	g_assert_nonnull(g_mkdtemp(root));
	atexit(remove_root);
	g_log_set_always_fatal(G_LOG_LEVEL_CRITICAL | G_LOG_LEVEL_WARNING);
	return 0;
}

static bool is_path(const char *path)
{
	g_auto(GStrv) names = g_strsplit(path, "/", -1);

	for (int i = 0; names[i]; i++) {
		if (i >= MAX_DEPTH || !*names[i] || *names[i] == '.' ||
		    strlen(names[i]) > NAME_MAX) {
			return false;
		}
	}
	return strlen(path) < 1024;
}

/* Drops a lone backslash at the end, as g_strcompress() warns of it. */
static char *unescape(const char *text)
{
	g_autofree char *closed = NULL;
	size_t backslashes = 0, length = strlen(text);

	while (backslashes < length && text[length - 1 - backslashes] == '\\') {
		backslashes++;
	}
	closed = g_strndup(text, length - backslashes % 2);
	return g_strcompress(closed);
}

static bool make_file(const Files *files, const char *name, GBytes *contents)
{
	g_autofree char *path = g_build_filename(files->root, name, NULL);
	g_autofree char *dir = g_path_get_dirname(path);
	gsize size;
	const char *data = g_bytes_get_data(contents, &size);

	if (!is_path(name) || g_mkdir_with_parents(dir, 0700)) {
		return false;
	}
	/* GLib overwrites a file that is there, and leaves the rest of it. */
	g_unlink(path);
	return g_file_set_contents_full(path, data ?: "", size, G_FILE_SET_CONTENTS_NONE, 0600,
					NULL);
}

void files_turn(const Files *files)
{
	files_empty(files);
	for (guint i = files->names->len; i > 0; i--) {
		const char *name = g_ptr_array_index(files->names, i - 1);

		g_assert_true(make_file(files, name, g_hash_table_lookup(files->contents, name)));
	}
}

/* Takes the name and the contents */
static void add_file(const Files *files, char *name, GBytes *contents)
{
	if (!make_file(files, name, contents)) {
		g_free(name);
		g_bytes_unref(contents);
		return;
	}
	if (!g_hash_table_contains(files->contents, name)) {
		g_ptr_array_add(files->names, g_strdup(name));
	}
	g_hash_table_replace(files->contents, name, contents);
}

static GBytes *parse_text(const char *name, const char *text)
{
	char *contents = unescape(text);
	size_t length = strlen(contents);

	if (g_str_has_suffix(name, "/cmdline")) {
		g_strdelimit(contents, "|", 0);
	}
	return g_bytes_new_take(contents, length);
}

static GBytes *parse_cells(const char *text)
{
	GByteArray *bytes = g_byte_array_new();
	char *end;

	for (unsigned long cell = strtoul(text, &end, 0); end != text;
	     cell = strtoul(text, &end, 0)) {
		guint32 big = GUINT32_TO_BE((guint32)cell);

		g_byte_array_append(bytes, (const guint8 *)&big, sizeof(big));
		text = end;
	}
	return g_byte_array_free_to_bytes(bytes);
}

static GBytes *parse_bytes(const char *text)
{
	GByteArray *bytes = g_byte_array_new();

	for (; g_ascii_isxdigit(text[0]) && g_ascii_isxdigit(text[1]); text += 2) {
		guint8 byte = g_ascii_xdigit_value(text[0]) << 4 | g_ascii_xdigit_value(text[1]);

		g_byte_array_append(bytes, &byte, 1);
	}
	return g_byte_array_free_to_bytes(bytes);
}

static GBytes *parse_property(const char *text)
{
	char *string;

	if (*text == '<') {
		return parse_cells(text + 1);
	}
	if (*text == '[') {
		return parse_bytes(text + 1);
	}
	string = unescape(text);
	return g_bytes_new_take(string, strlen(string) + 1);
}

static void take_fact(Input *input, char *line)
{
	char *text = strchr(line, ' ');

	if (!text) {
		return;
	}
	*text++ = 0;
	if (g_str_has_prefix(line, "sys/") || g_str_has_prefix(line, "proc/")) {
		add_file(&input->files, g_strdup(line), parse_text(line, text));
	} else if (g_str_has_prefix(line, "dt/")) {
		add_file(&input->files, g_strconcat(BASE, line + 3, NULL), parse_property(text));
		input->has_tree = true;
	} else if (g_str_has_prefix(line, "qmp/")) {
		g_hash_table_replace(input->answers, g_strdup(line + 4), g_strdup(text));
	} else if (g_str_equal(line, "ask/pid")) {
		input->pid = text;
	} else if (g_str_equal(line, "ask/cpus")) {
		input->cpus = text;
	} else if (g_str_equal(line, "ask/kvm")) {
		input->kvm = text;
	}
}

static JsonNode *answer(Monitor *base, const char *line, Error **errp)
{
	g_autoptr(JsonNode) request = monitor_parse(line, errp);
	JsonObject *object = json_node_as_object(request);
	const char *command = json_get_string(object, "execute");
	const char *property = json_get_string(json_get_object(object, "arguments"), "property");
	g_autofree char *name = g_strjoin("/", command, property, NULL);
	const char *text = g_hash_table_lookup(((FuzzMonitor *)base)->input->answers, name);

	g_assert_nonnull(command);
	if (!g_strcmp0(text, "EOF")) {
		g_set_error(errp, ERROR_DOMAIN, ERROR_GONE, "it was closed");
		return NULL;
	}
	return monitor_parse(text ?: "{\"error\": {\"desc\": \"no such thing\"}}", errp);
}

static Answer get_answer(const Input *input, size_t index)
{
	char digit = input->kvm && strlen(input->kvm) > index ? input->kvm[index] : '2';

	return digit == '0' ? NO : digit == '1' ? YES : UNKNOWN;
}

/* The list has at least one CPU, and only CPUs of the set. */
static void check_usable(const char *list, const ArmHostCPUSet *set)
{
	ArmHostCPUSet cpus;

	g_assert_true(arm_host_cpu_set_parse(list, &cpus, &(Error *){ NULL }));
	g_assert_false(cpus_are_empty(&cpus));
	g_assert_true(cpus_are_in(&cpus, set));
}

/* Advice that begins as below names online CPUs; other advice may repeat text of the input. */
static void check_advice(const char *advice, const Host *host)
{
	static const char *const commands[] = {
		"taskset -pc ",
		"boot a kernel with them, or keep QEMU on one PMU from its start: taskset -c ",
		"boot a kernel with it, or pin the vCPUs of each VM to one PMU, e.g. CPUs ",
		"install a QEMU that has it, or keep QEMU on one PMU from its start: taskset -c ",
	};

	for (size_t i = 0; i < G_N_ELEMENTS(commands); i++) {
		const char *p = advice + strlen(commands[i]);

		if (g_str_has_prefix(advice, commands[i])) {
			g_autofree char *list = g_strndup(p, strcspn(p, " "));

			check_usable(list, &host->online);
		}
	}
}

static void check_report(const Report *report, const Host *host)
{
	static const char *const levels[] = { "ok", "warning", "unknown", "problem" };
	g_autofree char *text = report_format(report, false);
	g_autofree char *json = report_format(report, true);
	g_autoptr(JsonNode) node = json_from_string(json, NULL);
	JsonObject *object = json_node_as_object(node);
	JsonArray *findings;

	g_assert_true(g_utf8_validate(text, -1, NULL));
	g_assert_true(g_utf8_validate(json, -1, NULL));
	g_assert_cmpint(json_get_int(object, "schema"), ==, SCHEMA);
	g_assert_cmpstr(json_get_string(object, "verdict"), ==, levels[report->worst]);
	g_assert_cmpuint(report->findings->len, >, 0);
	for (const char *p = text; *p; p++) {
		g_assert_true(!g_ascii_iscntrl(*p) || *p == '\n');
	}
	findings = json_object_get_array_member(object, "findings");
	for (guint i = 0; i < json_array_get_length(findings); i++) {
		JsonObject *finding = json_array_get_object_element(findings, i);

		check_advice(json_get_string(finding, "advice") ?: "", host);
	}
}

/*
 * Advice for scripts: a taskset command, a -cpu option or nothing. It has a reason, on one line,
 * unless all is well, and names only CPUs that can be used.
 */
static void check_start(const Host *host, const Qemu *qemu, const CPUs *cpus)
{
	static const char prefix[] = "taskset -c ";
	Advice advice = { };
	Level level = advise_start(host, qemu, cpus, &advice);

	g_assert_true(!advice.reason == (level == LEVEL_OK));
	for (const char *p = advice.reason; p && *p; p++) {
		g_assert_false(g_ascii_iscntrl(*p));
	}
	g_assert_true(!advice.reason || g_utf8_validate(advice.reason, -1, NULL));
	if (advice.line && g_str_has_prefix(advice.line, prefix)) {
		g_assert_cmpint(level, ==, LEVEL_WARNING);
		check_usable(advice.line + strlen(prefix), &cpus->online);
		check_usable(advice.line + strlen(prefix), &host->allowed);
	} else if (advice.line) {
		g_assert_cmpstr(advice.line, ==, "-cpu host,pmu-hybrid=on");
		g_assert_cmpint(level, <=, LEVEL_WARNING);
	} else {
		g_assert_cmpint(level, !=, LEVEL_WARNING);
	}
	g_free(advice.line);
	g_free(advice.reason);
}

static void judge_start(const Input *input, const Host *host, const Qemu *qemu)
{
	CPUs cpus = { host->present, cpus_and(&host->present, &host->online) };
	g_autoptr(GError) error = NULL;
	ArmHostCPUSet asked;

	check_start(host, qemu, &cpus);
	if (input->cpus && arm_host_cpu_set_parse(input->cpus, &asked, &error)) {
		check_start(host, qemu, &(CPUs){ asked, cpus_and(&asked, &host->online) });
	}
}

static bool look(const Input *input, const Host *host, Report *report, Error **errp)
{
	FuzzMonitor monitor = { { answer, NULL, NO_PEER }, input };
	ArmHostCPUSet cpus;
	int pid = 0;
	Vm *vm;

	if (input->cpus) {
		if (!arm_host_cpu_set_parse(input->cpus, &cpus, errp)) {
			return false;
		}
		judge_choice(host, &(CPUs){ cpus, cpus_and(&cpus, &host->online) }, "then", false,
			     report);
		return true;
	}
	if (input->pid && !(parse_int(input->pid, &pid) && pid)) {
		error_setg(errp, "no process");
		return false;
	}
	vm = vm_find(host, pid, pid ? NULL : &monitor.base, errp);
	if (!vm) {
		return false;
	}
	judge_vm(vm, host, report);
	vm_free(vm);
	return true;
}

/* The folder has no KVM; only /proc/cmdline counts unless the input says more. */
static void ask_kvm(const Input *input, Kvm *kvm)
{
	g_assert_true(kvm_ask(kvm, root, NULL, &(Error *){ NULL }));
	if (input->kvm) {
		g_free(kvm->trouble);
		*kvm = (Kvm){ get_answer(input, 0), get_answer(input, 1), get_answer(input, 2),
			      .level = LEVEL_OK, .is_protected = kvm->is_protected };
	}
}

static void judge(const Input *input)
{
	Host host = { };
	Report *report = report_new();
	Report *of_host = report_new();
	Answer hybrid = get_answer(input, 3);
	Qemu qemu = { .path = (char *)"/qemu", .version = (char *)"10.2.2", .hybrid = hybrid,
		      .trouble = hybrid == UNKNOWN ? (char *)"it said \033[2J\n" : NULL };
	g_autoptr(GError) error = NULL;

	if (host_read(&host, root, &error)) {
		ask_kvm(input, &host.kvm);
		judge_host(&host, of_host);
		judge_kernel(&host, of_host);
		judge_qemu(&qemu, &host, of_host);
		check_report(of_host, &host);
		judge_start(input, &host, &qemu);
		if (look(input, &host, report, &error)) {
			g_assert_no_error(error);
			check_report(report, &host);
		} else {
			g_assert_nonnull(error);
		}
	} else {
		g_assert_nonnull(error);
	}
	host_free(&host);
	report_free(report);
	report_free(of_host);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	g_autofree char *text = g_strndup((const char *)data, size);
	g_auto(GStrv) lines = g_strsplit(text, "\n", MAX_LINES);
	Input input = {
		.files = { root, g_ptr_array_new_with_free_func(g_free),
			   g_hash_table_new_full(g_str_hash, g_str_equal, g_free,
						 (GDestroyNotify)g_bytes_unref) },
		.answers = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free),
	};

	for (int i = 0; lines[i]; i++) {
		take_fact(&input, lines[i]);
	}
	if (input.has_tree) {
		check_overlay(&input.files);
	} else {
		judge(&input);
	}
	files_empty(&input.files);
	g_ptr_array_unref(input.files.names);
	g_hash_table_unref(input.files.contents);
	g_hash_table_unref(input.answers);
	return 0;
}
