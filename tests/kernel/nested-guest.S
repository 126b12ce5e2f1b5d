/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Guests that begin at EL2 and go on at EL1. The first one reports what it sees of the event
 * counters at both levels.
 */
#include "guest.h"

/* HCR_EL2 without TGE and traps: a guest can run at EL1, in AArch64. E2H is RES1 here. */
#define HCR_RW_E2H	(1 << 31 | 1 << 34)
#define SPSR_EL1H	0x3c5
#define HPMN_TRIED	4
#define PMCR_LP		(1 << 7)

	/* Continues at LABEL at EL1 */
	.macro	go_to_el1 label
	mov	x0, #SPSR_EL1H
	msr	spsr_el2, x0
	adr	x0, \label
	msr	elr_el2, x0
	ldr	x0, =HCR_RW_E2H
	msr	hcr_el2, x0
	isb
	eret
	.endm

	.section .rodata
	.balign	0x800
	.global	nested_guest, nested_guest_end, nested_bits, nested_filter
nested_guest:
	mov	x19, #GUEST_MMIO
	report_register pmcr_el0
	report_register mdcr_el2
	mov	x0, #HPMN_TRIED
	msr	mdcr_el2, x0
	isb
	report_register mdcr_el2
	report_register pmcr_el0
	go_to_el1 1f
1:	report_register currentel
	report_register pmcr_el0
	b	.

/*
 * Reports the counters' bits at EL2, at EL1, and at EL2 again after writes at EL1 made KVM handle
 * all counters.
 */
	.balign	0x80
nested_bits:
	mov	x19, #GUEST_MMIO
	adr	x0, nested_vectors
	msr	vbar_el2, x0
	mov	x0, #HPMN_TRIED
	msr	mdcr_el2, x0
	mov	x0, #-1
	msr	pmcntenclr_el0, x0
	msr	pmintenclr_el1, x0
	msr	pmovsclr_el0, x0
	mov	x0, #(1 << 5 | 1)
	msr	pmcntenset_el0, x0
	msr	pmintenset_el1, x0
	msr	pmovsset_el0, x0
	report_register pmcntenset_el0
	go_to_el1 1f
1:	report_register pmcntenset_el0
	report_register pmintenset_el1
	report_register pmovsset_el0
	mov	x0, #PMCR_E
	msr	pmcr_el0, x0
	report_register pmcntenset_el0
	mov	x0, #(PMCR_LC | PMCR_LP)
	msr	pmcr_el0, x0
	report_register pmcntenset_el0
	hvc	#0
	b	.
nested_bits_at_el2:
	report_register pmcntenset_el0
	report_register pmintenset_el1
	report_register pmovsset_el0
	b	.

/* Enables the cycle counter at EL2, then at EL1; reports its count there. In: x20 PMCCFILTR_EL0. */
	.balign	0x80
nested_filter:
	mov	x19, #GUEST_MMIO
	mov	x0, #-1
	msr	pmcntenclr_el0, x0
	msr	pmintenclr_el1, x0
	mov	x0, #(PMCR_E | PMCR_LC)
	msr	pmcr_el0, x0
	msr	pmccfiltr_el0, x20
	mov	x21, #PMU_CYCLE_BIT
	msr	pmcntenset_el0, x21
	isb
	msr	pmcntenclr_el0, x21
	isb
	go_to_el1 1f
1:	msr	pmcntenset_el0, x21
	isb
	mrs	x1, pmccntr_el0
	mov	x2, #GUEST_READS
2:	subs	x2, x2, #1
	b.ne	2b
	isb
	mrs	x3, pmccntr_el0
	sub	x0, x3, x1
	report	GUEST_VALUE, x0
	b	.
	.ltorg

	/* Vectors of EL2: the only exception is an hvc from EL1 */
	.balign	0x800
nested_vectors:
	.space	0x400
	b	nested_bits_at_el2
nested_guest_end:

	.section .note.GNU-stack, "", %progbits
