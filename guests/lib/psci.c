// SPDX-License-Identifier: GPL-2.0-or-later
/* PSCI 0.2 and later (DEN0022), through the conduit that the firmware names. */
#include "internal.h"

#define PSCI_SYSTEM_OFF	0x84000008
#define PSCI_SYSTEM_RESET 0x84000009
#define PSCI_CPU_ON	0xc4000003

/* Registers that a call may change besides its results, by SMCCC 1.0 (DEN0028) */
#define SMCCC_CLOBBERS	"x4", "x5", "x6", "x7", "x8", "x9", "x10", "x11", "x12", "x13", "x14", \
			"x15", "x16", "x17", "memory"

static bool uses_smc;

static int64_t psci_call(uint64_t function, uint64_t a1, uint64_t a2, uint64_t a3)
{
	register uint64_t x0 asm("x0") = function;
	register uint64_t x1 asm("x1") = a1;
	register uint64_t x2 asm("x2") = a2;
	register uint64_t x3 asm("x3") = a3;

	if (uses_smc)
		asm volatile("smc #0" : "+r"(x0), "+r"(x1), "+r"(x2), "+r"(x3) : : SMCCC_CLOBBERS);
	else
		asm volatile("hvc #0" : "+r"(x0), "+r"(x1), "+r"(x2), "+r"(x3) : : SMCCC_CLOBBERS);
	return x0;
}

void psci_init(void)
{
	uses_smc = platform_psci_uses_smc();
}

int64_t psci_cpu_on(uint64_t mpidr, uint64_t entry, uint64_t context)
{
	return psci_call(PSCI_CPU_ON, mpidr, entry, context);
}

void psci_system_off(void)
{
	psci_call(PSCI_SYSTEM_OFF, 0, 0, 0);
	/* the machine is off by now; without PSCI the vCPU can only sleep */
	for (;;)
		asm volatile("wfi");
}

void reboot(void)
{
	psci_call(PSCI_SYSTEM_RESET, 0, 0, 0);
	fail("PSCI SYSTEM_RESET returned");
}
