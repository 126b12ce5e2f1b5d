// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What the kernel of Windows is known to do with the cycle counter: it charges a thread with the
 * cycles between two context switches, and lets user mode read PMCCNTR_EL0 and CNTVCT_EL0. There is
 * no public sign that it divides by these cycles, so here a count of 0 does not end the guest.
 */
#include "guest.h"

#define IDLE_US			100
#define CNTKCTL_EL0VCTEN	(1 << 1)
#define CNTV_CTL_ENABLE		1
#define CNTV_CTL_ISTATUS	4

void idle(uint64_t us)
{
	const bool waits = gic_is_there();

	write_sysreg(us_to_ticks(us), cntv_tval_el0);
	write_sysreg(CNTV_CTL_ENABLE, cntv_ctl_el0);
	isb();
	while (!(read_sysreg(cntv_ctl_el0) & CNTV_CTL_ISTATUS))
		if (waits)
			asm volatile("wfi");
	write_sysreg_isb(0, cntv_ctl_el0);
}

/* Returns what the thread itself read at EL0. */
static uint64_t run_thread(void)
{
	struct outcome outcome;

	run(&outcome, (uint64_t)code_thread + EL0_ALIAS, 0, SPSR_EL0T_DAIF);
	if (ESR_EC(outcome.esr) != ESR_EC_SVC)
		fail("user mode cannot read PMCCNTR_EL0 or CNTVCT_EL0 vcpu=%u vector=%lu esr=0x%lx",
		     vcpu_index(), outcome.vector, outcome.esr);
	return outcome.value;
}

void run_as_kernel(unsigned int switches, uint64_t user, void (*half_way)(void))
{
	uint64_t total = 0;
	unsigned int zero = 0, user_zero = 0;

	write_sysreg(read_sysreg(cntkctl_el1) | CNTKCTL_EL0VCTEN, cntkctl_el1);
	if (gic_is_there())
		gic_enable(1 << INTID_TIMER);
	check_pmu();
	enable_cycle_counter();
	write_sysreg_isb(user, pmuserenr_el0);
	for (unsigned int i = 0; i < switches; i++) {
		uint64_t start, charged;

		if (half_way && i == switches / 2)
			half_way();
		start = read_cycles();
		user_zero += !run_thread();
		isb();
		charged = read_cycles() - start;
		total += charged;
		zero += !charged;
		idle(IDLE_US);
	}
	print("kernel vcpu=%u switches=%u cycles=%lu zero=%u user_zero=%u", vcpu_index(), switches,
	      total, zero, user_zero);
}
