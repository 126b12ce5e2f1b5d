// SPDX-License-Identifier: GPL-2.0-or-later
#define _GNU_SOURCE
#include "vm.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/perf_event.h>
#include <sched.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "guest.h"

#define SYSFS_PMUS	"/sys/bus/event_source/devices"
/* Nanoseconds in which the CPU that the thread came from finishes the work of the move */
#define SETTLE		200000
/* Nanoseconds between ticks, by CONFIG_HZ of testbed/host.config; near one other CPUs do work */
#define TICK		4000000
#define TICK_MARGIN	500000

void die(const char *format, ...)
{
	int error = errno;
	va_list arguments;

	printf("Bail out! ");
	va_start(arguments, format);
	vprintf(format, arguments);
	va_end(arguments);
	printf(" (%s)\n", strerror(error));
	exit(2);
}

static int must(int result, const char *what)
{
	if (result < 0)
		die("%s failed", what);
	return result;
}

static int status_of(int result)
{
	return result < 0 ? -errno : 0;
}

int kvm_fd(void)
{
	static int fd = -1;

	if (fd < 0)
		fd = must(open("/dev/kvm", O_RDWR | O_CLOEXEC), "opening /dev/kvm");
	return fd;
}

int capability(int fd, int number)
{
	return ioctl(fd, KVM_CHECK_EXTENSION, number);
}

static void *map(size_t size, int flags, int fd)
{
	void *address = mmap(NULL, size, PROT_READ | PROT_WRITE, flags, fd, 0);

	if (address == MAP_FAILED)
		die("mmap of %zu bytes failed", size);
	return address;
}

static size_t run_size(void)
{
	return must(ioctl(kvm_fd(), KVM_GET_VCPU_MMAP_SIZE, 0), "KVM_GET_VCPU_MMAP_SIZE");
}

void vm_create(struct vm *vm)
{
	must(vm_try_create(vm, 0), "KVM_CREATE_VM");
}

int vm_try_create(struct vm *vm, unsigned long type)
{
	struct kvm_userspace_memory_region ram = { .guest_phys_addr = GUEST_RAM,
						   .memory_size = GUEST_RAM_SIZE };

	vm->fd = ioctl(kvm_fd(), KVM_CREATE_VM, type);
	if (vm->fd < 0)
		return -errno;
	vm->gic = -1;
	for (int i = 0; i < MAX_VCPUS; i++)
		vm->vcpu[i] = -1;
	vm->ram = map(GUEST_RAM_SIZE, MAP_SHARED | MAP_ANONYMOUS, -1);
	ram.userspace_addr = (uintptr_t)vm->ram;
	must(ioctl(vm->fd, KVM_SET_USER_MEMORY_REGION, &ram), "KVM_SET_USER_MEMORY_REGION");
	return 0;
}

void vm_destroy(struct vm *vm)
{
	for (int i = 0; i < MAX_VCPUS; i++) {
		if (vm->vcpu[i] < 0)
			continue;
		munmap(vm->run[i], run_size());
		close(vm->vcpu[i]);
	}
	if (vm->gic >= 0)
		close(vm->gic);
	close(vm->fd);
	munmap(vm->ram, GUEST_RAM_SIZE);
}

void vcpu_create(struct vm *vm, int index)
{
	vm->vcpu[index] = must(ioctl(vm->fd, KVM_CREATE_VCPU, index), "KVM_CREATE_VCPU");
	vm->run[index] = map(run_size(), MAP_SHARED, vm->vcpu[index]);
}

int vcpu_init(struct vm *vm, int index, unsigned int features)
{
	struct kvm_vcpu_init init;

	must(ioctl(vm->fd, KVM_ARM_PREFERRED_TARGET, &init), "KVM_ARM_PREFERRED_TARGET");
	init.features[0] = features | 1 << KVM_ARM_VCPU_PSCI_0_2;
	return status_of(ioctl(vm->vcpu[index], KVM_ARM_VCPU_INIT, &init));
}

int vm_create_vcpu(struct vm *vm, unsigned int features)
{
	vm_create(vm);
	vcpu_create(vm, 0);
	return vcpu_init(vm, 0, features);
}

static int attr_ioctl(int fd, unsigned long request, int group, uint64_t attr, void *value)
{
	struct kvm_device_attr argument = { .group = group, .attr = attr,
					    .addr = (uintptr_t)value };

	return status_of(ioctl(fd, request, &argument));
}

