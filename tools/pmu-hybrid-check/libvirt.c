/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The monitor of a domain. libvirt's libraries are only loaded when they are needed, so that hosts
 * without them can have this tool; the functions below have been part of its ABI since 0.9.
 */
#include <dlfcn.h>
#include "check.h"

#define LIBVIRT		"libvirt.so.0"
#define LIBVIRT_QEMU	"libvirt-qemu.so.0"

static struct {
	void *(*open)(const char *uri);
	int (*close)(void *connection);
	void *(*lookup)(void *connection, const char *name);
	int (*free_domain)(void *domain);
	int (*is_active)(void *domain);
	const char *(*last_error)(void);
	void (*set_error_func)(void *data, void (*handler)(void *data, void *error));
	int (*command)(void *domain, const char *command, char **result, unsigned int flags);
} api;

typedef struct DomainMonitor {
	Monitor base;
	void *connection;
	void *domain;
} DomainMonitor;

static bool load(Error **errp)
{
	const struct {
		const char *library;
		const char *name;
		void **function;
	} symbols[] = {
		{ LIBVIRT, "virConnectOpen", (void **)&api.open },
		{ LIBVIRT, "virConnectClose", (void **)&api.close },
		{ LIBVIRT, "virDomainLookupByName", (void **)&api.lookup },
		{ LIBVIRT, "virDomainFree", (void **)&api.free_domain },
		{ LIBVIRT, "virDomainIsActive", (void **)&api.is_active },
		{ LIBVIRT, "virGetLastErrorMessage", (void **)&api.last_error },
		{ LIBVIRT, "virSetErrorFunc", (void **)&api.set_error_func },
		{ LIBVIRT_QEMU, "virDomainQemuMonitorCommand", (void **)&api.command },
	};

	for (size_t i = 0; i < ARRAY_SIZE(symbols); i++) {
		void *library = dlopen(symbols[i].library, RTLD_NOW);

		*symbols[i].function = library ? dlsym(library, symbols[i].name) : NULL;
		if (!*symbols[i].function) {
			error_setg(errp, "libvirt is needed for --domain: %s", dlerror());
			return false;
		}
	}
	return true;
}

static void close_domain(Monitor *base)
{
	DomainMonitor *monitor = (DomainMonitor *)base;

	if (monitor->domain) {
		api.free_domain(monitor->domain);
	}
	if (monitor->connection) {
		api.close(monitor->connection);
	}
	g_free(monitor);
}

static JsonNode *exchange_by_libvirt(Monitor *base, const char *line, Error **errp)
{
	void *domain = ((DomainMonitor *)base)->domain;
	char *answer = NULL;
	JsonNode *message = NULL;

	if (api.command(domain, line, &answer, 0) < 0) {
		g_autofree char *reason = g_strdup(api.last_error());

		g_set_error(errp, ERROR_DOMAIN, api.is_active(domain) ? 0 : ERROR_GONE,
			    "libvirt: %s", reason);
	} else {
		message = monitor_parse(answer, errp);
	}
	/* libvirt has allocated it by malloc() */
	free(answer);
	return message;
}

static void be_silent(G_GNUC_UNUSED void *data, G_GNUC_UNUSED void *error)
{
	/* By default libvirt prints errors, which are in our own messages already. */
}

Monitor *monitor_open_domain(const char *uri, const char *domain, Error **errp)
{
	DomainMonitor *monitor;

	if (!load(errp)) {
		return NULL;
	}
	api.set_error_func(NULL, be_silent);
	monitor = g_new0(DomainMonitor, 1);
	monitor->base = (Monitor){ exchange_by_libvirt, close_domain, NO_PEER };
	monitor->connection = api.open(uri);
	monitor->domain = monitor->connection ? api.lookup(monitor->connection, domain) : NULL;
	if (!monitor->domain) {
		error_setg(errp, "libvirt: %s", api.last_error());
		close_domain(&monitor->base);
		return NULL;
	}
	return &monitor->base;
}
