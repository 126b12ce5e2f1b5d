/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "check.h"

#define MODE	"kvm-arm.mode="

#ifdef __aarch64__
#include <fcntl.h>
#include <linux/kvm.h>
#include <sched.h>
#include <sys/ioctl.h>

#define DEVICE	"/dev/kvm"

/* Older kernel headers do not have the mode. */
#ifndef KVM_ARM_VCPU_PMU_V3_FIXED_COUNTERS_ONLY
#define KVM_ARM_VCPU_PMU_V3_FIXED_COUNTERS_ONLY	5
#endif

#define PMCR_EL0	ARM64_SYS_REG(3, 3, 9, 12, 0)
#define PMCR_N(pmcr)	((pmcr) >> 11 & 0x1f)

static bool has_extension(int fd, int extension)
{
	return ioctl(fd, KVM_CHECK_EXTENSION, extension) > 0;
}

/* KVM refuses the default size, 40 bits, if the CPU has fewer address bits, as Apple's have. */
static int create_vm(int kvm)
{
	int bits = ioctl(kvm, KVM_CHECK_EXTENSION, KVM_CAP_ARM_VM_IPA_SIZE);

	return ioctl(kvm, KVM_CREATE_VM, bits > 0 ? KVM_VM_TYPE_ARM_IPA_SIZE(bits) : 0);
}

/* A vCPU with a PMU. KVM refuses it with ENODEV on a CPU that has none. */
static int create_vcpu(int vm)
{
	struct kvm_vcpu_init init;
	int vcpu = ioctl(vm, KVM_CREATE_VCPU, 0);
	int error;

	if (vcpu < 0) {
		return -1;
	}
	if (ioctl(vm, KVM_ARM_PREFERRED_TARGET, &init) == 0) {
		init.features[0] |= 1 << KVM_ARM_VCPU_PMU_V3 | 1 << KVM_ARM_VCPU_PSCI_0_2;
		if (ioctl(vcpu, KVM_ARM_VCPU_INIT, &init) == 0) {
			return vcpu;
		}
	}
	error = errno;
	close(vcpu);
	errno = error;
	return -1;
}

static bool run_attr(int vcpu, unsigned long request, int attr)
{
	struct kvm_device_attr argument = { .group = KVM_ARM_VCPU_PMU_V3_CTRL, .attr = attr };

	return ioctl(vcpu, request, &argument) == 0;
}

/*
 * Finds the mode as QEMU does. The attribute's number has been proposed for something else, too, so
 * only its effect is proof. Not every kernel with the mode has the capability, so this does not ask
 * for it.
 */
static bool loses_event_counters(int vcpu)
{
	uint64_t pmcr = 0;
	struct kvm_one_reg reg = { .id = PMCR_EL0, .addr = (uintptr_t)&pmcr };

	return run_attr(vcpu, KVM_HAS_DEVICE_ATTR, KVM_ARM_VCPU_PMU_V3_FIXED_COUNTERS_ONLY) &&
	       run_attr(vcpu, KVM_SET_DEVICE_ATTR, KVM_ARM_VCPU_PMU_V3_FIXED_COUNTERS_ONLY) &&
	       ioctl(vcpu, KVM_GET_ONE_REG, &reg) == 0 && !PMCR_N(pmcr);
}

static void ask_vcpu(Kvm *kvm, int fd)
{
	int vm = create_vm(fd);
	int vcpu = vm < 0 ? -1 : create_vcpu(vm);

	if (vcpu < 0 && errno == ENODEV) {
		kvm->trouble = g_strdup("KVM has a PMU for guests, but not on the CPUs that this "
					"program can run on");
		kvm->advice = "run it, and QEMU, on CPUs with a PMU";
	} else if (vcpu < 0) {
		kvm->trouble = g_strdup_printf("KVM makes no VM: %s", g_strerror(errno));
		kvm->level = LEVEL_PROBLEM;
	} else {
		kvm->set_pmu = run_attr(vcpu, KVM_HAS_DEVICE_ATTR, KVM_ARM_VCPU_PMU_V3_SET_PMU);
		kvm->fixed_counters = loses_event_counters(vcpu);
		close(vcpu);
	}
	if (vm >= 0) {
		close(vm);
	}
}

