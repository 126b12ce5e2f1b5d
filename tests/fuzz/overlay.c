/*
 * What holds for each overlay: it is well-formed, names nothing that the tree does not have, takes
 * each interrupt from the tree, and is the same in whatever order folders list their files.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "tool.h"
#include "tree.h"

#define BASE	"sys/firmware/devicetree/base"

static void expect(const char **at, const char *text)
{
	if (!g_str_has_prefix(*at, text)) {
		g_error("'%s' does not begin with '%s'", *at, text);
	}
	*at += strlen(text);
}

static bool accept(const char **at, const char *text)
{
	bool found = g_str_has_prefix(*at, text);

	*at += found ? strlen(text) : 0;
	return found;
}

/* Takes what is before END, and skips that */
static char *take(const char **at, const char *end)
{
	const char *found = strstr(*at, end);
	char *text;

	if (!found) {
		g_error("'%s' has no '%s'", *at, end);
	}
	text = g_strndup(*at, found - *at);
	*at = found + strlen(end);
	return text;
}

/* NULL without the property; nodes are "" or begin with a slash */
static GBytes *find_property(const Files *files, const char *node, const char *name)
{
	g_autofree char *path = g_strdup_printf(BASE "%s/%s", node, name);

	return g_hash_table_lookup(files->contents, path);
}

static guint32 count_cells(GBytes *property)
{
	return property ? g_bytes_get_size(property) / sizeof(guint32) : 0;
}

static guint32 get_cell(GBytes *property, guint index)
{
	guint32 cell;

	memcpy(&cell, (const guint32 *)g_bytes_get_data(property, NULL) + index, sizeof(cell));
	return GUINT32_FROM_BE(cell);
}

static bool has_node(const Files *files, const char *node)
{
	g_autofree char *path = g_strdup_printf("%s/" BASE "%s", files->root, node);

	return *node == '/' && g_file_test(path, G_FILE_TEST_IS_DIR);
}

static bool has_phandle(const Files *files, guint32 phandle)
{
	for (guint i = 0; i < files->names->len; i++) {
		const char *name = g_ptr_array_index(files->names, i);
		GBytes *contents = g_hash_table_lookup(files->contents, name);

		if (g_str_has_prefix(name, BASE "/") && g_str_has_suffix(name, "/phandle") &&
		    count_cells(contents) && get_cell(contents, 0) == phandle) {
			return true;
		}
	}
	return false;
}

static bool has_cpu(const Files *files, const char *word)
{
	for (guint i = 0; i < files->names->len; i++) {
		const char *name = g_ptr_array_index(files->names, i);
		g_autofree char *folder = g_path_get_dirname(name);
		g_autofree char *cpu = make_printable(g_path_get_basename(folder));

		g_strdelimit(cpu, "*", '?');
		if (g_str_has_prefix(name, BASE "/cpus/") &&
		    g_str_has_suffix(name, "/device_type") && g_str_equal(cpu, word)) {
			return true;
		}
	}
	return false;
}

static char *find_labelled(const Files *files, const char *label)
{
	GBytes *path = find_property(files, "/__symbols__", label);

	g_assert_nonnull(path);
	for (const char *p = label; *p; p++) {
		g_assert_true(*p == '_' || g_ascii_isalpha(*p) ||
			      (p != label && g_ascii_isdigit(*p)));
	}
	return g_strstrip(g_strndup(g_bytes_get_data(path, NULL), g_bytes_get_size(path)));
}

/* The number of a node that the tree has */
static guint32 resolve(const Files *files, const char *reference)
{
	guint32 phandle;

	if (*reference == '&') {
		g_autofree char *node = find_labelled(files, reference + 1);
		GBytes *property = find_property(files, node, "phandle");

		g_assert_true(has_node(files, node));
		g_assert_cmpuint(count_cells(property), >, 0);
		phandle = get_cell(property, 0);
	} else {
		char *end;

		g_assert_true(g_str_has_prefix(reference, "0x"));
		phandle = strtoul(reference, &end, 16);
		g_assert_cmpstr(end, ==, "");
	}
	g_assert_true(phandle && has_phandle(files, phandle));
	return phandle;
}

