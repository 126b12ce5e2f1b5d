/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Reads CPUs, their PMUs and the PMUs' interrupts from the device tree in sysfs, as Linux's
 * arm_pmu_platform.c does.
 */
#include "tree.h"

#define BASE		"/sys/firmware/devicetree/base"

/*
 * What Linux's driver of PMUv3 takes for a CPU's PMU. "*-pmu" would not do: interconnects and power
 * management units have such names, too.
 */
static const char *const cpu_pmus[] = {
	"arm,armv8-pmuv3", "arm,c1-*-pmu", "arm,cortex-*-pmu", "arm,neoverse-*-pmu",
	"arm,rainier-pmu", "apm,potenza-pmu", "brcm,vulcan-pmu", "cavium,thunder-pmu",
	"nvidia,carmel-pmu", "nvidia,denver-pmu", "samsung,mongoose-pmu",
};

/* phandles and interrupts are 32 bits each, big-endian; NULL without the property */
static GArray *read_cells(const Tree *tree, const char *node, const char *name)
{
	g_autofree char *path = g_strdup_printf("%s%s/%s", tree->folder, node, name);
	g_autofree char *data = NULL;
	GArray *cells;
	gsize size;

	if (!g_file_get_contents(path, &data, &size, NULL)) {
		return NULL;
	}
	cells = g_array_new(false, false, sizeof(guint32));
	for (gsize at = 0; at + sizeof(guint32) <= size; at += sizeof(guint32)) {
		guint32 cell;

		memcpy(&cell, data + at, sizeof(cell));
		cell = GUINT32_FROM_BE(cell);
		g_array_append_val(cells, cell);
	}
	return cells;
}

static guint32 read_cell(const Tree *tree, const char *node, const char *name)
{
	g_autoptr(GArray) cells = read_cells(tree, node, name);

	return cells && cells->len ? cell_at(cells, 0) : 0;
}

char *tree_read_string(const Tree *tree, const char *node, const char *name)
{
	return read_text(NULL, "%s%s/%s", tree->folder, node, name);
}

static bool is_enabled(const Tree *tree, const char *node)
{
	g_autofree char *status = tree_read_string(tree, node, "status");

	return !status || g_str_equal(status, "okay") || g_str_equal(status, "ok");
}

static bool is_cpu_pmu(const char *compatible)
{
	for (size_t i = 0; i < G_N_ELEMENTS(cpu_pmus); i++) {
		if (g_pattern_match_simple(cpu_pmus[i], compatible)) {
			return true;
		}
	}
	return false;
}

void pmu_free(Pmu *pmu)
{
	g_free(pmu->path);
	g_clear_pointer(&pmu->interrupts, g_array_unref);
	g_clear_pointer(&pmu->affinity, g_array_unref);
	g_free(pmu);
}

Pmu *pmu_new(const char *path)
{
	Pmu *pmu = g_new0(Pmu, 1);

	pmu->path = g_strdup(path);
	pmu->counters = -1;
	pmu->affinity = g_array_new(false, false, sizeof(guint));
	return pmu;
}

static void note_node(Tree *tree, const char *node)
{
	g_autofree char *compatible = tree_read_string(tree, node, "compatible");
	g_autofree char *type = tree_read_string(tree, node, "device_type");
	guint32 phandle = read_cell(tree, node, "phandle");

	if (phandle) {
		g_hash_table_insert(tree->paths, GUINT_TO_POINTER(phandle), g_strdup(node));
	}
	if (!is_enabled(tree, node)) {
		return;
	}
	if (type && g_str_equal(type, "cpu") && g_str_has_prefix(node, "/cpus/")) {
		g_ptr_array_add(tree->cpus, g_strdup(node));
	} else if (compatible && g_pattern_match_simple("apple,*-pmu", compatible)) {
		g_free(tree->apple);
		tree->apple = g_strdup(compatible);
	} else if (compatible && is_cpu_pmu(compatible)) {
		g_ptr_array_add(tree->pmus, pmu_new(node));
	} else if (compatible && g_str_equal(compatible, "arm,armv8-timer")) {
		g_free(tree->timer);
		tree->timer = g_strdup(node);
	}
}