int vcpu_set_attr(struct vm *vm, int index, int attr, void *value)
{
	return attr_ioctl(vm->vcpu[index], KVM_SET_DEVICE_ATTR, KVM_ARM_VCPU_PMU_V3_CTRL, attr,
			  value);
}

int vcpu_get_attr(struct vm *vm, int index, int attr, void *value)
{
	return attr_ioctl(vm->vcpu[index], KVM_GET_DEVICE_ATTR, KVM_ARM_VCPU_PMU_V3_CTRL, attr,
			  value);
}

int vcpu_has_attr(struct vm *vm, int index, int attr)
{
	return attr_ioctl(vm->vcpu[index], KVM_HAS_DEVICE_ATTR, KVM_ARM_VCPU_PMU_V3_CTRL, attr,
			  NULL);
}

int vcpu_try_get_reg(struct vm *vm, int index, uint64_t reg, uint64_t *value)
{
	struct kvm_one_reg argument = { .id = reg, .addr = (uintptr_t)value };

	*value = 0;
	return status_of(ioctl(vm->vcpu[index], KVM_GET_ONE_REG, &argument));
}

uint64_t vcpu_get_reg(struct vm *vm, int index, uint64_t reg)
{
	uint64_t value;

	if (vcpu_try_get_reg(vm, index, reg, &value))
		die("KVM_GET_ONE_REG of register 0x%lx failed", reg);
	return value;
}

int vcpu_set_reg(struct vm *vm, int index, uint64_t reg, uint64_t value)
{
	struct kvm_one_reg argument = { .id = reg, .addr = (uintptr_t)&value };

	return status_of(ioctl(vm->vcpu[index], KVM_SET_ONE_REG, &argument));
}

void vcpu_must_set_reg(struct vm *vm, int index, uint64_t reg, uint64_t value)
{
	if (vcpu_set_reg(vm, index, reg, value))
		die("KVM_SET_ONE_REG of register 0x%lx of vCPU %d failed", reg, index);
}

int vcpu_touch(struct vm *vm, int index)
{
	int status;

	vm->run[index]->immediate_exit = 1;
	status = status_of(ioctl(vm->vcpu[index], KVM_RUN, 0));
	vm->run[index]->immediate_exit = 0;
	return status == -EINTR ? 0 : status;
}

static void set_gic_address(struct vm *vm, int type, uint64_t address)
{
	if (attr_ioctl(vm->gic, KVM_SET_DEVICE_ATTR, KVM_DEV_ARM_VGIC_GRP_ADDR, type, &address))
		die("setting address %d of the GIC failed", type);
}

int vm_try_create_gic(struct vm *vm)
{
	struct kvm_create_device device = { .type = KVM_DEV_TYPE_ARM_VGIC_V3 };

	if (ioctl(vm->fd, KVM_CREATE_DEVICE, &device))
		return -errno;
	vm->gic = device.fd;
	set_gic_address(vm, KVM_VGIC_V3_ADDR_TYPE_DIST, GUEST_GICD);
	set_gic_address(vm, KVM_VGIC_V3_ADDR_TYPE_REDIST, GUEST_GICR);
	return 0;
}

int vm_init_gic(struct vm *vm)
{
	return attr_ioctl(vm->gic, KVM_SET_DEVICE_ATTR, KVM_DEV_ARM_VGIC_GRP_CTRL,
			  KVM_DEV_ARM_VGIC_CTRL_INIT, NULL);
}

void vm_create_gic(struct vm *vm)
{
	if (vm_try_create_gic(vm) || vm_init_gic(vm))
		die("creating a GICv3 failed");
}

void vm_load(struct vm *vm, const char *entry)
{
	memcpy(vm->ram, guest_image, guest_image_end - guest_image);
	vcpu_must_set_reg(vm, 0, REG_PC, GUEST_RAM + (entry - guest_image));
}

int vm_run(struct vm *vm, uint64_t *value)
{
	struct kvm_run *run = vm->run[0];
	uint64_t offset;

	if (ioctl(vm->vcpu[0], KVM_RUN, 0))
		die("KVM_RUN failed");
	offset = run->mmio.phys_addr - GUEST_MMIO;
	if (run->exit_reason != KVM_EXIT_MMIO || !run->mmio.is_write ||
	    run->mmio.len != sizeof(*value) || offset >= GUEST_WINDOW)
		return -1;
	memcpy(value, run->mmio.data, sizeof(*value));
	return offset;
}

