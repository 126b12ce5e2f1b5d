// SPDX-License-Identifier: GPL-2.0-or-later
#include "internal.h"

#define MPIDR_AFFINITY	0xff00ffffffUL
/* Seconds between lines that say what the guest waits for */
#define SAY_S		10

static uint64_t mpidrs[MAX_VCPUS];
static unsigned int count;
static unsigned int up = 1;
static void (*secondary_fn)(void);

/* The boot vCPU has index 0 from start-up on; QEMU names it first. */
void smp_init(void)
{
	uint64_t self = read_sysreg(mpidr_el1) & MPIDR_AFFINITY;

	count = platform_cpus(mpidrs, MAX_VCPUS);
	if (count < 1 || count > MAX_VCPUS)
		fail("the firmware names %u CPUs, 1 to %u are supported", count, MAX_VCPUS);
	if (mpidrs[0] != self)
		fail("booted on the CPU with MPIDR 0x%lx, the first that the firmware names has "
		     "0x%lx", self, mpidrs[0]);
}

unsigned int vcpu_count(void)
{
	return count;
}

/* Waits without a deadline: how long is too long depends on how busy the machine is. */
void wait_for_vcpus(const unsigned int *done, const char *what)
{
	uint64_t said = cntvct();

	while (__atomic_load_n(done, __ATOMIC_ACQUIRE) < count) {
		if (cntvct() - said < us_to_ticks(SAY_S * 1000000))
			continue;
		said = cntvct();
		print("waiting: %u of %u vCPUs %s", __atomic_load_n(done, __ATOMIC_RELAXED), count,
		      what);
	}
}

void wait_for_flag(const unsigned int *flag)
{
	while (!__atomic_load_n(flag, __ATOMIC_ACQUIRE))
		asm volatile("yield");
}

void lib_secondary(void)
{
	__atomic_add_fetch(&up, 1, __ATOMIC_RELEASE);
	secondary_fn();
	for (;;)
		asm volatile("wfi");
}

void start_secondaries(void (*fn)(void))
{
	secondary_fn = fn;
	for (unsigned int i = 1; i < count; i++) {
		int64_t error = psci_cpu_on(mpidrs[i], (uint64_t)start_secondary, i);

		if (error)
			fail("PSCI CPU_ON of vcpu=%u (MPIDR 0x%lx) returned %ld", i, mpidrs[i],
			     error);
	}
	wait_for_vcpus(&up, "came up");
}