static gint compare_names(gconstpointer a, gconstpointer b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Sorted: what is found must not depend on the order in which a file system lists names. */
static GPtrArray *list_folder(const Tree *tree, const char *node)
{
	g_autofree char *folder = g_strconcat(tree->folder, node, NULL);
	g_autoptr(GDir) dir = g_dir_open(folder, 0, NULL);
	GPtrArray *names = g_ptr_array_new_with_free_func(g_free);
	const char *name;

	while (dir && (name = g_dir_read_name(dir))) {
		g_ptr_array_add(names, g_strdup(name));
	}
	g_ptr_array_sort(names, compare_names);
	return names;
}

/* Notes the nodes below this one */
static void walk(Tree *tree, const char *node)
{
	g_autoptr(GPtrArray) names = list_folder(tree, node);

	for (guint i = 0; i < names->len; i++) {
		g_autofree char *child = g_strdup_printf("%s/%s", node,
							 (char *)g_ptr_array_index(names, i));
		g_autofree char *path = g_strconcat(tree->folder, child, NULL);

		if (g_file_test(path, G_FILE_TEST_IS_DIR)) {
			note_node(tree, child);
			walk(tree, child);
		}
	}
}

/* A property can have a name that dtc does not take for a label. */
static bool is_label(const char *name)
{
	return !g_ascii_isdigit(*name) &&
	       !name[strspn(name, G_CSET_a_2_z G_CSET_A_2_Z G_CSET_DIGITS "_")];
}

/* Of several labels of a node it takes the first by name. */
static void read_labels(Tree *tree)
{
	g_autoptr(GPtrArray) names = list_folder(tree, "/__symbols__");

	for (guint i = 0; i < names->len; i++) {
		const char *name = g_ptr_array_index(names, i);
		g_autofree char *path = is_label(name) ?
			tree_read_string(tree, "/__symbols__", name) : NULL;

		if (path && !g_hash_table_contains(tree->labels, path)) {
			g_hash_table_insert(tree->labels, g_steal_pointer(&path), g_strdup(name));
		}
	}
}

/* A CPU's unit address is hexadecimal and has no leading zeros. */
static gint compare_cpus(gconstpointer a, gconstpointer b)
{
	const char *one = *(const char *const *)a, *other = *(const char *const *)b;
	gint longer = (gint)strlen(one) - (gint)strlen(other);

	return longer ?: strcmp(one, other);
}

static gint compare_pmus(gconstpointer a, gconstpointer b)
{
	const Pmu *one = *(const Pmu *const *)a, *other = *(const Pmu *const *)b;
	unsigned long first = find_first_bit(one->cpus.cpus, ARM_HOST_MAX_CPUS);
	unsigned long second = find_first_bit(other->cpus.cpus, ARM_HOST_MAX_CPUS);

	return first == second ? strcmp(one->path, other->path) : first < second ? -1 : 1;
}

void tree_read(Tree *tree, const char *root)
{
	*tree = (Tree){
		.folder = g_strconcat(root, BASE, NULL),
		.paths = g_hash_table_new_full(NULL, NULL, NULL, g_free),
		.labels = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free),
		.cpus = g_ptr_array_new_with_free_func(g_free),
		.pmus = g_ptr_array_new_with_free_func((GDestroyNotify)pmu_free),
	};
	walk(tree, "");
	read_labels(tree);
	g_ptr_array_sort(tree->cpus, compare_cpus);
	g_ptr_array_sort(tree->pmus, compare_pmus);
}

void tree_free(Tree *tree)
{
	g_free(tree->folder);
	g_free(tree->apple);
	g_free(tree->timer);
	g_hash_table_unref(tree->paths);
	g_hash_table_unref(tree->labels);
	g_ptr_array_unref(tree->cpus);
	g_ptr_array_unref(tree->pmus);
}

guint32 tree_find_controller(const Tree *tree, const char *node)
{
	g_autofree char *path = g_strdup(node);

	while (true) {
		guint32 controller = read_cell(tree, path, "interrupt-parent");
		char *slash = strrchr(path, '/');

		if (controller || !slash) {
			return controller;
		}
		*slash = 0;
	}
}

/*
 * Takes the controllers out of interrupts-extended, where each interrupt names its own; false if
 * they differ.
 */
static bool split_extended(const Tree *tree, Pmu *pmu, const GArray *extended)
{
	pmu->interrupts = g_array_new(false, false, sizeof(guint32));
	for (guint at = 0; at < extended->len; at += 1 + pmu->cells) {
		const char *path = g_hash_table_lookup(tree->paths,
						       GUINT_TO_POINTER(cell_at(extended, at)));

		if (at && cell_at(extended, at) != pmu->controller) {
			return false;
		}
		pmu->controller = cell_at(extended, at);
		pmu->cells = path ? read_cell(tree, path, "#interrupt-cells") : 0;
		if (at + pmu->cells >= extended->len) {
			return false;
		}
		g_array_append_vals(pmu->interrupts, &g_array_index(extended, guint32, at + 1),
				    pmu->cells);
	}
	return true;
}

