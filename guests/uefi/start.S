/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Turns off the firmware's translation on the boot vCPU; then start-up is as in other guests. */
#include "sysreg.h"

	.text
	.globl	start_kernel
/* x0: RSDP. loader.c has cleaned the image to memory, where this runs until the MMU is on again. */
start_kernel:
	msr	daifset, #0xf
	mov	x19, x0
	mov	x20, #0				/* the boot vCPU is given index 0; see smp.c */
	mrs	x0, sctlr_el1
	bic	x0, x0, #SCTLR_M
	bic	x0, x0, #SCTLR_C
	msr	sctlr_el1, x0
	isb
	bl	enter_el1_mmu
	mov	x0, x19
	bl	lib_boot
	b	.

	.bss
	.balign	16
	.globl	stacks
stacks:
	.skip	MAX_VCPUS << STACK_SHIFT
