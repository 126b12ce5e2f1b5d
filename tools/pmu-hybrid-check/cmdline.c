/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What QEMU's command line says about a property of the vCPUs, for VMs whose monitor cannot be
 * asked. It is read as QEMU reads it: the last -cpu counts, its features come after all of -global,
 * and of several settings the last one counts.
 */
#include "check.h"

/*
 * Options without an argument; tests/check-tool.t compares them with qemu-options.hx. "h" is
 * another name of "help".
 */
static const char *const flags[] = {
	"S", "daemonize", "enable-kvm", "enable-sync-profile", "full-screen", "h", "help",
	"jitdump", "mem-prealloc", "no-fd-bootchk", "no-reboot", "no-shutdown", "no-user-config",
	"nodefaults", "nographic", "only-migratable", "perfmap", "preconfig", "s", "semihosting",
	"snapshot", "usb", "version", "win2k-hack", "xen-attach", "xen-domid-restrict", NULL
};

typedef struct CommandLine {
	const char *property;
	const char *cpu;
	/* Arguments of -global */
	GPtrArray *globals;
	/* Another file has settings, or the words may not be what they look like. */
	bool has_file;
	bool ignores_default_file;
	bool is_unclear;
} CommandLine;

static void take_option(CommandLine *line, const char *name, const char *argument)
{
	if (g_str_equal(name, "cpu")) {
		line->cpu = argument;
	} else if (g_str_equal(name, "global")) {
		g_ptr_array_add(line->globals, (gpointer)argument);
	} else if (g_str_equal(name, "readconfig")) {
		line->has_file = true;
	}
}

static void read_words(CommandLine *line, const char *const *words)
{
	for (words++; *words; words++) {
		const char *name = *words + (g_str_has_prefix(*words, "--") ? 2 : 1);

		if (**words != '-' || g_strv_contains(flags, name)) {
			line->ignores_default_file |= g_str_equal(name, "no-user-config");
			continue;
		}
		if (!words[1]) {
			line->is_unclear = true;
			return;
		}
		words++;
		/*
		 * If this looks like an option, the one before has no argument, and is not known
		 * here
		 */
		line->is_unclear |= **words == '-' && (*words)[1];
		take_option(line, name, *words);
	}
}

static Answer parse_value(const char *value)
{
	static const char *const on[] = { "on", "yes", "true", "y", NULL };
	static const char *const off[] = { "off", "no", "false", "n", NULL };

	return g_strv_contains(on, value) ? YES : g_strv_contains(off, value) ? NO : UNKNOWN;
}

/* The VALUE of KEY=VALUE, or NULL */
static const char *get_value(const char *word, const char *key)
{
	size_t length = strlen(key);

	return !strncmp(word, key, length) && word[length] == '=' ? word + length + 1 : NULL;
}

/* Whether the driver is the class of vCPUs of that model, or one that it is derived from */
static bool is_class_of(const char *driver, const char *model)
{
	g_autofree char *name = g_strconcat(model, "-arm-cpu", NULL);

	return g_str_equal(driver, name) || g_str_equal(driver, "arm-cpu") ||
		g_str_equal(driver, "cpu") || g_str_equal(driver, "device");
}

static void apply_long_global(const char *text, const char *model, const char *property,
			      Answer *answer)
{
	g_auto(GStrv) words = g_strsplit(text, ",", -1);
	const char *driver = "", *name = "", *value = "";

	for (int i = 0; words[i]; i++) {
		driver = get_value(words[i], "driver") ?: driver;
		name = get_value(words[i], "property") ?: name;
		value = get_value(words[i], "value") ?: value;
	}
	if (is_class_of(driver, model) && g_str_equal(name, property)) {
		*answer = parse_value(value);
	}
}

/* DRIVER.PROPERTY=VALUE, or driver=DRIVER,property=PROPERTY,value=VALUE */
static void apply_global(const char *text, const char *model, const char *property, Answer *answer)
{
	size_t length = strcspn(text, ".=");
	g_autofree char *driver = g_strndup(text, length);
	const char *value = text[length] == '.' ? get_value(text + length + 1, property) : NULL;

	if (text[length] == '=') {
		apply_long_global(text, model, property, answer);
	} else if (value && is_class_of(driver, model)) {
		*answer = parse_value(value);
	}
}

static Answer evaluate(const CommandLine *line, Answer otherwise)
{
	g_auto(GStrv) features = line->cpu ? g_strsplit(line->cpu, ",", -1) : NULL;
	Answer answer = otherwise;
	bool is_named = false;

	/* Without -cpu the machine decides. */
	if (line->is_unclear || !features || !features[0]) {
		return UNKNOWN;
	}
	for (guint i = 0; i < line->globals->len; i++) {
		apply_global(g_ptr_array_index(line->globals, i), features[0], line->property,
			     &answer);
	}
	for (int i = 1; features[i]; i++) {
		const char *value = get_value(features[i], line->property);

		if (value) {
			answer = parse_value(value);
			is_named = true;
		}
	}
	return line->has_file && !is_named ? UNKNOWN : answer;
}

Answer cmdline_find_property(const char *line, gsize length, const char *property,
			     bool has_default_file, Answer otherwise)
{
	g_autoptr(GPtrArray) words = g_ptr_array_new();
	CommandLine found = { .property = property, .globals = g_ptr_array_new() };
	Answer answer;

	/*
	 * The line always ends with a zero byte: that of its last word, or the one behind the text.
	 */
	for (const char *word = line; word < line + length; word += strlen(word) + 1) {
		g_ptr_array_add(words, (gpointer)word);
	}
	g_ptr_array_add(words, NULL);
	if (words->len == 1) {
		found.is_unclear = true;
	} else {
		read_words(&found, (const char *const *)words->pdata);
	}
	found.has_file |= has_default_file && !found.ignores_default_file;
	answer = evaluate(&found, otherwise);
	g_ptr_array_unref(found.globals);
	return answer;
}
