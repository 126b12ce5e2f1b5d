/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Runs code at EL0 or EL1 until an exception. Written in assembly, as EL0 has no memory for data
 * and counts must be exact.
 */
#include "sysreg.h"

/* x19 to x30 and the outcome */
#define FRAME_SIZE	112
#define FRAME_OUTCOME	96

	.text
	.globl	run
run:
	stp	x29, x30, [sp, #-FRAME_SIZE]!
	stp	x19, x20, [sp, #16]
	stp	x21, x22, [sp, #32]
	stp	x23, x24, [sp, #48]
	stp	x25, x26, [sp, #64]
	stp	x27, x28, [sp, #80]
	str	x0, [sp, #FRAME_OUTCOME]
	adrp	x4, running
	add	x4, x4, :lo12:running
	mrs	x5, tpidr_el1
	mov	x6, sp
	str	x6, [x4, x5, lsl #3]
	msr	elr_el1, x1
	msr	spsr_el1, x3
	mov	x0, x2
	eret

	.macro	vector index
	.balign	0x80
	mov	x2, #\index
	b	caught
	.endm

	.balign	0x800
	.globl	vectors
vectors:
	.irp	index, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
	vector	\index
	.endr

caught:
	mrs	x1, esr_el1
	adrp	x4, running
	add	x4, x4, :lo12:running
	mrs	x6, tpidr_el1
	ldr	x5, [x4, x6, lsl #3]
	cbz	x5, 1f
	str	xzr, [x4, x6, lsl #3]
	mov	sp, x5
	ldr	x6, [sp, #FRAME_OUTCOME]
	stp	x0, x2, [x6]
	str	x1, [x6, #16]
	ldp	x19, x20, [sp, #16]
	ldp	x21, x22, [sp, #32]
	ldp	x23, x24, [sp, #48]
	ldp	x25, x26, [sp, #64]
	ldp	x27, x28, [sp, #80]
	ldp	x29, x30, [sp], #FRAME_SIZE
	ret
	/* not in run(): an unexpected exception is reported and ends the guest */
1:	mov	x0, x2
	mrs	x2, elr_el1
	mrs	x3, far_el1
	bl	lib_exception
	b	.

	.macro	spin
	mov	w1, #20000
1:	subs	w1, w1, #1
	b.ne	1b
	.endm

	.globl	code_spin
code_spin:
	spin
	svc	#0

	.globl	code_count
code_count:
	mov	x0, #PMCNTEN_C
	isb
	msr	pmcntenset_el0, x0
	isb
	spin
	isb
	msr	pmcntenclr_el0, x0
	isb
	svc	#0

	.globl	code_thread
code_thread:
	mrs	x0, pmccntr_el0
	mrs	x2, cntvct_el0
	isb
	spin
	isb
	mrs	x1, pmccntr_el0
	sub	x0, x1, x0
	svc	#0

	.bss
	.balign	8
running:				/* the frame of run() of each vCPU, 0 outside */
	.skip	8 * MAX_VCPUS
