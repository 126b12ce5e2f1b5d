// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Preloaded into the emulator of the exact host: its main loop runs only while all emulated CPUs
 * sleep.
 *
 * With -icount one thread of the emulator runs all CPUs, and the main loop moves the clock on when
 * all of them sleep (icount_start_warp_timer() in accel/tcg/icount-common.c of QEMU). But each
 * timer of the clock wakes the main loop, too. If it comes after the last CPU was marked as asleep
 * and before the CPUs' thread adds that CPU's instructions to the clock, it moves the clock too
 * far. So the result would depend on the build machine's scheduler.
 *
 * Here the main loop returns from ppoll() only while the CPUs' thread waits.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <linux/futex.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/*
 * The main loop ends the emulator after a reset or a panic, and one CPU may never sleep then. So
 * the main loop waits no longer than this. While a CPU runs, it does nothing else to the machine.
 */
#define PATIENCE_SECONDS	30

typedef int cond_fn(pthread_cond_t *cond);
typedef int cond_wait_fn(pthread_cond_t *cond, pthread_mutex_t *mutex);
typedef int ppoll_fn(struct pollfd *fds, nfds_t count, const struct timespec *timeout,
		     const sigset_t *mask);

/* What the CPUs' thread waits for; nobody else waits for it */
static _Atomic(pthread_cond_t *) cpus_cond;
/* A futex: there is no such thread before the machine is made */
static atomic_int cpus_wait = 1;

static int is_main_thread(void)
{
	return syscall(SYS_gettid) == getpid();
}

static long futex(int operation, int value, const struct timespec *timeout)
{
	return syscall(SYS_futex, &cpus_wait, operation | FUTEX_PRIVATE_FLAG, value, timeout, NULL,
		       0);
}

static void *next_symbol(const char *name)
{
	void *symbol = dlsym(RTLD_NEXT, name);

	if (!symbol)
		abort();
	return symbol;
}

/*
 * The emulator's other threads wait by other functions: the CPUs' thread is the only one that comes
 * here, besides the main thread, which waits for answers of it.
 */
int pthread_cond_wait(pthread_cond_t *cond, pthread_mutex_t *mutex)
{
	static cond_wait_fn *next;
	pthread_cond_t *known = NULL;
	int error;

	if (!next)
		next = next_symbol("pthread_cond_wait");
	if (is_main_thread())
		return next(cond, mutex);
	if (!atomic_compare_exchange_strong(&cpus_cond, &known, cond) && known != cond)
		abort();
	/* The main loop takes the mutex next, so it goes no further before the wait has begun */
	atomic_store(&cpus_wait, 1);
	futex(FUTEX_WAKE, 1, NULL);
	error = next(cond, mutex);
	atomic_store(&cpus_wait, 0);
	return error;
}

/* The emulator wakes that thread by nothing else. */
int pthread_cond_broadcast(pthread_cond_t *cond)
{
	static cond_fn *next;

	if (!next)
		next = next_symbol("pthread_cond_broadcast");
	if (cond == atomic_load(&cpus_cond))
		atomic_store(&cpus_wait, 0);
	return next(cond);
}

/* A signal ends the wait: its handler may have asked the main loop to end the emulator */
static void wait_for_cpus(void)
{
	const struct timespec patience = { .tv_sec = PATIENCE_SECONDS };

	while (!atomic_load(&cpus_wait)) {
		if (futex(FUTEX_WAIT, 0, &patience) && (errno == ETIMEDOUT || errno == EINTR))
			return;
	}
}

int ppoll(struct pollfd *fds, nfds_t count, const struct timespec *timeout, const sigset_t *mask)
{
	static ppoll_fn *next;
	int ready, saved;

	if (!next)
		next = next_symbol("ppoll");
	ready = next(fds, count, timeout, mask);
	saved = errno;
	if (is_main_thread())
		wait_for_cpus();
	errno = saved;
	return ready;
}
