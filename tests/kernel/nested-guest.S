/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A guest that begins at EL2: reports what it sees of the event counters there, and then at EL1. */
#include "guest.h"

/* What leaves EL1 and EL0 to the guest at EL1; E2H is RES1 here */
#define HCR_RW_E2H	(1 << 31 | 1 << 34)
#define SPSR_EL1H	0x3c5
#define HPMN_TRIED	4

	.section .rodata
	.balign	0x80
	.global	nested_guest, nested_guest_end
nested_guest:
	mov	x19, #GUEST_MMIO
	mrs	x0, pmcr_el0
	str	x0, [x19, #GUEST_VALUE]
	mrs	x0, mdcr_el2
	str	x0, [x19, #GUEST_VALUE]
	mov	x0, #HPMN_TRIED
	msr	mdcr_el2, x0
	isb
	mrs	x0, mdcr_el2
	str	x0, [x19, #GUEST_VALUE]
	mrs	x0, pmcr_el0
	str	x0, [x19, #GUEST_VALUE]
	mov	x0, #SPSR_EL1H
	msr	spsr_el2, x0
	adr	x0, 1f
	msr	elr_el2, x0
	ldr	x0, =HCR_RW_E2H
	msr	hcr_el2, x0
	isb
	eret
1:	mrs	x0, currentel
	str	x0, [x19, #GUEST_VALUE]
	mrs	x0, pmcr_el0
	str	x0, [x19, #GUEST_VALUE]
	b	.
	.ltorg
nested_guest_end:

	.section .note.GNU-stack, "", %progbits
