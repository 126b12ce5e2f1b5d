/* SPDX-License-Identifier: GPL-2.0-or-later */
/* QEMU's errors are GLib's errors here: the same rules, other names. */
#pragma once
#include <glib.h>

typedef GError Error;

#define ERROR_DOMAIN			g_quark_from_static_string("pmu-hybrid")
#define error_setg(errp, ...)		g_set_error(errp, ERROR_DOMAIN, 0, __VA_ARGS__)
#define error_prepend(errp, ...)	g_prefix_error(errp, __VA_ARGS__)
#define error_propagate(to, error)	g_propagate_error(to, error)
#define error_get_pretty(error)		((error)->message)
#define error_free(error)		g_error_free(error)
/* In QEMU callers may pass NULL; nobody does here. */
#define ERRP_GUARD()			g_assert(errp)
/* Only tests use it. Here it drops the error; they fail as they get no result. */
#define error_abort			((Error *){ NULL })
