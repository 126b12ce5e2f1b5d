/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
#include "qemu/osdep.h"

/* Without end, the whole text has to be the number. */
static inline int qemu_strtoui(const char *text, const char **end, unsigned int base,
			       unsigned int *value)
{
	char *stop;
	guint64 wide;

	errno = 0;
	wide = g_ascii_strtoull(text, &stop, base);
	if (stop == text || (!end && *stop)) {
		return -EINVAL;
	}
	if (end) {
		*end = stop;
	}
	if (errno || wide > UINT_MAX) {
		return -ERANGE;
	}
	*value = wide;
	return 0;
}