static bool is_ppi(guint32 kind)
{
	return kind == KIND_PPI || kind == KIND_EPPI;
}

bool pmu_has_ppi(const Pmu *pmu)
{
	return is_ppi(cell_at(pmu->interrupts, CELL_KIND));
}

static bool has_both_kinds(const Pmu *pmu)
{
	for (guint at = 0; at < pmu->interrupts->len; at += pmu->cells) {
		if (is_ppi(cell_at(pmu->interrupts, at + CELL_KIND)) != pmu_has_ppi(pmu)) {
			return true;
		}
	}
	return false;
}

static bool read_interrupts(const Tree *tree, Pmu *pmu, Error **errp)
{
	g_autoptr(GArray) extended = read_cells(tree, pmu->path, "interrupts-extended");
	const char *controller;

	if (extended && !split_extended(tree, pmu, extended)) {
		error_setg(errp, "the interrupts of %s are those of several controllers, "
			   "which is written by hand", pmu->path);
		return false;
	}
	if (!extended) {
		pmu->interrupts = read_cells(tree, pmu->path, "interrupts");
		pmu->controller = tree_find_controller(tree, pmu->path);
		controller = g_hash_table_lookup(tree->paths, GUINT_TO_POINTER(pmu->controller));
		pmu->cells = controller ? read_cell(tree, controller, "#interrupt-cells") : 0;
	}
	if (!pmu->interrupts || !pmu->interrupts->len) {
		error_setg(errp, "%s has no interrupts: a PMU of all CPUs would have none, either",
			   pmu->path);
	} else if (pmu->cells < GIC_MIN_CELLS || pmu->cells > GIC_MAX_CELLS ||
		   pmu->interrupts->len % pmu->cells) {
		error_setg(errp, "the interrupts of %s are not in the form of a GIC's, "
			   "with 3 or 4 cells each", pmu->path);
	} else if (has_both_kinds(pmu)) {
		error_setg(errp, "%s has interrupts of different kinds, PPI and SPI", pmu->path);
	}
	return !*errp;
}

static guint count_interrupts(const Pmu *pmu)
{
	return pmu->interrupts->len / pmu->cells;
}

/*
 * Adds the CPUs that a property of a node refers to. CPUs that are not there, such as disabled
 * ones, are added to the affinity only.
 */
static void add_cpus(const Tree *tree, Pmu *pmu, const GArray *phandles)
{
	for (guint i = 0; i < phandles->len; i++) {
		guint32 phandle = cell_at(phandles, i);
		const char *path = g_hash_table_lookup(tree->paths, GUINT_TO_POINTER(phandle));
		guint cpu;

		g_array_append_val(pmu->affinity, phandle);
		if (path && g_ptr_array_find_with_equal_func(tree->cpus, path, g_str_equal, &cpu)) {
			bitmap_set(pmu->cpus.cpus, cpu, 1);
		}
	}
}

static bool read_cpus(const Tree *tree, Pmu *pmu, Error **errp)
{
	g_autoptr(GArray) affinity = read_cells(tree, pmu->path, "interrupt-affinity");
	bool has_partition = pmu_has_ppi(pmu) && pmu->cells > CELL_PARTITION;
	guint32 partition = has_partition ? cell_at(pmu->interrupts, CELL_PARTITION) : 0;
	const char *path = g_hash_table_lookup(tree->paths, GUINT_TO_POINTER(partition));

	if (partition) {
		g_clear_pointer(&affinity, g_array_unref);
		affinity = path ? read_cells(tree, path, "affinity") : NULL;
		if (!affinity) {
			error_setg(errp, "the interrupt of %s is of a partition that is not there",
				   pmu->path);
			return false;
		}
	}
	if (affinity) {
		add_cpus(tree, pmu, affinity);
	} else {
		bitmap_set(pmu->cpus.cpus, 0, tree->cpus->len);
	}
	if (count_interrupts(pmu) != (pmu_has_ppi(pmu) ? 1 : pmu->affinity->len)) {
		error_setg(errp, "%s has %u interrupts for %u CPUs: which is whose is not known",
			   pmu->path, count_interrupts(pmu), pmu->affinity->len);
		return false;
	}
	return true;
}

