/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Guest programs, copied to the start of the guest's memory and entered at EL1 with the MMU off.
 * Hand-assembled, as the tests compare what the cycle counter counts between two reads, and a
 * compiler would move the reads.
 *
 * A store to the window at x19, where no memory is, ends KVM_RUN and hands a value to the test;
 * guest.h has the offsets.
 */
#include "guest.h"

#define PPI_BITS	(1 << GUEST_PMU_PPI | 1 << GUEST_WAKE_PPI)

#define PMMIR_EL1	S3_0_C9_C14_6
#define ICC_PMR_EL1	S3_0_C4_C6_0
#define ICC_IAR1_EL1	S3_0_C12_C12_0
#define ICC_EOIR1_EL1	S3_0_C12_C12_1
#define ICC_IGRPEN1_EL1	S3_0_C12_C12_7

#define GICD_CTLR_ARE_G1	0x12
#define GICR_SGI_FRAME		(GUEST_GICR + 0x10000)
#define GICR_IGROUPR0		0x80
#define GICR_ISENABLER0		0x100

#define ESR_CLASS_SVC		0x15

	.macro	prologue
	mov	x19, #GUEST_MMIO
	adr	x9, vectors
	msr	vbar_el1, x9
	isb
	.endm

	.macro	setup_gic
	mov	x9, #GUEST_GICD
	mov	w10, #GICD_CTLR_ARE_G1
	str	w10, [x9]
	mov	x9, #GICR_SGI_FRAME
	mov	w10, #PPI_BITS
	str	w10, [x9, #GICR_IGROUPR0]
	str	w10, [x9, #GICR_ISENABLER0]
	mov	x10, #0xff
	msr	ICC_PMR_EL1, x10
	mov	x10, #1
	msr	ICC_IGRPEN1_EL1, x10
	.endm

	/* PMU registers are UNKNOWN after reset: KVM does not reset them to 0 */
	.macro	setup_pmu
	mov	x10, #-1
	msr	pmcntenclr_el0, x10
	msr	pmintenclr_el1, x10
	msr	pmovsclr_el0, x10
	.endm

	.macro	vector_unexpected
	.balign	0x80
	mrs	x9, esr_el1
	report	GUEST_EXCEPTION, x9
	b	.
	.endm

	.section .rodata
	.balign	0x800
	.global	guest_image
guest_image:
vectors:
	.rept	5
	vector_unexpected
	.endr
	/* IRQ from the current EL with SP_EL1 */
	.balign	0x80
	b	irq
	.rept	2
	vector_unexpected
	.endr
	/* Synchronous exception from EL0: ends the loop of step_at_el0 */
	.balign	0x80
	mrs	x9, esr_el1
	lsr	x10, x9, #26
	cmp	x10, #ESR_CLASS_SVC
	b.eq	step_from_el0
	report	GUEST_EXCEPTION, x9
	b	.
	/* IRQ from EL0 */
	.balign	0x80
	b	irq
	.rept	6
	vector_unexpected
	.endr

/*
 * Interrupt handler: counts the interrupt in x20 and reports the cycle counter. If x26 is not 0, it
 * takes a sample instead: it starts the counter again at x26, adds to x24 how many cycles the
 * interrupt was late, and counts in x25 the interrupts that were later than GUEST_LATE.
 */
	.balign	0x80
irq:
	mrs	x10, ICC_IAR1_EL1
	mrs	x11, pmccntr_el0
	mov	x12, #PMU_CYCLE_BIT
	add	x20, x20, #1
	cbnz	x26, 1f
	msr	pmovsclr_el0, x12
	report	GUEST_IRQ, x11
	b	2f
1:	msr	pmccntr_el0, x26
	msr	pmovsclr_el0, x12
	and	x11, x11, #0xffffffff
	add	x24, x24, x11
	cmp	x11, #GUEST_LATE
	cinc	x25, x25, hi
2:	msr	ICC_EOIR1_EL1, x10
	eret

/*
 * Counts cycles. In: x0 PMCR_EL0, x1 PMCCNTR_EL0, x2 PMINTENSET_EL1, x3 turns of the inner loop
 * between two reports, x6 PMCR_EL0 once the counter is written. guest_idle waits for an interrupt,
 * of the host or its own, in each turn.
 */
	.macro	setup_count
	prologue
	setup_gic
	setup_pmu
	msr	pmcr_el0, x0
	msr	pmccfiltr_el0, xzr
	msr	pmccntr_el0, x1
	msr	pmintenset_el1, x2
	mov	x10, #PMU_CYCLE_BIT
	msr	pmcntenset_el0, x10
	msr	pmcr_el0, x6
	isb
	msr	daifclr, #2
	.endm

	.balign	0x80
	.global	guest_count
guest_count:
	setup_count
1:	isb
	mrs	x4, pmccntr_el0
	report	GUEST_VALUE, x4
	mov	x5, x3
2:	subs	x5, x5, #1
	b.ne	2b
	b	1b

	.balign	0x80
	.global	guest_idle
guest_idle:
	setup_count
1:	mov	x5, x3
2:	wfi
	subs	x5, x5, #1
	b.ne	2b
	isb
	mrs	x4, pmccntr_el0
	report	GUEST_VALUE, x4
	b	1b

/* Programs the counter afresh for each report. In: x3 turns of the loop that is counted. */
	.balign	0x80
	.global	guest_program
guest_program:
	prologue
	mov	x10, #-1
	msr	pmintenclr_el1, x10
	msr	pmovsclr_el0, x10
	mov	x0, #(PMCR_E | PMCR_LC)
	msr	pmcr_el0, x0
	mov	x10, #PMU_CYCLE_BIT
1:	msr	pmcntenclr_el0, x10
	msr	pmccntr_el0, xzr
	msr	pmccfiltr_el0, xzr
	msr	pmcntenset_el0, x10
	isb
	mov	x5, x3
2:	subs	x5, x5, #1
	b.ne	2b
	isb
	mrs	x4, pmccntr_el0
	report	GUEST_VALUE, x4
	b	1b

/* Reports the ticks of the system counter that GUEST_READS reads take. In: x0 PMCR_EL0. */
	.balign	0x80
	.global	guest_read
guest_read:
	prologue
	msr	pmcr_el0, x0
	msr	pmccfiltr_el0, xzr
	mov	x10, #PMU_CYCLE_BIT
	msr	pmcntenset_el0, x10
1:	isb
	mrs	x9, cntvct_el0
	.rept	GUEST_READS
	mrs	x4, pmccntr_el0
	.endr
	isb
	mrs	x10, cntvct_el0
	sub	x10, x10, x9
	report	GUEST_VALUE, x10
	b	1b

/* Reports the ticks that x3 writes of the counter take. In: x0 PMCR_EL0. */
	.balign	0x80
	.global	guest_write
guest_write:
	prologue
	msr	pmcr_el0, x0
	msr	pmccfiltr_el0, xzr
	mov	x10, #PMU_CYCLE_BIT
	msr	pmcntenset_el0, x10
1:	mov	x5, x3
	isb
	mrs	x9, cntvct_el0
2:	msr	pmccntr_el0, x5
	subs	x5, x5, #1
	b.ne	2b
	isb
	mrs	x10, cntvct_el0
	sub	x10, x10, x9
	report	GUEST_VALUE, x10
	b	1b

/*
 * Executes one step after the other. Before each step the test sets x0 to an operation (guest.h),
 * x1 to its operand, x2 to whether the loop after the operation runs at EL0, and x3 to the turns of
 * that loop. The guest reports the cycle counter after the loop. x6 and x7 are the system counter
 * before and after the loop.
 */
	.balign	0x80
	.global	guest_step
guest_step:
	prologue
	setup_gic
	setup_pmu
	msr	daifclr, #2
	b	step_report
	/* The same with the PMU as userspace left it, and interrupts masked */
	.global	guest_step_on
guest_step_on:
	prologue
	b	step_report
	/* In the order of enum operation, two instructions each */
operations:
	nop
	b	step_count
	.irp	name, pmccntr_el0, pmcr_el0, pmccfiltr_el0, pmcntenset_el0, pmcntenclr_el0, \
		pmovsclr_el0, pmintenset_el1, pmintenclr_el1, mdcr_el2
	msr	\name, x1
	b	step_count
	.endr
	msr	daifset, #2
	b	step_count
	wfi
	b	step_count
step_count:
	mrs	x6, cntvct_el0
	isb
	mov	x5, x3
	cbnz	x2, step_at_el0
1:	subs	x5, x5, #1
	b.ne	1b
	b	step_end
step_at_el0:
	mrs	x8, daif
	adr	x7, 2f
	msr	elr_el1, x7
	msr	spsr_el1, xzr
	isb
	eret
2:	subs	x5, x5, #1
	b.ne	2b
	svc	#0
step_from_el0:
	msr	daif, x8
step_end:
	isb
	mrs	x7, cntvct_el0
	mrs	x4, pmccntr_el0
step_report:
	report	GUEST_VALUE, x4
	adr	x9, operations
	add	x9, x9, x0, lsl #3
	br	x9

/* Reports what identifies the PMU. */
	.balign	0x80
	.global	guest_identify
guest_identify:
	prologue
	report_register pmcr_el0
	report_register pmceid0_el0
	report_register pmceid1_el0
	report_register PMMIR_EL1
	mov	x0, #-1
	msr	pmcntenset_el0, x0
	report_register pmcntenset_el0
	msr	pmcntenclr_el0, x0
	b	.

/* Each accesses an event counter, which is undefined when there is none. */
	.balign	0x80
	.global	guest_event_counter
guest_event_counter:
	prologue
	report_register pmevcntr0_el0
	b	.

	.balign	0x80
	.global	guest_selected_counter
guest_selected_counter:
	prologue
	msr	pmselr_el0, xzr
	report_register pmxevcntr_el0
	b	.

/*
 * Programs the cycle counter as the test says, then reads it before and after many reads of the
 * system counter. In, for each round: x0 what to program (bits of guest.h), x1 PMCR_EL0, x2
 * PMCCNTR_EL0, x3 PMCCFILTR_EL0, x4 reads of the system counter, x5 the SGI frame of the vCPU's
 * redistributor. Out: x21 to x24 and x27 to x30 are struct sample of storm.h. Of these, x28 is the
 * time that passed in steps shorter than STORM_GAP.
 */
	.macro	when bit, register, value
	tbz	x0, #\bit, .Lnot\@
	msr	\register, \value
.Lnot\@:
	.endm

	.balign	0x80
	.global	guest_storm
guest_storm:
	prologue
	setup_pmu
	/*
	 * Done in each round, as the VM may be a new one; interrupts are masked, as the handler
	 * changes x10
	 */
1:	msr	daifset, #2
	setup_gic
	mov	w10, #PPI_BITS
	str	w10, [x5, #GICR_IGROUPR0]
	str	w10, [x5, #GICR_ISENABLER0]
	msr	daifclr, #2
	mrs	x21, cntvct_el0
	mov	x13, #PMU_CYCLE_BIT
	when	STORM_STOP, pmcntenclr_el0, x13
	when	STORM_PMCR, pmcr_el0, x1
	when	STORM_PMCCNTR, pmccntr_el0, x2
	when	STORM_PMCCFILTR, pmccfiltr_el0, x3
	when	STORM_PMINTEN, pmintenclr_el1, x13
	when	STORM_PMINTEN, pmintenset_el1, x13
	when	STORM_START, pmcntenset_el0, x13
	isb
	mrs	x22, cntvct_el0
	mrs	x23, pmccntr_el0
	isb
	mrs	x24, cntvct_el0
	mov	x27, x24
	mov	x28, #0
2:	isb
	mrs	x6, cntvct_el0
	sub	x7, x6, x27
	mov	x27, x6
	cmp	x7, #STORM_GAP
	csel	x7, x7, xzr, lo
	add	x28, x28, x7
	subs	x4, x4, #1
	b.ne	2b
	isb
	mrs	x29, pmccntr_el0
	isb
	mrs	x30, cntvct_el0
	report	GUEST_VALUE, x29
	b	1b

	.global	guest_image_end
guest_image_end:

	.section .note.GNU-stack, "", %progbits
