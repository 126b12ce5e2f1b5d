// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Preloaded into QEMU: makes KVM lack one thing or do it wrong, in place of kernels that we do not
 * have. SHIM in the environment names it.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/kvm.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
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
/* Added by our series */
#define KVM_ARM_VCPU_PMU_V3_FIXED_COUNTERS_ONLY	5

#define PMCR_EL0	ARM64_SYS_REG(3, 3, 9, 12, 0)
#define PMCR_N_BIT1	(1UL << 12)
/* The capabilities that QEMU knows have lower numbers. */
#define NEW_CAPABILITIES	246

enum request { HAS_ATTR, SET_ATTR, HAS_CAP, HAS_NEW_CAP, GET_REG };

/*
 * The answer to a request about a number: 0 or more, or -errno. For a register, bits are cleared in
 * KVM's answer. The first few requests can be left to KVM, and so can those about vCPU 0, and those
 * before the file exists that the environment variable LATER names.
 */
static const struct rule {
	const char *shim;
	enum request request;
	unsigned long number;
	int answer;
	unsigned long cleared;
	int skipped;
	bool others_only;
	bool later;
} rules[] = {
	{ "no-pmu", HAS_CAP, KVM_CAP_ARM_PMU_V3, .answer = 0 },
	{ "no-set-pmu", HAS_ATTR, KVM_ARM_VCPU_PMU_V3_SET_PMU, .answer = -ENXIO },
	{ "set-pmu-fails", SET_ATTR, KVM_ARM_VCPU_PMU_V3_SET_PMU, .answer = -EBUSY },
	{ "init-fails", SET_ATTR, KVM_ARM_VCPU_PMU_V3_INIT, .answer = -ENODEV },
	{ "second-init-fails", SET_ATTR, KVM_ARM_VCPU_PMU_V3_INIT, .answer = -EIO, .skipped = 1 },
	/* The number means something that leaves the event counters alone. */
	{ "other-attribute-5", HAS_ATTR, KVM_ARM_VCPU_PMU_V3_FIXED_COUNTERS_ONLY, .answer = 0 },
	{ "other-attribute-5", SET_ATTR, KVM_ARM_VCPU_PMU_V3_FIXED_COUNTERS_ONLY, .answer = 0 },
	/* The attribute exists, but cannot be set. */
	{ "attribute-5-fails", HAS_ATTR, KVM_ARM_VCPU_PMU_V3_FIXED_COUNTERS_ONLY, .answer = 0 },
	{ "attribute-5-fails", SET_ATTR, KVM_ARM_VCPU_PMU_V3_FIXED_COUNTERS_ONLY,
	  .answer = -EINVAL },
	/* The mode works where QEMU tries it out, but not in the VM itself. */
	{ "attribute-5-once", SET_ATTR, KVM_ARM_VCPU_PMU_V3_FIXED_COUNTERS_ONLY, .answer = -EBUSY,
	  .skipped = 1 },
	{ "no-attribute-5", HAS_ATTR, KVM_ARM_VCPU_PMU_V3_FIXED_COUNTERS_ONLY, .answer = -ENXIO },
	{ "no-new-capabilities", HAS_NEW_CAP, 0, .answer = 0 },
	/* As before Linux 6.7, when vCPUs are reset on CPUs of different PMUs */
	{ "n-per-vcpu", GET_REG, PMCR_EL0, .cleared = PMCR_N_BIT1, .others_only = true },
	/* As for a guest hypervisor that has lowered MDCR_EL2.HPMN, while its guest runs */
	{ "n-of-el1", GET_REG, PMCR_EL0, .cleared = PMCR_N_BIT1, .later = true },
};

/* Number of the vCPU, or -1 */
static int vcpu_of(int fd)
{
	char path[64], link[64];
	ssize_t length;
	int number;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	length = readlink(path, link, sizeof(link) - 1);
	if (length < 0)
		return -1;
	link[length] = 0;
	return sscanf(link, "anon_inode:kvm-vcpu:%d", &number) == 1 ? number : -1;
}

/* Whether the ioctl is such a request; sets its number */
static bool parse(int fd, unsigned long op, const void *arg, enum request *request,
		  unsigned long *number)
{
	const struct kvm_device_attr *attr = arg;
	const struct kvm_one_reg *reg = arg;

	switch (op) {
	case KVM_CHECK_EXTENSION:
		*number = (unsigned long)arg;
		*request = *number < NEW_CAPABILITIES ? HAS_CAP : HAS_NEW_CAP;
		return true;
	case KVM_GET_ONE_REG:
		*request = GET_REG;
		*number = reg->id;
		return true;
	case KVM_HAS_DEVICE_ATTR:
	case KVM_SET_DEVICE_ATTR:
		*request = op == KVM_HAS_DEVICE_ATTR ? HAS_ATTR : SET_ATTR;
		*number = attr->attr;
		return attr->group == KVM_ARM_VCPU_PMU_V3_CTRL && vcpu_of(fd) >= 0;
	default:
		return false;
	}
}

static const struct rule *find_rule(int fd, unsigned long op, const void *arg)
{
	static int requests[sizeof(rules) / sizeof(*rules)];
	const char *shim = getenv("SHIM");
	const struct rule *rule;
	enum request request;
	unsigned long number;

	if (!shim || !parse(fd, op, arg, &request, &number))
		return NULL;
	for (rule = rules; rule < rules + sizeof(rules) / sizeof(*rules); rule++) {
		if (strcmp(rule->shim, shim) || rule->request != request ||
		    (request != HAS_NEW_CAP && rule->number != number))
			continue;
		if (requests[rule - rules]++ < rule->skipped ||
		    (rule->others_only && vcpu_of(fd) < 1) ||
		    (rule->later && access(getenv("LATER"), F_OK)))
			return NULL;
		return rule;
	}
	return NULL;
}

static int clear_bits(int fd, unsigned long op, struct kvm_one_reg *reg, unsigned long bits)
{
	int ret = syscall(SYS_ioctl, fd, op, reg);

	if (!ret)
		*(uint64_t *)reg->addr &= ~bits;
	return ret;
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
	if (rule->request == GET_REG)
		return clear_bits(fd, op, arg, rule->cleared);
	if (rule->answer >= 0)
		return rule->answer;
	errno = -rule->answer;
	return -1;
}
