// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Preloaded: vCPUs that are created on CPU 2 or above have one event counter less than those on
 * CPUs 0 and 1, as if their cores had.
 */
#define _GNU_SOURCE
#include <linux/kvm.h>
#include <sched.h>
#include <stdarg.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>

#define PMCR_EL0	ARM64_SYS_REG(3, 3, 9, 12, 0)
#define ONE_COUNTER	(1 << 11)

int ioctl(int fd, unsigned long request, ...)
{
	const struct kvm_one_reg *reg;
	va_list arguments;
	void *argument;
	int result;

	va_start(arguments, request);
	argument = va_arg(arguments, void *);
	va_end(arguments);
	result = syscall(SYS_ioctl, fd, request, argument);
	reg = argument;
	if (request == KVM_GET_ONE_REG && !result && reg->id == PMCR_EL0 && sched_getcpu() >= 2)
		*(uint64_t *)(uintptr_t)reg->addr -= ONE_COUNTER;
	return result;
}
