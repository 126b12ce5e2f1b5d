// SPDX-License-Identifier: GPL-2.0-or-later
#include "internal.h"

uint64_t cntfrq(void)
{
	return read_sysreg(cntfrq_el0);
}

uint64_t us_to_ticks(uint64_t us)
{
	return us * cntfrq() / 1000000;
}

void lib_boot(const void *tables)
{
	platform_init(tables);
	output_init();
	psci_init();
	smp_init();
	guest_main();
	fail("guest_main() returned without a verdict");
}
