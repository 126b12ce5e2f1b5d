// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Preloaded into QEMU: a KVM that lacks or mistakes one thing, for kernels that we do not have. SHIM in the environment names it.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/kvm.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Newer than the headers of Debian 12 */
#ifndef KVM_ARM_VCPU_PMU_V3_SET_PMU
#define KVM_ARM_VCPU_PMU_V3_SET_PMU	3
#endif
/* Ours */
#define KVM_ARM_VCPU_PMU_V3_FIXED_COUNTERS_ONLY	5
#define KVM_CAP_ARM_PMU_V3_FIXED_COUNTERS_ONLY	252

enum request { HAS_ATTR, SET_ATTR, HAS_CAP };

/* What is answered to a request about a number: 0 or more, or -errno */
static const struct rule {
	const char *shim;
	enum request request;
	unsigned long number;
	int answer;
} rules[] = {
	{ "no-pmu", HAS_CAP, KVM_CAP_ARM_PMU_V3, 0 },
	{ "no-set-pmu", HAS_ATTR, KVM_ARM_VCPU_PMU_V3_SET_PMU, -ENXIO },
	{ "set-pmu-fails", SET_ATTR, KVM_ARM_VCPU_PMU_V3_SET_PMU, -EBUSY },
	{ "init-fails", SET_ATTR, KVM_ARM_VCPU_PMU_V3_INIT, -ENODEV },
	/* The capability, but not the attribute */
	{ "no-attribute-5", HAS_CAP, KVM_CAP_ARM_PMU_V3_FIXED_COUNTERS_ONLY, 1 },
	{ "no-attribute-5", HAS_ATTR, KVM_ARM_VCPU_PMU_V3_FIXED_COUNTERS_ONLY, -ENXIO },
	/* Both numbers mean something that leaves the event counters alone. */
	{ "other-attribute-5", HAS_CAP, KVM_CAP_ARM_PMU_V3_FIXED_COUNTERS_ONLY, 1 },
	{ "other-attribute-5", HAS_ATTR, KVM_ARM_VCPU_PMU_V3_FIXED_COUNTERS_ONLY, 0 },
	{ "other-attribute-5", SET_ATTR, KVM_ARM_VCPU_PMU_V3_FIXED_COUNTERS_ONLY, 0 },
	/* The attribute's number alone means something. */
	{ "attribute-5-alone", HAS_ATTR, KVM_ARM_VCPU_PMU_V3_FIXED_COUNTERS_ONLY, 0 },
	{ "attribute-5-alone", SET_ATTR, KVM_ARM_VCPU_PMU_V3_FIXED_COUNTERS_ONLY, 0 },
};

static bool is_vcpu(int fd)
{
	static const char vcpu[] = "anon_inode:kvm-vcpu";
	char link[sizeof("/proc/self/fd/") + 3 * sizeof(fd)], target[sizeof(vcpu) - 1];

	sprintf(link, "/proc/self/fd/%d", fd);
	return readlink(link, target, sizeof(target)) == sizeof(target) && !memcmp(target, vcpu, sizeof(target));
}

/* Whether the ioctl is such a request; sets its number */
static bool parse(int fd, unsigned long op, const void *arg, enum request *request, unsigned long *number)
{
	const struct kvm_device_attr *attr = arg;

	switch (op) {
	case KVM_CHECK_EXTENSION:
		*request = HAS_CAP;
		*number = (unsigned long)arg;
		return true;
	case KVM_HAS_DEVICE_ATTR:
	case KVM_SET_DEVICE_ATTR:
		*request = op == KVM_HAS_DEVICE_ATTR ? HAS_ATTR : SET_ATTR;
		*number = attr->attr;
		return attr->group == KVM_ARM_VCPU_PMU_V3_CTRL && is_vcpu(fd);
	default:
		return false;
	}
}

static const struct rule *find_rule(int fd, unsigned long op, const void *arg)
{
	const char *shim = getenv("SHIM");
	const struct rule *rule;
	enum request request;
	unsigned long number;

	if (!shim || !parse(fd, op, arg, &request, &number))
		return NULL;
	for (rule = rules; rule < rules + sizeof(rules) / sizeof(*rules); rule++) {
		if (!strcmp(rule->shim, shim) && rule->request == request && rule->number == number)
			return rule;
	}
	return NULL;
}

int ioctl(int fd, unsigned long op, ...)
{
	const struct rule *rule;
	va_list list;
	void *arg;

	va_start(list, op);
	arg = va_arg(list, void *);
	va_end(list);
	rule = find_rule(fd, op, arg);
	if (!rule)
		return syscall(SYS_ioctl, fd, op, arg);
	if (rule->answer >= 0)
		return rule->answer;
	errno = -rule->answer;
	return -1;
}