/* The lists between pointed brackets */
static GStrv split_lists(const char *text)
{
	g_autofree char *inner = NULL;

	expect(&text, "<");
	g_assert_true(g_str_has_suffix(text, ">"));
	inner = g_strndup(text, strlen(text) - 1);
	return g_strsplit(inner, ">, <", -1);
}

static guint parse_interrupt(const char *text, guint32 cells[GIC_MAX_CELLS])
{
	g_auto(GStrv) words = g_strsplit(text, " ", -1);
	guint count = g_strv_length(words);

	g_assert_true(count >= GIC_MIN_CELLS && count <= GIC_MAX_CELLS);
	for (guint i = 0; i < count; i++) {
		bool is_hex = g_str_has_prefix(words[i], "0x");
		char *end;

		g_assert_true(g_ascii_isdigit(*words[i]));
		cells[i] = strtoul(words[i], &end, is_hex ? 16 : 10);
		g_assert_cmpstr(end, ==, "");
	}
	return count;
}

/* Whether an old PMU has this interrupt at this CPU */
static bool has_pair(const Files *files, const char *node, const guint32 *cells, guint count,
		     guint32 cpu)
{
	GBytes *extended = find_property(files, node, "interrupts-extended");
	GBytes *interrupts = extended ?: find_property(files, node, "interrupts");
	GBytes *affinity = find_property(files, node, "interrupt-affinity");
	/* There each interrupt begins with its controller. */
	guint first = extended ? 1 : 0;
	guint size = first + count;

	for (guint i = 0; i < count_cells(affinity) && (i + 1) * size <= count_cells(interrupts);
	     i++) {
		bool same = get_cell(affinity, i) == cpu;

		for (guint j = 0; j < count && same; j++) {
			same = get_cell(interrupts, i * size + first + j) == cells[j];
		}
		if (same) {
			return true;
		}
	}
	return false;
}

/* SPIs: each has a CPU of its own, the same as before. */
static void check_spis(const Files *files, const GPtrArray *old, char **interrupts, char **cpus)
{
	g_autoptr(GHashTable) seen = g_hash_table_new(NULL, NULL);

	g_assert_cmpuint(g_strv_length(interrupts), ==, g_strv_length(cpus));
	for (guint i = 0; interrupts[i]; i++) {
		guint32 cells[GIC_MAX_CELLS];
		guint count = parse_interrupt(interrupts[i], cells);
		guint32 cpu = resolve(files, cpus[i]);
		bool found = false;

		g_assert_true(cells[CELL_KIND] != KIND_PPI && cells[CELL_KIND] != KIND_EPPI);
		g_assert_true(g_hash_table_add(seen, GUINT_TO_POINTER(cpu)));
		for (guint j = 0; j < old->len && !found; j++) {
			found = has_pair(files, g_ptr_array_index(old, j), cells, count, cpu);
		}
		g_assert_true(found);
	}
}

/* A PPI: one for all CPUs, in no partition */
static void check_ppi(char **interrupts)
{
	guint32 cells[GIC_MAX_CELLS] = { };

	g_assert_cmpuint(g_strv_length(interrupts), ==, 1);
	parse_interrupt(interrupts[0], cells);
	g_assert_true(cells[CELL_KIND] == KIND_PPI || cells[CELL_KIND] == KIND_EPPI);
	g_assert_cmpuint(cells[CELL_PARTITION], ==, 0);
}

