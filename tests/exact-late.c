// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Preloaded into the emulator: delays its two threads where it matters which of them is first, as a
 * busy build machine may do. The CPUs' thread is delayed at some of the times when it leaves a CPU:
 * the CPU may be asleep, and its last instructions are not added to the clock yet. The main loop is
 * delayed after each poll.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define CPUS_ONE_IN	4
#define LONGEST_NS	200000

typedef int ppoll_fn(struct pollfd *fds, nfds_t count, const struct timespec *timeout,
		     const sigset_t *mask);
typedef void jump_fn(sigjmp_buf environment, int value);

static int is_main_thread(void)
{
	return syscall(SYS_gettid) == getpid();
}

static void delay(unsigned int *random_state)
{
	struct timespec time = { .tv_nsec = rand_r(random_state) % LONGEST_NS };

	nanosleep(&time, NULL);
}

int ppoll(struct pollfd *fds, nfds_t count, const struct timespec *timeout, const sigset_t *mask)
{
	static unsigned int random_state = 1;
	ppoll_fn *next = (ppoll_fn *)dlsym(RTLD_NEXT, "ppoll");
	int ready = next(fds, count, timeout, mask);

	if (is_main_thread())
		delay(&random_state);
	return ready;
}

/* siglongjmp() of programs that are built with _FORTIFY_SOURCE, as Debian's are */
void __longjmp_chk(sigjmp_buf environment, int value)
{
	static unsigned int random_state = 1;
	jump_fn *next = (jump_fn *)dlsym(RTLD_NEXT, "__longjmp_chk");

	if (!is_main_thread() && !(rand_r(&random_state) % CPUS_ONE_IN))
		delay(&random_state);
	next(environment, value);
	abort();
}
