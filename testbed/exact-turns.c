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
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/*
 * The main loop ends the emulator after a reset or a panic, and one CPU may never sleep then. So
 * the main loop no longer waits when the CPUs' thread has used this much CPU time meanwhile.
 */
#define PATIENCE_SECONDS	30

typedef int cond_fn(pthread_cond_t *cond);
typedef int cond_wait_fn(pthread_cond_t *cond, pthread_mutex_t *mutex);
typedef int mutex_fn(pthread_mutex_t *mutex);
typedef int ppoll_fn(struct pollfd *fds, nfds_t count, const struct timespec *timeout,
		     const sigset_t *mask);

/* What the CPUs' thread waits for; nobody else waits for it */
static _Atomic(pthread_cond_t *) cpus_cond;
/* A futex: there is no such thread before the machine is made */
static atomic_int cpus_wait = 1;
/* That thread's CPU time */
static clockid_t cpus_clock;
/* What that thread holds while it runs no guest code: QEMU's "big lock" (BQL) */
static _Atomic(pthread_mutex_t *) big_lock;
/* Only for the main thread. 0 is right at first: the CPUs' thread, which names it, holds it */
static int main_holds_lock;

/* Asks the kernel once for each thread: each change of the big lock asks this */
static int is_main_thread(void)
{
	static _Thread_local int is_main = -1;

	if (is_main < 0)
		is_main = syscall(SYS_gettid) == getpid();
	return is_main;
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
	if (!known && pthread_getcpuclockid(pthread_self(), &cpus_clock))
		abort();
	atomic_store(&big_lock, mutex);
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

static int change_lock(pthread_mutex_t *mutex, mutex_fn *change, int held)
{
	int error = change(mutex);

	if (mutex == atomic_load(&big_lock) && is_main_thread() && !error)
		main_holds_lock = held;
	return error;
}

int pthread_mutex_lock(pthread_mutex_t *mutex)
{
	static mutex_fn *next;

	if (!next)
		next = next_symbol("pthread_mutex_lock");
	return change_lock(mutex, next, 1);
}

int pthread_mutex_unlock(pthread_mutex_t *mutex)
{
	static mutex_fn *next;

	if (!next)
		next = next_symbol("pthread_mutex_unlock");
	return change_lock(mutex, next, 0);
}

static time_t cpus_seconds(void)
{
	struct timespec now;

	if (clock_gettime(cpus_clock, &now))
		abort();
	return now.tv_sec;
}

/* A signal ends the wait: its handler may have asked the main loop to end the emulator */
static void wait_for_cpus(void)
{
	static const struct timespec pause = { .tv_sec = 1 };
	time_t end = 0;

	while (!atomic_load(&cpus_wait)) {
		if (!end)
			end = cpus_seconds() + PATIENCE_SECONDS;
		if (!futex(FUTEX_WAIT, 0, &pause) || errno == EAGAIN)
			continue;
		if (errno == EINTR)
			return;
		if (cpus_seconds() >= end) {
			dprintf(STDERR_FILENO,
				"exact-turns: the main loop goes on while a CPU runs\n");
			return;
		}
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
	/* It holds the lock here as the machine ends; the CPUs' thread needs it to begin to wait */
	if (is_main_thread() && !main_holds_lock)
		wait_for_cpus();
	errno = saved;
	return ready;
}
