/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <poll.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include "check.h"

/* Bytes. The longest answer is the expansion of a CPU model, some kilobytes. */
#define MAX_MESSAGE	(4 << 20)
/*
 * QMP's messages are flat. Deeper ones are refused: json-glib's parser calls itself for each level.
 */
#define MAX_DEPTH	64

typedef struct SocketMonitor {
	Monitor base;
	int fd;
	/* When the exchange that runs must have ended, on the monotonic clock */
	gint64 deadline;
	/* Text that has come and was not read yet */
	GString *input;
} SocketMonitor;

static bool is_flat(const char *text)
{
	bool in_string = false;
	int depth = 0;

	for (; *text && depth <= MAX_DEPTH; text++) {
		if (in_string && *text == '\\' && text[1]) {
			text++;
		} else if (*text == '"') {
			in_string = !in_string;
		} else if (!in_string) {
			depth += (*text == '[' || *text == '{') - (*text == ']' || *text == '}');
		}
	}
	return depth <= MAX_DEPTH;
}

JsonNode *monitor_parse(const char *text, Error **errp)
{
	JsonNode *message = is_flat(text) ? json_from_string(text, NULL) : NULL;

	if (!message || !JSON_NODE_HOLDS_OBJECT(message)) {
		error_setg(errp, "'%.40s' is no message of QMP", text);
		g_clear_pointer(&message, json_node_unref);
	}
	return message;
}

static void begin_exchange(SocketMonitor *monitor)
{
	monitor->deadline = g_get_monotonic_time() + ANSWER_SECONDS * G_USEC_PER_SEC;
}

/* Waits until something has come. */
static bool receive(SocketMonitor *monitor, Error **errp)
{
	struct pollfd waiting = { .fd = monitor->fd, .events = POLLIN };
	gint64 left = monitor->deadline - g_get_monotonic_time();
	char bytes[4096];
	ssize_t length;

	if (left <= 0 || poll(&waiting, 1, left / 1000 + 1) == 0) {
		error_setg(errp, "no answer in %d s", ANSWER_SECONDS);
		return false;
	}
	length = recv(monitor->fd, bytes, sizeof(bytes), MSG_DONTWAIT);
	if (length < 0 && (errno == EINTR || errno == EAGAIN)) {
		return true;
	}
	if (length <= 0) {
		g_set_error(errp, ERROR_DOMAIN, ERROR_GONE, "it was closed");
		return false;
	}
	g_string_append_len(monitor->input, bytes, length);
	if (monitor->input->len > MAX_MESSAGE) {
		error_setg(errp, "its message is longer than %d bytes", MAX_MESSAGE);
		return false;
	}
	return true;
}

static JsonNode *read_message(SocketMonitor *monitor, Error **errp)
{
	g_autofree char *line = NULL;
	char *end;

	while (!(end = memchr(monitor->input->str, '\n', monitor->input->len))) {
		if (!receive(monitor, errp)) {
			return NULL;
		}
	}
	line = g_strndup(monitor->input->str, end - monitor->input->str);
	g_string_erase(monitor->input, 0, end - monitor->input->str + 1);
	return monitor_parse(g_strchomp(line), errp);
}

static JsonNode *exchange_by_socket(Monitor *base, const char *line, Error **errp)
{
	SocketMonitor *monitor = (SocketMonitor *)base;
	JsonNode *message;

	begin_exchange(monitor);
	for (size_t sent = 0; sent < strlen(line);) {
		ssize_t length = send(monitor->fd, line + sent, strlen(line) - sent, MSG_NOSIGNAL);

		if (length < 0) {
			g_set_error(errp, ERROR_DOMAIN, errno == EAGAIN ? 0 : ERROR_GONE, "%s",
				    g_strerror(errno));
			return NULL;
		}
		sent += length;
	}
	/* Skips events, which may come before the answer. */
	while ((message = read_message(monitor, errp)) &&
	       json_object_has_member(json_node_get_object(message), "event")) {
		json_node_unref(message);
	}
	return message;
}

static void close_socket(Monitor *base)
{
	SocketMonitor *monitor = (SocketMonitor *)base;

	g_string_free(monitor->input, true);
	close(monitor->fd);
	g_free(monitor);
}

Monitor *monitor_open_fd(int fd, Error **errp)
{
	SocketMonitor *monitor = g_new0(SocketMonitor, 1);
	struct timeval limit = { .tv_sec = ANSWER_SECONDS };
	g_autoptr(JsonNode) greeting = NULL;
	g_autoptr(JsonNode) ready = NULL;

	monitor->base = (Monitor){ exchange_by_socket, close_socket, NO_PEER };
	monitor->fd = fd;
	monitor->input = g_string_new(NULL);
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
	begin_exchange(monitor);
	greeting = read_message(monitor, errp);
	ready = greeting ? monitor_run(&monitor->base, "qmp_capabilities", NULL, errp) : NULL;
	if (!ready) {
		close_socket(&monitor->base);
		return NULL;
	}
	return &monitor->base;
}

static int connect_to(const char *path, Error **errp)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	struct timeval limit = { .tv_sec = ANSWER_SECONDS };
	int fd;

	if (g_strlcpy(address.sun_path, path, sizeof(address.sun_path)) >=
	    sizeof(address.sun_path)) {
		error_setg(errp, "a path of a socket has at most %zu bytes",
			   sizeof(address.sun_path) - 1);
		return -1;
	}
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	/* QEMU has few places for clients that wait: connect() blocks when they are taken. */
	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit)) ||
	    connect(fd, (struct sockaddr *)&address, sizeof(address))) {
		error_setg(errp, "%s", errno == EAGAIN ? "other clients are waiting for it" :
			   g_strerror(errno));
		if (fd >= 0) {
			close(fd);
		}
		return -1;
	}
	return fd;
}

Monitor *monitor_open(const char *path, Error **errp)
{
	int fd = connect_to(path, errp);
	struct ucred peer = { };
	socklen_t length = sizeof(peer);
	Monitor *monitor = NULL;

	if (fd >= 0) {
		getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &length);
		monitor = monitor_open_fd(fd, errp);
	}
	if (!monitor) {
		error_prepend(errp, fd < 0 ? "no QMP monitor at %s: " :
			      "no QMP monitor at %s, or one that serves another client: ", path);
		return NULL;
	}
	monitor->peer = peer.pid;
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
		g_set_error(errp, ERROR_DOMAIN, ERROR_REFUSED, "%s: %s", command,
			    json_get_string(json_get_object(object, "error"), "desc") ?:
			    "no answer");
		return NULL;
	}
	return json_object_dup_member(object, "return");
}
