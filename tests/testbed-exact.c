// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What tests/testbed.t runs in the exact host, where there is no shell: one word says what to do.
 * Static, as no library is there.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/*
 * So many that each value of a byte is among them, and more than a pipe or a serial port takes at
 * once
 */
#define BYTES	200000

static int write_to(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY);

	if (fd < 0 || write(fd, text, strlen(text)) != (ssize_t)strlen(text)) {
		perror(path);
		return 1;
	}
	close(fd);
	return 0;
}

/* All bytes to stdout, a line to stderr, and an end of stdin at once */
static int do_streams(int count, char **words)
{
	for (int i = 0; i < BYTES; i++)
		putchar(i);
	fprintf(stderr, "error\n");
	return getchar() == EOF ? 7 : 1;
}

static int do_arguments(int count, char **words)
{
	for (int i = 0; i < count; i++)
		fwrite(words[i], 1, strlen(words[i]) + 1, stdout);
	return 0;
}

static int do_modes(int count, char **words)
{
	struct stat details;

	for (int i = 0; i < count; i++) {
		if (stat(words[i], &details)) {
			perror(words[i]);
			return 1;
		}
		printf("%o %u %lld %s\n", details.st_mode, details.st_uid,
		       (long long)details.st_size, words[i]);
	}
	return 0;
}

static int do_signal(int count, char **words)
{
	raise(SIGTERM);
	return 0;
}

static int do_crash(int count, char **words)
{
	return write_to("/proc/sysrq-trigger", "c");
}

static int do_report(int count, char **words)
{
	printf("output\n");
	return write_to("/dev/kmsg", "BUG: not one");
}

static int do_loop(int count, char **words)
{
	while (count >= 0)
		asm volatile("");
	return 0;
}

static const struct { const char *name; int (*run)(int count, char **words); } tasks[] = {
	{ "streams", do_streams }, { "arguments", do_arguments }, { "modes", do_modes },
	{ "signal", do_signal },
	{ "crash", do_crash }, { "report", do_report }, { "loop", do_loop },
};

int main(int argc, char **argv)
{
	for (size_t i = 0; argc > 1 && i < sizeof(tasks) / sizeof(*tasks); i++)
		if (!strcmp(tasks[i].name, argv[1]))
			return tasks[i].run(argc - 2, argv + 2);
	fprintf(stderr, "unknown task\n");
	return 2;
}
