/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
#include "check.h"

/*
 * Cells of a GIC's interrupt: the kind, its number, flags, and in GICv3's the partition, 0 for none
 */
enum { CELL_KIND, CELL_NUMBER, CELL_FLAGS, CELL_PARTITION, GIC_MIN_CELLS = 3, GIC_MAX_CELLS = 4 };
enum { KIND_SPI = 0, KIND_PPI = 1, KIND_EPPI = 3 };
/* The PMU's overflow interrupt by Arm's Base System Architecture: INTID 23 */
#define USUAL_PPI	7

/* Paths begin below the tree's root, which is "". */
typedef struct Tree {
	char *folder;
	/* phandle -> path, and path -> label */
	GHashTable *paths;
	GHashTable *labels;
	/* The index in here is a CPU's number; the order is that of their hardware ids */
	GPtrArray *cpus;
	GPtrArray *pmus;
	char *apple;
	char *timer;
} Tree;

typedef struct Pmu {
	char *path;
	ArmHostCPUSet cpus;
	/* Cells of one interrupt */
	guint cells;
	guint32 controller;
	GArray *interrupts;
	/* CPUs of the interrupts in their order, for SPIs */
	GArray *affinity;
	/* -1 if unknown */
	int counters;
} Pmu;

void tree_read(Tree *tree, const char *root);
void tree_free(Tree *tree);
/*
 * Reads interrupts and CPUs of the PMU nodes, and sorts the nodes by their CPUs; false if they do
 * not fit into one node
 */
bool tree_read_pmus(Tree *tree, Error **errp);
/*
 * Makes up a PMU for a tree without a PMU node: its interrupt looks like the architecture's
 * timer's, which are PPIs, too
 */
Pmu *tree_assume_pmu(const Tree *tree, Error **errp);
/* The controller of a node's interrupts, which is named there or by the nearest node above */
guint32 tree_find_controller(const Tree *tree, const char *node);
/* The first string of a property of a node */
char *tree_read_string(const Tree *tree, const char *node, const char *name);

Pmu *pmu_new(const char *path);
void pmu_free(Pmu *pmu);
bool pmu_has_ppi(const Pmu *pmu);

static inline guint32 cell_at(const GArray *cells, guint index)
{
	return g_array_index(cells, guint32, index);
}
