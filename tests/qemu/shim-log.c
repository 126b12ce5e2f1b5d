// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Preloaded into QEMU: writes its ioctls to the file that SHIM_LOG names. A line has the thread,
 * the kind of file, the request, what is known of the argument, and the result. strace does not
 * look into KVM's arguments, and takes half a minute for each start of a VM on an emulated host.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/kvm.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

static int describe_reg(char *text, size_t size, unsigned long op, const struct kvm_one_reg *reg)
{
	size_t bytes = 1 << ((reg->id & KVM_REG_SIZE_MASK) >> KVM_REG_SIZE_SHIFT);
	uint64_t value = 0;

	if (op == KVM_GET_ONE_REG || bytes > sizeof(value))
		return snprintf(text, size, "reg %" PRIx64, (uint64_t)reg->id);
	memcpy(&value, (const void *)(uintptr_t)reg->addr, bytes);
	return snprintf(text, size, "reg %" PRIx64 " := %" PRIx64, (uint64_t)reg->id, value);
}

static int describe(char *text, size_t size, unsigned long op, const void *arg)
{
	const struct kvm_userspace_memory_region *region = arg;
	const struct kvm_device_attr *attr = arg;
	const struct kvm_vcpu_init *init = arg;
	const struct kvm_enable_cap *cap = arg;

	switch (op) {
	case KVM_GET_ONE_REG:
	case KVM_SET_ONE_REG:
		return describe_reg(text, size, op, arg);
	case KVM_HAS_DEVICE_ATTR:
	case KVM_SET_DEVICE_ATTR:
	case KVM_GET_DEVICE_ATTR:
		return snprintf(text, size, "group %u attribute %" PRIx64, attr->group,
				(uint64_t)attr->attr);
	case KVM_CHECK_EXTENSION:
	case KVM_CREATE_VCPU:
		return snprintf(text, size, "%lu", (unsigned long)arg);
	case KVM_ENABLE_CAP:
		return snprintf(text, size, "%u", cap->cap);
	case KVM_ARM_VCPU_INIT:
		return snprintf(text, size, "target %x features %x", init->target,
				init->features[0]);
	case KVM_SET_USER_MEMORY_REGION:
		return snprintf(text, size, "slot %u at %" PRIx64 " size %" PRIx64 " flags %x",
				region->slot,
				(uint64_t)region->guest_phys_addr, (uint64_t)region->memory_size,
				region->flags);
	default:
		return snprintf(text, size, "-");
	}
}

static void write_line(int fd, unsigned long op, const void *arg, long result)
{
	char link[sizeof("/proc/self/fd/") + 3 * sizeof(fd)], kind[64] = "", what[128], line[256];
	int log = open(getenv("SHIM_LOG"), O_WRONLY | O_APPEND | O_CLOEXEC);

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	if (readlink(link, kind, sizeof(kind) - 1) < 0 || log < 0)
		abort();
	describe(what, sizeof(what), op, arg);
	snprintf(line, sizeof(line), "%d %s %lx %s = %ld\n", gettid(), kind, op, what, result);
	if (write(log, line, strlen(line)) < 0)
		abort();
	close(log);
}

int ioctl(int fd, unsigned long op, ...)
{
	static _Thread_local int running;
	va_list list;
	void *arg;
	long result;
	int error;

	va_start(list, op);
	arg = va_arg(list, void *);
	va_end(list);
	/*
	 * Log it before it blocks, and once for each thread: how often it is called depends on the
	 * timing.
	 */
	if (op == KVM_RUN && !running++)
		write_line(fd, op, arg, 0);
	result = syscall(SYS_ioctl, fd, op, arg);
	error = errno;
	/* The number of a new file differs from run to run, so it is logged as 0. */
	if (op != KVM_RUN)
		write_line(fd, op, arg, result > 2 &&
			   (op == KVM_CREATE_VM || op == KVM_CREATE_VCPU) ? 0 : result);
	errno = error;
	return result;
}
