/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What target/arm/host-pmu.c uses of QEMU's base library, on GLib, so that the file builds outside
 * of QEMU's tree as it is. QEMU's unit test of that file is built with this, too: it shows that
 * nothing here behaves otherwise.
 */
#pragma once
#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <glib.h>

#define ARRAY_SIZE(array)	G_N_ELEMENTS(array)
