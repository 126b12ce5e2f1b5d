/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The parts of QEMU's base library that target/arm/host-pmu.c uses, on GLib: so that file builds
 * unchanged outside of QEMU's tree. QEMU's unit test of that file is built with this, too, and
 * shows that nothing here behaves differently.
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
