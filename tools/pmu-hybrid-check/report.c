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

/*
 * Names come from sysfs, processes and monitors. Their text must stay one line, and must not have
 * control characters for a terminal.
 */
char *make_printable(char *text)
{
	char *valid = g_utf8_make_valid(text, -1);

	g_free(text);
	for (char *p = valid; *p; p++) {
		if (g_ascii_iscntrl(*p)) {
			*p = '?';
		}
	}
	return valid;
}

void report_add(Report *report, Level level, const char *topic, const char *format, ...)
{
	Finding *finding = g_new0(Finding, 1);
	va_list arguments;

	finding->level = level;
	finding->topic = g_strdup(topic);
	va_start(arguments, format);
	finding->text = make_printable(g_strdup_vprintf(format, arguments));
	va_end(arguments);
	g_ptr_array_add(report->findings, finding);
	report->worst = MAX(report->worst, level);
}

void report_advise(Report *report, const char *format, ...)
{
	Finding *finding = g_ptr_array_index(report->findings, report->findings->len - 1);
	va_list arguments;

	va_start(arguments, format);
	finding->advice = make_printable(g_strdup_vprintf(format, arguments));
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
		g_autofree char *valid = g_utf8_make_valid(text, -1);

		json_object_set_string_member(object, name, valid);
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

/* The value of a member of that type, or NULL */
static JsonNode *get_value(JsonObject *object, const char *name, GType type)
{
	JsonNode *node = object ? json_object_get_member(object, name) : NULL;

	if (!node || !JSON_NODE_HOLDS_VALUE(node) || json_node_get_value_type(node) != type) {
		return NULL;
	}
	return node;
}

const char *json_get_string(JsonObject *object, const char *name)
{
	JsonNode *node = get_value(object, name, G_TYPE_STRING);

	return node ? json_node_get_string(node) : NULL;
}

int json_get_int(JsonObject *object, const char *name)
{
	JsonNode *node = get_value(object, name, G_TYPE_INT64);
	gint64 value = node ? json_node_get_int(node) : -1;

	return value < 0 || value > INT_MAX ? -1 : value;
}

Answer json_get_answer(JsonObject *object, const char *name)
{
	JsonNode *node = get_value(object, name, G_TYPE_BOOLEAN);

	return !node ? UNKNOWN : json_node_get_boolean(node) ? YES : NO;
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
		if (finding->advice) {
			json_set_string(object, "advice", finding->advice);
		}
		json_array_add_object_element(findings, object);
	}
	json_object_set_int_member(report->facts, "schema", SCHEMA);
	json_set_string(report->facts, "verdict", level_names[report->worst]);
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

		g_string_append_printf(text, "%-8s %-8s %s\n", level_names[finding->level],
				       finding->topic, finding->text);
		if (finding->advice) {
			g_string_append_printf(text, "%-17s -> %s\n", "", finding->advice);
		}
	}
	return g_string_free(text, false);
}
