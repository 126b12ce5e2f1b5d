// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * PID 1 of the exact host (testbed/exact.py). It runs the command in /command, where each word ends
 * with a zero byte, in /root and without input. When the command has ended it switches the machine
 * off.
 *
 * It writes to the second serial port:
 *  - "ready", or "lacks:" and what this host lacks. Without KVM, or with other PMUs or CPUs than
 *    its device tree has, tests would pass or skip for the wrong reason.
 *  - Then the exit status and the lengths of stdout and stderr, in one line, and the two streams.
 *    Until the command has ended the streams are files in memory: a serial port interrupts, and the
 *    interrupts would be counted.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#define PORT		"/dev/ttyAMA1"
#define SYSFS_PMUS	"/sys/bus/event_source/devices"
#define TREE		"/proc/device-tree"
#define MAX_COMMAND	65536
#define MAX_WORDS	1024

/* A shell's exit status for a command that was not found, and for one that cannot be run */
#define STATUS_MISSING	127
#define STATUS_NOT_RUN	126

static const struct { const char *type, *path; } file_systems[] = {
	{ "proc", "/proc" }, { "sysfs", "/sys" }, { "devtmpfs", "/dev" }, { "tmpfs", "/tmp" },
	{ "debugfs", "/sys/kernel/debug" },
};

/* Prints to the console. The kernel then panics, as it does not go on without its PID 1 */
_Noreturn static void die(const char *what)
{
	perror(what);
	exit(1);
}

static int must(int result, const char *what)
{
	if (result < 0)
		die(what);
	return result;
}

_Noreturn static void power_off(void)
{
	/* Lets the kernel print the rest. The emulator skips the time while all CPUs wait. */
	sleep(1);
	reboot(RB_POWER_OFF);
	die("reboot");
}

static void mount_all(void)
{
	for (size_t i = 0; i < sizeof(file_systems) / sizeof(*file_systems); i++) {
		mkdir(file_systems[i].path, 0755);
		must(mount(file_systems[i].type, file_systems[i].path, file_systems[i].type, 0,
			   NULL), file_systems[i].path);
	}
}

static int open_port(void)
{
	int fd = must(open(PORT, O_RDWR | O_NOCTTY | O_CLOEXEC), PORT);
	struct termios settings;

	must(tcgetattr(fd, &settings), PORT);
	cfmakeraw(&settings);
	must(tcsetattr(fd, TCSANOW, &settings), PORT);
	return fd;
}

/*
 * Counts the entries of a folder that begin with PREFIX and have FILE in them; 0 without such a
 * folder
 */
static int count_entries(const char *folder, const char *prefix, const char *file)
{
	DIR *directory = opendir(folder);
	struct dirent *entry;
	char path[PATH_MAX];
	int count = 0;

	while (directory && (entry = readdir(directory))) {
		snprintf(path, sizeof(path), "%s/%s/%s", folder, entry->d_name, file);
		count += entry->d_name[0] != '.' &&
			!strncmp(entry->d_name, prefix, strlen(prefix)) && !access(path, F_OK);
	}
	if (directory)
		closedir(directory);
	return count;
}

static int count_cpus(void)
{
	cpu_set_t set;

	must(sched_getaffinity(0, sizeof(set), &set), "sched_getaffinity");
	return CPU_COUNT(&set);
}

static void add_lack(FILE *report, const char *what, int found, int wanted)
{
	if (found != wanted)
		fprintf(report, "%s%s (%d of %d)", ftell(report) ? "," : "lacks: ", what, found,
			wanted);
}

static void check_host(int port)
{
	char line[256] = "";
	FILE *report = fmemopen(line, sizeof(line), "w");
	bool complete;

	if (!report)
		die("fmemopen");
	if (access("/dev/kvm", F_OK))
		fprintf(report, "lacks: /dev/kvm");
	/* A PMU node with a status is switched off. */
	add_lack(report, "PMUs", count_entries(SYSFS_PMUS, "", "cpus"),
		 count_entries(TREE, "pmu", "compatible") - count_entries(TREE, "pmu", "status"));
	add_lack(report, "CPUs", count_cpus(), count_entries(TREE "/cpus", "cpu@", "compatible"));
	complete = !ftell(report);
	fclose(report);
	dprintf(port, "%s\n", complete ? "ready" : line);
	if (!complete)
		power_off();
}

static char **read_command(void)
{
	static char text[MAX_COMMAND], *words[MAX_WORDS + 1];
	int fd = must(open("/command", O_RDONLY | O_CLOEXEC), "/command"), count = 0;
	ssize_t length = must(read(fd, text, sizeof(text) - 1), "/command");

	close(fd);
	for (char *word = text; word < text + length; word += strlen(word) + 1) {
		if (count == MAX_WORDS)
			die("too many words in /command");
		words[count++] = word;
	}
	return words;
}

_Noreturn static void run_command(char **words, int out, int err)
{
	int in = must(open("/dev/null", O_RDONLY), "/dev/null");

	must(dup2(in, STDIN_FILENO), "stdin");
	must(dup2(out, STDOUT_FILENO), "stdout");
	must(dup2(err, STDERR_FILENO), "stderr");
	close(in);
	setsid();
	must(chdir("/root"), "/root");
	setenv("HOME", "/root", 1);
	setenv("PATH", "/root", 1);
	execvp(words[0], words);
	fprintf(stderr, "%s: %s\n", words[0], strerror(errno));
	_exit(errno == ENOENT ? STATUS_MISSING : STATUS_NOT_RUN);
}

/* Returns the exit status as a shell does. Processes that lost their parent end here, too. */
static int wait_for(pid_t pid)
{
	int status;

	while (must(wait(&status), "wait") != pid)
		;
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

static int open_stream(const char *path)
{
	return must(open(path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0600), path);
}

static void write_all(int fd, const char *text, ssize_t length)
{
	for (ssize_t written; length; text += written, length -= written)
		written = must(write(fd, text, length), PORT);
}

static void copy(int from, int to, long long length)
{
	char buffer[4096];

	must(lseek(from, 0, SEEK_SET), "lseek");
	while (length) {
		size_t most = length < (long long)sizeof(buffer) ? (size_t)length : sizeof(buffer);
		ssize_t got = must(read(from, buffer, most), "reading a stream");

		if (!got)
			die("a stream got shorter");
		write_all(to, buffer, got);
		length -= got;
	}
}

/* The length so far: what a process that is left writes later is not passed on. */
static long long length_of(int fd)
{
	struct stat details;

	must(fstat(fd, &details), "fstat");
	return details.st_size;
}

int main(void)
{
	int port, out, err, status;
	long long out_length, err_length;
	pid_t pid;

	mount_all();
	port = open_port();
	check_host(port);
	out = open_stream("/tmp/stdout");
	err = open_stream("/tmp/stderr");
	pid = must(fork(), "fork");
	if (!pid)
		run_command(read_command(), out, err);
	status = wait_for(pid);
	out_length = length_of(out);
	err_length = length_of(err);
	dprintf(port, "%d %lld %lld\n", status, out_length, err_length);
	copy(out, port, out_length);
	copy(err, port, err_length);
	tcdrain(port);
	power_off();
}
