/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
#include "check.h"

/* The host's files: those in root, in the order in which they were made, and what they hold */
typedef struct Files {
	char *root;
	GPtrArray *names;
	GHashTable *contents;
} Files;

void files_empty(const Files *files);
/* Makes the same files again, the last one first */
void files_turn(const Files *files);

/* overlay.c: asks for an overlay, and judges it */
void check_overlay(const Files *files);
