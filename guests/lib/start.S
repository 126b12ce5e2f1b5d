/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Start-up of the boot vCPU. The guest is loaded like a Linux Image. */
#include "sysreg.h"

	.section .head, "ax"
	.globl image_header
image_header:			/* Documentation/arch/arm64/booting.rst of Linux */
	b	start_boot
	nop
	.quad	0x200000			/* text_offset, see guest.ld */
	.quad	image_size
	.quad	0x2				/* little endian, 4 KiB pages */
	.quad	0, 0, 0
	.ascii	"ARM\x64"
	.long	0

	.text
start_boot:			/* x0: device tree */
	mov	x19, x0
	mov	x20, #0				/* the boot vCPU is given index 0; see smp.c */
	bl	enter_el1_mmu
	adrp	x0, bss_start
	add	x0, x0, :lo12:bss_start
	adrp	x1, bss_end
	add	x1, x1, :lo12:bss_end
1:	cmp	x0, x1
	b.hs	2f
	stp	xzr, xzr, [x0], #16
	b	1b
2:	mov	x0, x19
	bl	lib_boot
	b	.

	.section .stacks, "aw", %nobits
	.balign	16
	.globl	stacks
stacks:
	.skip	MAX_VCPUS << STACK_SHIFT
