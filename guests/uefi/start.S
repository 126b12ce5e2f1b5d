/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Where the boot vCPU leaves the firmware's translation, and start-up becomes the other guests'. */
#include "sysreg.h"

	.text
	.globl	start_kernel
/* x0: RSDP. What runs until the MMU is on again is in memory, see loader.c. */
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
