/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A device-tree overlay that leaves one PMU node for all CPUs. The old nodes are switched off and a
 * new one is added: an overlay can delete neither a node nor a property, such as the affinities of
 * an old node's interrupts.
 */
#include "tree.h"

#define NEW_NODE	"pmu-all-cpus"
#define NEW_COMPATIBLE	"arm,armv8-pmuv3"
/* In the flags of a PPI at a GICv2: the CPUs that have it */
#define FLAGS_CPUS	0xff00

/*
 * Makes a PMU with all of the old interrupts: a PPI once and without its partition, SPIs one after
 * the other.
 */
static Pmu *merge_pmus(const Tree *tree)
{
	const Pmu *first = g_ptr_array_index(tree->pmus, 0);
	Pmu *all = pmu_new(first->path);

	all->cells = first->cells;
	all->controller = first->controller;
	all->interrupts = g_array_new(false, false, sizeof(guint32));
	for (guint i = 0; i < tree->pmus->len; i++) {
		const Pmu *pmu = g_ptr_array_index(tree->pmus, i);

		if (!pmu_has_ppi(pmu)) {
			g_array_append_vals(all->interrupts, pmu->interrupts->data,
					    pmu->interrupts->len);
			g_array_append_vals(all->affinity, pmu->affinity->data, pmu->affinity->len);
		} else if (!i) {
			g_array_append_vals(all->interrupts, pmu->interrupts->data,
					    pmu->interrupts->len);
		} else if (all->cells < GIC_MAX_CELLS) {
			g_array_index(all->interrupts, guint32, CELL_FLAGS) |=
				cell_at(pmu->interrupts, CELL_FLAGS) & FLAGS_CPUS;
		}
	}
	if (pmu_has_ppi(all) && all->cells > CELL_PARTITION) {
		g_array_index(all->interrupts, guint32, CELL_PARTITION) = 0;
	}
	return all;
}

/*
 * The kernel's number, FROM or higher, of an online CPU whose node belongs to the PMU; -1 without
 * one
 */
static int find_cpu(const Tree *tree, const Pmu *pmu, int from)
{
	for (int cpu = from; cpu < ARM_HOST_MAX_CPUS; cpu++) {
		g_autofree char *link = g_strdup_printf("/sys/devices/system/cpu/cpu%d/of_node",
							cpu);
		g_autofree char *node = realpath(link, NULL);

		for (guint i = 0; node && i < tree->cpus->len; i++) {
			if (test_bit(i, pmu->cpus.cpus) &&
			    g_str_has_suffix(node, g_ptr_array_index(tree->cpus, i))) {
				return cpu;
			}
		}
	}
	return -1;
}

static void count_counters(const Tree *tree, Pmu *pmu, char **trouble)
{
	g_autoptr(GError) error = NULL;

	for (int cpu = find_cpu(tree, pmu, 0); cpu >= 0 && pmu->counters < 0;
	     cpu = find_cpu(tree, pmu, cpu + 1)) {
		g_clear_error(&error);
		pmu->counters = kvm_count_event_counters(cpu, &error);
	}
	if (pmu->counters < 0) {
		g_free(*trouble);
		*trouble = g_strdup(error ? error->message :
				    "no CPU of the kernel's is that of a PMU node");
	}
}

static bool overlap(const Tree *tree)
{
	ArmHostCPUSet seen = { };

	for (guint i = 0; i < tree->pmus->len; i++) {
		const Pmu *pmu = g_ptr_array_index(tree->pmus, i);
		ArmHostCPUSet both;

		if (bitmap_and(both.cpus, seen.cpus, pmu->cpus.cpus, ARM_HOST_MAX_CPUS)) {
			return true;
		}
		bitmap_or(seen.cpus, seen.cpus, pmu->cpus.cpus, ARM_HOST_MAX_CPUS);
	}
	return false;
}

/* Fails if the numbers differ; says in trouble why they are not known. */
static bool check_counters(const Tree *tree, const char *root, char **trouble, Error **errp)
{
	g_autoptr(GString) list = g_string_new(NULL);
	bool differ = false;
	int number = -1;

	if (!tree->pmus->len) {
		*trouble = g_strdup("without a PMU KVM has none");
	} else if (overlap(tree)) {
		*trouble = g_strdup("each PMU claims the CPUs of others, "
				    "so KVM has one number for all");
	} else if (*root) {
		*trouble = g_strdup_printf("%s has no KVM to ask", root);
	}
	for (guint i = 0; i < tree->pmus->len && !*trouble; i++) {
		Pmu *pmu = g_ptr_array_index(tree->pmus, i);

		count_counters(tree, pmu, trouble);
		differ |= number >= 0 && pmu->counters >= 0 && pmu->counters != number;
		number = pmu->counters;
		g_string_append_printf(list, "%s%s has %d", i ? ", " : "", pmu->path, number);
	}
	if (differ) {
		error_setg(errp, "the kinds of core have different numbers of event counters, "
			   "which one PMU cannot have: %s", list->str);
	}
	return !differ;
}