static bool is_same_ppi(const Pmu *a, const Pmu *b)
{
	return cell_at(a->interrupts, CELL_KIND) == cell_at(b->interrupts, CELL_KIND) &&
	       cell_at(a->interrupts, CELL_NUMBER) == cell_at(b->interrupts, CELL_NUMBER);
}

/* A node can only have interrupts of one kind, at one controller. */
static bool check_alike(const Tree *tree, Error **errp)
{
	const Pmu *first = g_ptr_array_index(tree->pmus, 0);

	for (guint i = 1; i < tree->pmus->len; i++) {
		const Pmu *pmu = g_ptr_array_index(tree->pmus, i);

		if (pmu->controller != first->controller) {
			error_setg(errp, "%s and %s have different interrupt controllers",
				   first->path, pmu->path);
		} else if (pmu_has_ppi(pmu) != pmu_has_ppi(first)) {
			error_setg(errp, "%s and %s have interrupts of different kinds, "
				   "PPI and SPI", first->path, pmu->path);
		} else if (pmu_has_ppi(pmu) && !is_same_ppi(pmu, first)) {
			error_setg(errp, "%s and %s have different PPIs, "
				   "of which one node can have one", first->path, pmu->path);
		}
		if (*errp) {
			return false;
		}
	}
	return true;
}

/* Linux makes no PMU of a node whose affinity dangles, or with two SPIs for one CPU. */
static bool check_affinity(const Tree *tree, Error **errp)
{
	g_autoptr(GHashTable) seen = g_hash_table_new(NULL, NULL);

	for (guint i = 0; i < tree->pmus->len; i++) {
		const Pmu *pmu = g_ptr_array_index(tree->pmus, i);

		for (guint j = 0; j < pmu->affinity->len && !pmu_has_ppi(pmu); j++) {
			gpointer cpu = GUINT_TO_POINTER(cell_at(pmu->affinity, j));
			const char *path = g_hash_table_lookup(tree->paths, cpu);

			if (!path) {
				error_setg(errp, "the interrupt-affinity of %s names a node that "
					   "is not there", pmu->path);
				return false;
			}
			if (!g_hash_table_add(seen, cpu)) {
				error_setg(errp, "the PMUs have two interrupts for %s", path);
				return false;
			}
		}
	}
	return true;
}

static bool check_coverage(const Tree *tree, Error **errp)
{
	g_autoptr(GString) rest = g_string_new(NULL);

	for (guint cpu = 0; cpu < tree->cpus->len; cpu++) {
		bool covered = false;

		for (guint i = 0; i < tree->pmus->len && !covered; i++) {
			const Pmu *pmu = g_ptr_array_index(tree->pmus, i);

			covered = test_bit(cpu, pmu->cpus.cpus);
		}
		if (!covered) {
			g_string_append_printf(rest, " %s",
					       (char *)g_ptr_array_index(tree->cpus, cpu));
		}
	}
	if (rest->len) {
		error_setg(errp, "no PMU node is for%s, so their interrupt is not known",
			   rest->str);
	}
	return !rest->len;
}

bool tree_read_pmus(Tree *tree, Error **errp)
{
	for (guint i = 0; i < tree->pmus->len; i++) {
		Pmu *pmu = g_ptr_array_index(tree->pmus, i);

		if (!read_interrupts(tree, pmu, errp) || !read_cpus(tree, pmu, errp)) {
			return false;
		}
	}
	g_ptr_array_sort(tree->pmus, compare_pmus);
	return check_alike(tree, errp) && check_affinity(tree, errp) && check_coverage(tree, errp);
}

Pmu *tree_assume_pmu(const Tree *tree, Error **errp)
{
	Pmu *pmu = pmu_new(tree->timer ?: "");

	if (!tree->timer) {
		error_setg(errp, "there is no PMU node, and no node of the architecture's timer "
			   "to see what a PPI looks like here");
	} else if (read_interrupts(tree, pmu, errp)) {
		g_array_set_size(pmu->interrupts, pmu->cells);
		g_array_index(pmu->interrupts, guint32, CELL_KIND) = KIND_PPI;
		g_array_index(pmu->interrupts, guint32, CELL_NUMBER) = USUAL_PPI;
		return pmu;
	}
	pmu_free(pmu);
	return NULL;
}
