/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <stdarg.h>
#include "check.h"

/* Fields of /proc/PID/stat behind the name, from 0 */
#define STAT_PROCESSOR	36

char *read_text(Error **errp, const char *format, ...)
{
	g_autofree char *path = NULL;
	va_list arguments;
	char *text;

	va_start(arguments, format);
	path = g_strdup_vprintf(format, arguments);
	va_end(arguments);
	return g_file_get_contents(path, &text, NULL, errp) ? g_strstrip(text) : NULL;
}

bool parse_int(const char *text, int *value)
{
	guint64 wide;

	if (!text || !g_ascii_string_to_unsigned(text, 10, 0, INT_MAX, &wide, NULL)) {
		return false;
	}
	*value = wide;
	return true;
}

static void set_gone(int id, Error **errp)
{
	g_set_error(errp, ERROR_DOMAIN, ERROR_GONE, "there is no process or thread %d", id);
}

/* The value of a line of /proc/PID/status, or NULL */
static char *find_line(char **lines, const char *name)
{
	for (; *lines; lines++) {
		if (g_str_has_prefix(*lines, name)) {
			return g_strstrip(*lines + strlen(name));
		}
	}
	return NULL;
}

/*
 * NSpid has a number for each namespace, from that of /proc to the innermost; kernels before 4.1
 * have no such line.
 */
static bool parse_inner_id(char *numbers, int id, int *inner_id)
{
	char *last = numbers ? strrchr(numbers, '\t') : NULL;

	if (!numbers) {
		*inner_id = id;
		return true;
	}
	return parse_int(last ? last + 1 : numbers, inner_id);
}

static bool read_status(Thread *thread, const char *root, Error **errp)
{
	g_autofree char *status = read_text(NULL, "%s/proc/%d/status", root, thread->id);
	g_auto(GStrv) lines = status ? g_strsplit(status, "\n", -1) : NULL;
	const char *allowed;

	if (!lines) {
		set_gone(thread->id, errp);
		return false;
	}
	g_strlcpy(thread->name, find_line(lines, "Name:") ?: "", sizeof(thread->name));
	allowed = find_line(lines, "Cpus_allowed_list:");
	if (!allowed || !parse_int(find_line(lines, "Tgid:"), &thread->process) ||
	    !parse_inner_id(find_line(lines, "NSpid:"), thread->id, &thread->inner_id)) {
		error_setg(errp, "%s/proc/%d/status makes no sense: "
			   "it lacks Tgid, NSpid or Cpus_allowed_list", root, thread->id);
		return false;
	}
	return arm_host_cpu_set_parse(allowed, &thread->allowed, errp);
}

static bool read_stat(Thread *thread, const char *root, Error **errp)
{
	g_autofree char *stat = read_text(NULL, "%s/proc/%d/stat", root, thread->id);
	/* The name is in brackets, and may have brackets itself. */
	char *fields = stat ? strrchr(stat, ')') : NULL;
	g_auto(GStrv) words = fields ? g_strsplit(g_strchug(fields + 1), " ", -1) : NULL;

	if (!stat) {
		set_gone(thread->id, errp);
		return false;
	}
	if (!words || g_strv_length(words) <= STAT_PROCESSOR ||
	    !parse_int(words[STAT_PROCESSOR], &thread->cpu) ||
	    thread->cpu >= ARM_HOST_MAX_CPUS) {
		error_setg(errp, "%s/proc/%d/stat makes no sense: no CPU is its field %d", root,
			   thread->id, STAT_PROCESSOR + 3);
		return false;
	}
	return true;
}

bool thread_read(Thread *thread, const char *root, int id, Error **errp)
{
	*thread = (Thread){ .id = id, .cpu = -1 };
	return read_status(thread, root, errp) && read_stat(thread, root, errp);
}

/* The folder of a thread's cgroup is known, but a controller has its files only where it is on. */
static char *read_in_cgroup(const char *root, const char *mount, char *path, const char *file)
{
	for (;;) {
		char *text = read_text(NULL, "%s/sys/fs/cgroup%s%s/%s", root, mount, path, file);
		char *end = strrchr(path, '/');

		if (text || !end) {
			return text;
		}
		*end = '\0';
	}
}

bool thread_read_cpuset(const char *root, int id, ArmHostCPUSet *cpuset)
{
	static const struct {
		const char *line, *mount, *file;
	} versions[] = {
		{ ":cpuset:", "/cpuset", "cpuset.effective_cpus" },
		{ "0::", "", "cpuset.cpus.effective" },
	};
	g_autofree char *text = read_text(NULL, "%s/proc/%d/cgroup", root, id);
	g_auto(GStrv) lines = text ? g_strsplit(text, "\n", -1) : NULL;

	for (size_t i = 0; i < ARRAY_SIZE(versions); i++) {
		for (char **line = lines; line && *line; line++) {
			char *found = strstr(*line, versions[i].line);
			char *path = found ? found + strlen(versions[i].line) : NULL;
			/* A path that leaves the namespace would lead to the tool's own cgroup. */
			g_autofree char *list = !path || g_str_has_prefix(path, "/..") ? NULL :
				read_in_cgroup(root, versions[i].mount, path, versions[i].file);

			if (list && arm_host_cpu_set_parse(list, cpuset, NULL)) {
				return true;
			}
		}
	}
	return false;
}

GArray *threads_list(const char *root, int process, Error **errp)
{
	g_autofree char *path = g_strdup_printf("%s/proc/%d/task", root, process);
	g_autoptr(GDir) dir = g_dir_open(path, 0, NULL);
	GArray *threads;
	const char *name;

	if (!dir) {
		set_gone(process, errp);
		return NULL;
	}
	threads = g_array_new(false, false, sizeof(int));
	while ((name = g_dir_read_name(dir))) {
		int id;

		if (parse_int(name, &id)) {
			g_array_append_val(threads, id);
		}
	}
	return threads;
}