static void check_pmu(const Files *files, const GPtrArray *old, const char **at)
{
	g_autofree char *interrupts = NULL;
	g_auto(GStrv) lists = NULL;

	expect(at, "\t\t\tpmu-all-cpus {\n\t\t\t\tcompatible = \"arm,armv8-pmuv3\";\n");
	if (accept(at, "\t\t\t\tinterrupt-parent = <")) {
		g_autofree char *controller = take(at, ">;\n");

		resolve(files, controller);
	}
	expect(at, "\t\t\t\tinterrupts = ");
	interrupts = take(at, ";\n");
	lists = split_lists(interrupts);
	if (accept(at, "\t\t\t\tinterrupt-affinity = ")) {
		g_autofree char *affinity = take(at, ";\n");
		g_auto(GStrv) cpus = split_lists(affinity);

		check_spis(files, old, lists, cpus);
	} else {
		check_ppi(lists);
	}
	expect(at, "\t\t\t};\n");
}

static char *take_target(const Files *files, guint number, const char **at)
{
	g_autofree char *begin = g_strdup_printf("\n\tfragment@%u {\n\t\ttarget-path = \"", number);
	g_autofree char *quoted = NULL;
	char *path;

	expect(at, begin);
	quoted = take(at, "\";\n\n\t\t__overlay__ {\n");
	path = g_strcompress(quoted);
	g_assert_true(has_node(files, path));
	return path;
}

static void check_fragments(const Files *files, const char **at)
{
	g_autoptr(GPtrArray) old = g_ptr_array_new_with_free_func(g_free);
	g_autofree char *target = take_target(files, 0, at);

	while (accept(at, "\t\t\tstatus = \"disabled\";\n\t\t};\n\t};\n")) {
		g_assert_nonnull(find_property(files, target, "compatible"));
		g_assert_false(g_ptr_array_find_with_equal_func(old, target, g_str_equal, NULL));
		g_ptr_array_add(old, g_steal_pointer(&target));
		target = take_target(files, old->len, at);
	}
	check_pmu(files, old, at);
	expect(at, "\t\t};\n\t};\n");
}

/* The first lines name each PMU's CPUs. */
static void check_comment(const Files *files, const char *comment)
{
	g_auto(GStrv) lines = g_strsplit(comment, "\n", -1);

	for (char **line = lines; *line; line++) {
		const char *cpus = g_str_has_prefix(*line, " * /") ? strstr(*line, ": ") : NULL;
		g_auto(GStrv) words = g_strsplit(cpus ? cpus + 2 : "", " ", -1);

		g_assert_true(g_str_has_prefix(*line, line[1] ? " *" : " "));
		for (char **word = words; *word; word++) {
			g_assert_true(has_cpu(files, *word));
		}
	}
}

static void check_text(const Files *files, const char *text)
{
	g_autofree char *comment = NULL;

	g_assert_true(g_utf8_validate(text, -1, NULL));
	for (const char *p = text; *p; p++) {
		g_assert_true(!g_ascii_iscntrl(*p) || *p == '\n' || *p == '\t');
	}
	expect(&text, "/*\n");
	comment = take(&text, "*/");
	check_comment(files, comment);
	expect(&text, "\n/dts-v1/;\n/plugin/;\n\n/ {");
	check_fragments(files, &text);
	expect(&text, "};\n");
	g_assert_cmpstr(text, ==, "");
}

/* The overlay, or the error */
static char *ask(const Files *files)
{
	static const char prefix[] = "no overlay for this host: ";
	g_autoptr(GError) error = NULL;
	g_autofree char *trouble = NULL;
	char *text = overlay_make(files->root, &trouble, &error);

	if (text) {
		g_assert_no_error(error);
		/* The folder has no KVM, so the numbers of counters are never known. */
		g_assert_nonnull(trouble);
		g_assert_nonnull(strstr(text, trouble));
		check_text(files, text);
		return text;
	}
	g_assert_nonnull(error);
	g_assert_true(g_str_has_prefix(error->message, prefix));
	g_assert_cmpuint(strlen(error->message), >, strlen(prefix));
	return g_strdup(error->message);
}

void check_overlay(const Files *files)
{
	g_autofree char *text = ask(files);
	g_autofree char *again = NULL;

	files_turn(files);
	again = ask(files);
	g_assert_cmpstr(text, ==, again);
}
