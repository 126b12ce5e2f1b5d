/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "check.h"

typedef struct Finding {
	Level level;
	char *topic;
	char *text;
	char *advice;
} Finding;

static const char *const level_names[LEVEL__MAX] = {
	[LEVEL_OK] = "ok",
	[LEVEL_WARNING] = "warning",
	[LEVEL_UNKNOWN] = "unknown",
	[LEVEL_PROBLEM] = "problem",
};

static void finding_free(gpointer data)
{
	Finding *finding = data;

	g_free(finding->topic);
	g_free(finding->text);
	g_free(finding->advice);
	g_free(finding);
}

Report *report_new(void)
{
	Report *report = g_new0(Report, 1);

	report->findings = g_ptr_array_new_with_free_func(finding_free);
	report->facts = json_object_new();
	return report;
}

void report_free(Report *report)
{
	g_ptr_array_unref(report->findings);
	json_object_unref(report->facts);
	g_free(report);
}

void report_add(Report *report, Level level, const char *topic, const char *format, ...)
{
	Finding *finding = g_new0(Finding, 1);
	va_list arguments;

	finding->level = level;
	finding->topic = g_strdup(topic);
	va_start(arguments, format);
	finding->text = g_strdup_vprintf(format, arguments);
	va_end(arguments);
	g_ptr_array_add(report->findings, finding);
	report->worst = MAX(report->worst, level);
}

void report_advise(Report *report, const char *format, ...)
{
	Finding *finding = g_ptr_array_index(report->findings, report->findings->len - 1);
	va_list arguments;

	va_start(arguments, format);
	finding->advice = g_strdup_vprintf(format, arguments);
	va_end(arguments);
}

void json_set_answer(JsonObject *object, const char *name, Answer answer)
{
	if (answer == UNKNOWN) {
		json_object_set_null_member(object, name);
	} else {
		json_object_set_boolean_member(object, name, answer == YES);
	}
}

void json_set_string(JsonObject *object, const char *name, const char *text)
{
	if (text) {
		json_object_set_string_member(object, name, text);
	} else {
		json_object_set_null_member(object, name);
	}
}

void json_set_cpus(JsonObject *object, const char *name, const ArmHostCPUSet *cpus)
{
	g_autofree char *list = arm_host_cpu_set_format(cpus);

	json_set_string(object, name, list);
}

JsonObject *json_node_as_object(JsonNode *node)
{
	return node && JSON_NODE_HOLDS_OBJECT(node) ? json_node_get_object(node) : NULL;
}

JsonObject *json_get_object(JsonObject *object, const char *name)
{
	return object ? json_node_as_object(json_object_get_member(object, name)) : NULL;
}

const char *json_get_string(JsonObject *object, const char *name)
{
	return object ? json_object_get_string_member_with_default(object, name, NULL) : NULL;
}

int json_get_int(JsonObject *object, const char *name)
{
	return object ? json_object_get_int_member_with_default(object, name, -1) : -1;
}

static char *format_json(const Report *report)
{
	JsonArray *findings = json_array_new();
	g_autoptr(JsonNode) root = json_node_new(JSON_NODE_OBJECT);
	g_autofree char *text = NULL;

	for (guint i = 0; i < report->findings->len; i++) {
		const Finding *finding = g_ptr_array_index(report->findings, i);
		JsonObject *object = json_object_new();

		json_set_string(object, "level", level_names[finding->level]);
		json_set_string(object, "topic", finding->topic);
		json_set_string(object, "text", finding->text);
		json_set_string(object, "advice", finding->advice);
		json_array_add_object_element(findings, object);
	}
	json_set_string(report->facts, "level", level_names[report->worst]);
	json_object_set_array_member(report->facts, "findings", findings);
	json_node_set_object(root, report->facts);
	text = json_to_string(root, true);
	return g_strconcat(text, "\n", NULL);
}

char *report_format(const Report *report, bool json)
{
	GString *text;

	if (json) {
		return format_json(report);
	}
	text = g_string_new(NULL);
	for (guint i = 0; i < report->findings->len; i++) {
		const Finding *finding = g_ptr_array_index(report->findings, i);

		g_string_append_printf(text, "%-8s %-8s %s\n", level_names[finding->level], finding->topic, finding->text);
		if (finding->advice) {
			g_string_append_printf(text, "%-17s -> %s\n", "", finding->advice);
		}
	}
	return g_string_free(text, false);
}