static bool check_pmus(Tree *tree, const char *root, char **trouble, Error **errp)
{
	return (!tree->pmus->len || tree_read_pmus(tree, errp)) &&
		check_counters(tree, root, trouble, errp);
}

static bool check_host(const Tree *tree, const char *root, Error **errp)
{
	g_autofree char *sysfs = g_strconcat(root, "/sys", NULL);
	g_autoptr(GError) error = NULL;
	g_autoptr(GPtrArray) registered = arm_host_pmus_read(sysfs, &error);

	if (!tree->cpus->len) {
		error_setg(errp, "there are no CPUs in %s: "
			   "with ACPI the firmware says which PMUs there are", tree->folder);
	} else if (tree->cpus->len > ARM_HOST_MAX_CPUS) {
		error_setg(errp, "%u CPUs are more than %d", tree->cpus->len, ARM_HOST_MAX_CPUS);
	} else if (tree->apple) {
		error_setg(errp, "%s is Apple's own and no PMUv3, so no other driver fits",
			   tree->apple);
	} else if (registered && registered->len > tree->pmus->len) {
		g_autofree char *list = arm_host_pmus_format(registered);

		error_setg(errp, "Linux has the PMUs %s, "
			   "which are not all from nodes that are known here", list);
	} else if (tree->pmus->len == 1) {
		error_setg(errp, "there is one PMU node already, %s",
			   ((Pmu *)g_ptr_array_index(tree->pmus, 0))->path);
	}
	return !*errp;
}

/* A label, if the tree has them, or the number */
static char *format_reference(const Tree *tree, guint32 phandle)
{
	const char *path = g_hash_table_lookup(tree->paths, GUINT_TO_POINTER(phandle));
	const char *label = path ? g_hash_table_lookup(tree->labels, path) : NULL;

	return label ? g_strdup_printf("&%s", label) : g_strdup_printf("0x%x", phandle);
}

/* Where the new node goes: beside the first one, or at the top */
static char *find_place(const Tree *tree)
{
	if (!tree->pmus->len) {
		return g_strdup("/");
	}
	return g_path_get_dirname(((Pmu *)g_ptr_array_index(tree->pmus, 0))->path);
}

/*
 * NULL if the new node inherits its controller, and that has no label: its number may be another
 * one in another version of the tree.
 */
static char *refer_to_controller(const Tree *tree, const Pmu *pmu, const char *place)
{
	g_autofree char *reference = format_reference(tree, pmu->controller);
	const char *parent = g_str_equal(place, "/") ? "" : place;
	bool inherited = tree_find_controller(tree, parent) == pmu->controller;

	return *reference != '&' && inherited ? NULL : g_steal_pointer(&reference);
}

static void write_pmu(GString *out, const Tree *tree, const Pmu *pmu, const char *place)
{
	g_autofree char *controller = refer_to_controller(tree, pmu, place);

	g_string_append_printf(out, "\t\t\t%s {\n\t\t\t\tcompatible = \"%s\";\n", NEW_NODE,
			       NEW_COMPATIBLE);
	if (controller) {
		g_string_append_printf(out, "\t\t\t\tinterrupt-parent = <%s>;\n", controller);
	}
	g_string_append(out, "\t\t\t\tinterrupts = ");
	for (guint i = 0; i < pmu->interrupts->len; i++) {
		const char *before = i % pmu->cells ? " " : i ? ">, <" : "<";

		g_string_append_printf(out, i % pmu->cells == CELL_FLAGS ? "%s0x%x" : "%s%u",
				       before, cell_at(pmu->interrupts, i));
	}
	g_string_append(out, ">;\n");
	for (guint i = 0; i < pmu->affinity->len; i++) {
		g_autofree char *cpu = format_reference(tree, cell_at(pmu->affinity, i));

		g_string_append_printf(out, "%s<%s>", i ? ", " : "\t\t\t\tinterrupt-affinity = ",
				       cpu);
	}
	g_string_append(out, pmu->affinity->len ? ";\n\t\t\t};\n" : "\t\t\t};\n");
}

static void open_fragment(GString *out, guint number, const char *target)
{
	g_autofree char *quoted = g_strescape(target, NULL);

	g_string_append_printf(out, "\n\tfragment@%u {\n\t\ttarget-path = \"%s\";\n\n"
			       "\t\t__overlay__ {\n", number, quoted);
}

static void write_fragments(GString *out, const Tree *tree, const Pmu *all)
{
	g_autofree char *place = find_place(tree);
	guint number = 0;

	g_string_append(out, "/dts-v1/;\n/plugin/;\n\n/ {");
	for (guint i = 0; i < tree->pmus->len; i++) {
		open_fragment(out, number++, ((Pmu *)g_ptr_array_index(tree->pmus, i))->path);
		g_string_append(out, "\t\t\tstatus = \"disabled\";\n\t\t};\n\t};\n");
	}
	open_fragment(out, number, place);
	write_pmu(out, tree, all, place);
	g_string_append(out, "\t\t};\n\t};\n};\n");
}