static void ask_device(Kvm *kvm)
{
	int fd = open(DEVICE, O_RDWR | O_CLOEXEC);

	if (fd < 0) {
		bool denied = errno == EACCES || errno == EPERM;

		kvm->trouble = g_strdup_printf("%s: %s", DEVICE, g_strerror(errno));
		kvm->level = denied ? LEVEL_UNKNOWN : LEVEL_PROBLEM;
		kvm->advice = denied ?
			"run this as root, or as a member of the group that the device belongs to" :
			"boot a kernel with CONFIG_KVM, from firmware that starts it at EL2; "
			"'dmesg | grep kvm' says more";
		return;
	}
	kvm->pmu = has_extension(fd, KVM_CAP_ARM_PMU_V3);
	if (kvm->pmu == YES) {
		ask_vcpu(kvm, fd);
	} else {
		kvm->set_pmu = kvm->fixed_counters = NO;
	}
	close(fd);
}

static int read_event_counters(Error **errp)
{
	int fds[3];
	uint64_t pmcr = 0;
	struct kvm_one_reg reg = { .id = PMCR_EL0, .addr = (uintptr_t)&pmcr };
	int count;

	fds[0] = open(DEVICE, O_RDWR | O_CLOEXEC);
	fds[1] = fds[0] < 0 ? -1 : create_vm(fds[0]);
	fds[2] = fds[1] < 0 ? -1 : create_vcpu(fds[1]);
	count = fds[2] >= 0 && ioctl(fds[2], KVM_GET_ONE_REG, &reg) == 0 ? (int)PMCR_N(pmcr) : -1;
	if (count < 0) {
		error_setg(errp, "%s: %s", DEVICE, g_strerror(errno));
	}
	for (int i = 2; i >= 0; i--) {
		if (fds[i] >= 0) {
			close(fds[i]);
		}
	}
	return count;
}

/* KVM backs the vCPU by a PMU of the CPU on which it is made. */
int kvm_count_event_counters(int cpu, Error **errp)
{
	size_t size = CPU_ALLOC_SIZE(ARM_HOST_MAX_CPUS);
	g_autofree cpu_set_t *before = g_malloc0(size), *only = g_malloc0(size);
	int count;

	CPU_SET_S(cpu, size, only);
	if (sched_getaffinity(0, size, before) || sched_setaffinity(0, size, only)) {
		error_setg(errp, "CPU %d: %s", cpu, g_strerror(errno));
		return -1;
	}
	count = read_event_counters(errp);
	sched_setaffinity(0, size, before);
	return count;
}

#else

static void ask_device(Kvm *kvm)
{
	kvm->trouble = g_strdup("this is no arm64 machine");
	kvm->advice = "run this on the host of the VMs";
}

int kvm_count_event_counters(int cpu, Error **errp)
{
	error_setg(errp, "CPU %d: this is no arm64 machine", cpu);
	return -1;
}

#endif

/* Takes what the user knows about the kernel of a host that is a copy */
static bool parse_features(Kvm *kvm, const char *list, Error **errp)
{
	const struct {
		const char *name;
		Answer *answer;
	} features[] = {
		{ "pmu", &kvm->pmu }, { "set-pmu", &kvm->set_pmu },
		{ FIXED_COUNTERS, &kvm->fixed_counters },
	};
	g_auto(GStrv) words = g_strsplit(list, ",", -1);
	guint known = 0;

	for (size_t i = 0; i < ARRAY_SIZE(features); i++) {
		bool is_there = g_strv_contains((const char *const *)words, features[i].name);

		*features[i].answer = is_there;
		known += is_there;
	}
	if (known == g_strv_length(words) || g_str_equal(list, "none")) {
		return true;
	}
	error_setg(errp, "--kvm '%s': it takes 'none', or some of pmu, set-pmu and " FIXED_COUNTERS,
		   list);
	return false;
}

/* The kernel takes the last of these, and "_" for "-". */
static bool is_protected(const char *root)
{
	g_autofree char *line = read_text(NULL, "%s/proc/cmdline", root);
	g_auto(GStrv) words = line ? g_strsplit(g_strdelimit(line, "_", '-'), " ", -1) : NULL;
	const char *mode = "";

	for (char **word = words; word && *word; word++) {
		if (g_str_has_prefix(*word, MODE)) {
			mode = *word + strlen(MODE);
		}
	}
	return g_str_equal(mode, "protected");
}

bool kvm_ask(Kvm *kvm, const char *root, const char *features, Error **errp)
{
	*kvm = (Kvm){ .pmu = UNKNOWN, .set_pmu = UNKNOWN, .fixed_counters = UNKNOWN,
		      .is_protected = is_protected(root), .level = LEVEL_UNKNOWN };
	if (features) {
		return parse_features(kvm, features, errp);
	}
	if (*root) {
		kvm->trouble = g_strdup_printf("%s has no KVM to ask", root);
		kvm->advice = "tell what its kernel has: --kvm pmu,set-pmu," FIXED_COUNTERS;
	} else {
		ask_device(kvm);
	}
	return true;
}
