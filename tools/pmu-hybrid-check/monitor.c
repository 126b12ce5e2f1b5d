/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <gio/gio.h>
#include <gio/gunixsocketaddress.h>
#include "check.h"

/* Seconds. Also of a QEMU that has to start first; another client may keep a monitor busy for ever. */
#define TIMEOUT	30

typedef struct SocketMonitor {
	Monitor base;
	GSocketConnection *connection;
	GDataInputStream *input;
} SocketMonitor;

JsonNode *monitor_parse(const char *text, Error **errp)
{
	JsonNode *message = json_from_string(text, NULL);

	if (!message || !JSON_NODE_HOLDS_OBJECT(message)) {
		error_setg(errp, "'%.40s' is no message of QMP", text);
		g_clear_pointer(&message, json_node_unref);
	}
	return message;
}

static JsonNode *read_message(SocketMonitor *monitor, Error **errp)
{
	g_autofree char *line = g_data_input_stream_read_line(monitor->input, NULL, NULL, errp);

	if (!line) {
		if (!*errp) {
			error_setg(errp, "it was closed");
		}
		return NULL;
	}
	return monitor_parse(line, errp);
}

static JsonNode *exchange_by_socket(Monitor *base, const char *line, Error **errp)
{
	SocketMonitor *monitor = (SocketMonitor *)base;
	GOutputStream *output = g_io_stream_get_output_stream(G_IO_STREAM(monitor->connection));
	JsonNode *message;

	if (!g_output_stream_write_all(output, line, strlen(line), NULL, NULL, errp)) {
		return NULL;
	}
	/* Events come in between. */
	while ((message = read_message(monitor, errp)) && json_object_has_member(json_node_get_object(message), "event")) {
		json_node_unref(message);
	}
	return message;
}

static void close_socket(Monitor *base)
{
	SocketMonitor *monitor = (SocketMonitor *)base;

	g_object_unref(monitor->input);
	g_object_unref(monitor->connection);
	g_free(monitor);
}

/* Takes the connection. */
static Monitor *open_connection(GSocketConnection *connection, Error **errp)
{
	SocketMonitor *monitor = g_new0(SocketMonitor, 1);
	g_autoptr(JsonNode) greeting = NULL;
	g_autoptr(JsonNode) ready = NULL;

	monitor->base = (Monitor){ exchange_by_socket, close_socket };
	monitor->connection = connection;
	monitor->input = g_data_input_stream_new(g_io_stream_get_input_stream(G_IO_STREAM(connection)));
	g_socket_set_timeout(g_socket_connection_get_socket(connection), TIMEOUT);
	greeting = read_message(monitor, errp);
	ready = greeting ? monitor_run(&monitor->base, "qmp_capabilities", NULL, errp) : NULL;
	if (!ready) {
		close_socket(&monitor->base);
		return NULL;
	}
	return &monitor->base;
}

Monitor *monitor_open_fd(int fd, Error **errp)
{
	g_autoptr(GSocket) socket = g_socket_new_from_fd(fd, errp);

	return socket ? open_connection(g_socket_connection_factory_create_connection(socket), errp) : NULL;
}

Monitor *monitor_open(const char *path, Error **errp)
{
	g_autoptr(GSocketClient) client = g_socket_client_new();
	g_autoptr(GSocketAddress) address = g_unix_socket_address_new(path);
	GSocketConnection *connection = g_socket_client_connect(client, G_SOCKET_CONNECTABLE(address), NULL, errp);
	Monitor *monitor = connection ? open_connection(connection, errp) : NULL;

	if (!monitor) {
		error_prepend(errp, "no QMP monitor at %s: ", path);
	}
	return monitor;
}

JsonNode *monitor_run(Monitor *monitor, const char *command, JsonObject *arguments, Error **errp)
{
	g_autoptr(JsonNode) request = json_node_new(JSON_NODE_OBJECT);
	g_autoptr(JsonNode) answer = NULL;
	g_autofree char *text = NULL;
	g_autofree char *line = NULL;
	JsonObject *object = json_object_new();

	json_object_set_string_member(object, "execute", command);
	if (arguments) {
		json_object_set_object_member(object, "arguments", arguments);
	}
	json_node_take_object(request, object);
	text = json_to_string(request, false);
	line = g_strconcat(text, "\n", NULL);
	answer = monitor->exchange(monitor, line, errp);
	if (!answer) {
		return NULL;
	}
	object = json_node_get_object(answer);
	if (!json_object_has_member(object, "return")) {
		error_setg(errp, "%s: %s", command, json_get_string(json_get_object(object, "error"), "desc") ?: "no answer");
		return NULL;
	}
	return json_object_dup_member(object, "return");
}
