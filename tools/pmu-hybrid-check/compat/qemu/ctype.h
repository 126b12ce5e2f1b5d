/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
#include <glib.h>

#define qemu_isdigit(c)	g_ascii_isdigit(c)
