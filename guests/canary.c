// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Claim: the harness that runs the guests recognises a PASS, a FAIL and a hang. If it takes this
 * guest's failure or hang for a success, it would do so with any guest, so each choice is a test of
 * its own. "trap" tests the report of an exception, "wait" a hang that says what it waits for.
 */
#include "guest.h"

enum choice { CHOICE_PASS, CHOICE_FAIL, CHOICE_HANG, CHOICE_TRAP, CHOICE_WAIT };

static const char *const choices[] = { "pass", "fail", "hang", "trap", "wait", NULL };

static struct param params[] = {
	{ .name = "verdict", .value = CHOICE_PASS, .words = choices },
};

void guest_main(void)
{
	read_params(params, ARRAY_SIZE(params));
	print("canary verdict=%s", choices[params[0].value]);
	switch (params[0].value) {
	case CHOICE_PASS:
		pass("as asked for");
	case CHOICE_FAIL:
		fail("as asked for");
	case CHOICE_TRAP:
		/* PMMIR_EL1, which some assemblers do not know; UNDEFINED before FEAT_PMUv3p4 */
		print("PMMIR_EL1 is 0x%lx", read_sysreg(s3_0_c9_c14_6));
		pass("no trap: PMMIR_EL1 exists");
	case CHOICE_WAIT:
		wait_for_vcpus(&(unsigned int){ 0 }, "did what none does");
		fail("waited no more");
	default:
		for (;;)
			asm volatile("wfi");
	}
}