/* Text of the tree that goes into a comment: it must neither end the comment nor the line. */
static char *make_comment(char *text)
{
	return g_strdelimit(make_printable(text), "*", '?');
}

/* The kinds of core, and what is known of their counters */
static void write_kinds(GString *out, const Tree *tree, const char *trouble)
{
	for (guint i = 0; i < tree->pmus->len; i++) {
		const Pmu *pmu = g_ptr_array_index(tree->pmus, i);
		g_autoptr(GString) names = g_string_new(pmu->path);
		g_autofree char *line = NULL;

		g_string_append_c(names, ':');
		for (guint cpu = 0; cpu < tree->cpus->len; cpu++) {
			if (test_bit(cpu, pmu->cpus.cpus)) {
				g_string_append_printf(names, " %s",
						       strrchr(g_ptr_array_index(tree->cpus, cpu),
							       '/') + 1);
			}
		}
		line = make_comment(g_string_free(g_steal_pointer(&names), false));
		g_string_append_printf(out, " * %s", line);
		if (pmu->counters >= 0) {
			g_string_append_printf(out, "; %d event counters", pmu->counters);
		}
		g_string_append(out, "\n");
	}
	if (!tree->pmus->len) {
		g_string_append_printf(out, " * No PMU node is there. Assumed: each core has a "
				       "PMUv3 that firmware leaves to Linux, and its interrupt\n"
				       " * is PPI %d with the timer's flags. If 'perf stat' counts "
				       "and 'perf record' has no samples, the PPI is another.\n",
				       USUAL_PPI);
	}
	if (trouble) {
		g_string_append_printf(out, " *\n * CHECK FIRST: the numbers of event counters are "
				       "unknown (%s).\n"
				       " * They have to be the same on all cores: %s.\n", trouble,
				       tree->pmus->len && !overlap(tree) ?
				       "see 'dmesg | grep \"counters available\"' on the board, "
				       "a line for each PMU" :
				       "see the cores' manuals, PMCR_EL0.N");
	}
}

static void write_use(GString *out, const Tree *tree, const Pmu *all)
{
	g_autofree char *place = find_place(tree);
	g_autofree char *controller = refer_to_controller(tree, all, place);
	bool labels = controller && *controller == '&';

	if (!labels && (controller || all->affinity->len)) {
		g_string_append(out, " *\n"
				" * Nodes that have no label are named by number: valid for the "
				"very tree that this host booted with. When a new\n"
				" * kernel brings another tree, have this file written again, on a "
				"boot without the overlay.\n");
	}
	g_string_append(out, " *\n"
			" * A guest's counters count on all CPUs then. Events are those of one "
			"kind of core. The host's perf has one PMU,\n"
			" * armv8_pmuv3, and names of events that only one kind has go away.\n"
			" *\n");
	g_string_append_printf(out, " *     dtc -@ %s-I dts -O dtb -o one-pmu.dtbo one-pmu.dts\n",
			       labels ? "" : "-W no-interrupts_property ");
	g_string_append(out, " *\n"
			" * Debian, u-boot-menu: one-pmu.dtbo in /boot/dtbo, and in "
			"U_BOOT_FDT_OVERLAYS in /etc/default/u-boot if that is set, u-boot-update\n"
			" * Debian, flash-kernel: fdtoverlay -i BOARD.dtb "
			"-o /etc/flash-kernel/dtbs/BOARD.dtb one-pmu.dtbo, flash-kernel\n"
			" * Armbian: armbian-add-overlay one-pmu.dts\n"
			" * Others: fdtoverlay -i OLD.dtb -o NEW.dtb one-pmu.dtbo, "
			"and have the boot loader take NEW.dtb\n");
}

static char *read_model(const Tree *tree)
{
	char *model = tree_read_string(tree, "", "model");

	return make_comment(model ?: g_strdup("this board"));
}

static char *format_overlay(const Tree *tree, const Pmu *all, const char *trouble)
{
	GString *out = g_string_new("/*\n");
	g_autofree char *model = read_model(tree);

	g_string_append_printf(out, " * One PMU for all CPUs of %s; by pmu-hybrid-check %s.\n *\n",
			       model, VERSION);
	write_kinds(out, tree, trouble);
	write_use(out, tree, all);
	g_string_append(out, " */\n");
	write_fragments(out, tree, all);
	return g_string_free(out, false);
}

char *overlay_make(const char *root, char **trouble, Error **errp)
{
	Tree tree;
	Pmu *all = NULL;
	char *text = NULL;

	*trouble = NULL;
	tree_read(&tree, root);
	if (check_host(&tree, root, errp) && check_pmus(&tree, root, trouble, errp)) {
		all = tree.pmus->len ? merge_pmus(&tree) : tree_assume_pmu(&tree, errp);
		text = all ? format_overlay(&tree, all, *trouble) : NULL;
	}
	g_clear_pointer(&all, pmu_free);
	tree_free(&tree);
	if (!text) {
		error_prepend(errp, "no overlay for this host: ");
	}
	return text;
}