static bool read_line(const char *folder, const char *file, char *line, size_t size)
{
	char path[PATH_MAX];
	FILE *stream;
	bool ok;

	snprintf(path, sizeof(path), SYSFS_PMUS "/%s/%s", folder, file);
	stream = fopen(path, "re");
	if (!stream)
		return false;
	ok = fgets(line, size, stream);
	fclose(stream);
	return ok;
}

static uint64_t parse_cpulist(const char *text)
{
	uint64_t cpus = 0;

	while (*text >= '0' && *text <= '9') {
		char *end;
		unsigned long last, first = last = strtoul(text, &end, 10);

		if (*end == '-')
			last = strtoul(end + 1, &end, 10);
		for (; first <= last && first < 64; first++)
			cpus |= 1ULL << first;
		text = *end == ',' ? end + 1 : end;
	}
	return cpus;
}

int host_pmus(struct host_pmu *pmus, int max)
{
	DIR *devices = opendir(SYSFS_PMUS);
	struct dirent *device;
	char line[256];
	int count = 0;

	if (!devices)
		die("cannot read " SYSFS_PMUS);
	while (count < max && (device = readdir(devices))) {
		struct host_pmu *pmu = &pmus[count];

		/* Only CPU PMUs have the file cpus; others have cpumask */
		if (device->d_name[0] == '.' ||
		    !read_line(device->d_name, "cpus", line, sizeof(line)))
			continue;
		pmu->cpus = parse_cpulist(line);
		if (!read_line(device->d_name, "type", line, sizeof(line)))
			die("the PMU %s has no type", device->d_name);
		pmu->type = atoi(line);
		/* PMUv3 calls the event cpu_cycles, other PMUs call it cycles */
		if ((!read_line(device->d_name, "events/cpu_cycles", line, sizeof(line)) &&
		     !read_line(device->d_name, "events/cycles", line, sizeof(line))) ||
		    sscanf(line, "event=%x", &pmu->cycles) != 1)
			die("the PMU %s names no event for cycles", device->d_name);
		snprintf(pmu->name, sizeof(pmu->name), "%s", device->d_name);
		count++;
	}
	closedir(devices);
	return count;
}

int open_event(const struct host_pmu *pmu, unsigned int number, int cpu)
{
	struct perf_event_attr attr = { .type = pmu->type, .size = sizeof(attr), .config = number,
					.pinned = 1 };
	int fd = syscall(SYS_perf_event_open, &attr, -1, cpu, -1, PERF_FLAG_FD_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

/* A read returns the end of the file if the event got no hardware counter */
static bool has_counter(int event)
{
	uint64_t count;

	return read(event, &count, sizeof(count)) == sizeof(count);
}

int take_counters(const struct host_pmu *pmu, int cpu, int *events, int count)
{
	for (;;) {
		int event = open_event(pmu, pmu->cycles, cpu);

		if (event < 0)
			die("perf_event_open for %s on CPU %d failed", pmu->name, cpu);
		if (!has_counter(event)) {
			close(event);
			return count;
		}
		events[count++] = event;
		if (count == MAX_COUNTERS)
			die("CPU %d has no end of counters", cpu);
	}
}

static int set_affinity(int tid, uint64_t cpus)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	for_each_cpu(cpu, cpus)
		CPU_SET(cpu, &set);
	return sched_setaffinity(tid, sizeof(set), &set);
}

void pin_thread_to(int tid, uint64_t cpus)
{
	must(set_affinity(tid, cpus), "sched_setaffinity");
}

void pin_to(uint64_t cpus)
{
	pin_thread_to(0, cpus);
}

int try_pin_to(uint64_t cpus)
{
	return status_of(set_affinity(0, cpus));
}

void set_online(int cpu, bool online)
{
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "/sys/devices/system/cpu/cpu%d/online", cpu);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0 || write(fd, online ? "1" : "0", 1) != 1)
		die("setting CPU %d %s failed", cpu, online ? "online" : "offline");
	close(fd);
}

static void wait_for(long nanoseconds)
{
	const struct timespec time = { .tv_nsec = nanoseconds };

	nanosleep(&time, NULL);
}

void settle(void)
{
	struct timespec now;
	long since;

	wait_for(SETTLE);
	clock_gettime(CLOCK_MONOTONIC, &now);
	since = now.tv_nsec % TICK;
	if (since < TICK_MARGIN || since > TICK - TICK_MARGIN)
		wait_for((TICK + TICK_MARGIN - since) % TICK);
}
