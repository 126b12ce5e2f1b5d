/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Start-up of all vCPUs: down to EL1 when entered at EL2, MMU and caches on, then C.
 *
 * Nothing writes to memory while the MMU is off, and the page table is in the image: so no cache
 * maintenance is needed where the image was in memory before any vCPU ran, and exclusives work from
 * the first C statement on (they need cacheable memory on real CPUs).
 */
#include "sysreg.h"

	.macro	mov_q, reg, value
	movz	\reg, #((\value) & 0xffff)
	movk	\reg, #(((\value) >> 16) & 0xffff), lsl #16
	.endm

	.text
	.globl	start_secondary
start_secondary:		/* x0: vCPU index, passed through CPU_ON */
	mov	x20, x0
	bl	enter_el1_mmu
	mov	x0, x20
	bl	lib_secondary
	b	.

	.globl	enter_el1_mmu
/*
 * x20: vCPU index. MMU off unless at EL2. Leaves EL1h, MMU on, stack, vectors and TPIDR_EL1 set.
 * Clobbers x0-x2, x21.
 */
enter_el1_mmu:
	mov	x21, x30
	mrs	x0, CurrentEL
	cmp	x0, #CURRENTEL_EL2
	b.ne	in_el1

	mov_q	x0, HCR_RW
	msr	hcr_el2, x0
	mov_q	x0, CPTR_EL2_RES1
	msr	cptr_el2, x0
	msr	hstr_el2, xzr
	mov	x0, #CNTHCTL_EL1_ALL
	msr	cnthctl_el2, x0
	msr	cntvoff_el2, xzr
	mrs	x0, midr_el1
	msr	vpidr_el2, x0
	mrs	x0, mpidr_el1
	msr	vmpidr_el2, x0
	/* MDCR_EL2: no traps; EL1 owns all PMCR_EL0.N counters */
	mov	x2, #0
	mrs	x0, id_aa64dfr0_el1
	ubfx	x0, x0, #ID_DFR0_PMUVER_SHIFT, #4
	cbz	x0, 1f
	cmp	x0, #ID_PMUVER_IMPDEF
	b.eq	1f
	mrs	x0, pmcr_el0
	ubfx	x2, x0, #PMCR_N_SHIFT, #PMCR_N_BITS
1:	msr	mdcr_el2, x2
	mov_q	x0, SCTLR_RES1
	msr	sctlr_el1, x0
	mov	x0, #SPSR_EL1H_DAIF
	msr	spsr_el2, x0
	adr	x0, in_el1
	msr	elr_el2, x0
	isb
	eret

in_el1:
	msr	daifset, #0xf
	msr	spsel, #1
	mov	x0, #(MAIR_DEVICE | (MAIR_NORMAL << 8))
	msr	mair_el1, x0
	mov_q	x0, (TCR_T0SZ_39BIT | TCR_IRGN0_WBWA | TCR_ORGN0_WBWA | TCR_SH0_INNER | TCR_EPD1)
	mrs	x1, id_aa64mmfr0_el1
	bfi	x0, x1, #TCR_IPS_SHIFT, #TCR_IPS_BITS	/* PARange is coded as IPS is */
	msr	tcr_el1, x0
	adrp	x0, page_table
	msr	ttbr0_el1, x0
	adrp	x0, vectors
	add	x0, x0, :lo12:vectors
	msr	vbar_el1, x0
	msr	tpidr_el1, x20
	isb
	tlbi	vmalle1
	ic	iallu
	dsb	nsh
	isb
	mov_q	x0, (SCTLR_RES1 | SCTLR_M | SCTLR_C | SCTLR_I)
	msr	sctlr_el1, x0
	isb
	adrp	x0, stacks
	add	x0, x0, :lo12:stacks
	add	x1, x20, #1
	add	x0, x0, x1, lsl #STACK_SHIFT
	mov	sp, x0
	ret	x21

/*
 * Identity map: the devices of QEMU's virt machine are in the first GiB, its RAM follows. After an
 * unmapped GiB comes an alias of the RAM for EL0: EL1 executes nothing that EL0 may write to, so
 * code for both needs two mappings.
 */
#define RAM_BLOCK	(gib << 30) | DESC_BLOCK | DESC_AF | DESC_NORMAL | DESC_SH_INNER

	.section .rodata, "a"
	.balign	4096
page_table:
	.quad	DESC_BLOCK | DESC_AF | DESC_XN
	.set	gib, 1
	.rept	RAM_GIBS
	.quad	RAM_BLOCK
	.set	gib, gib + 1
	.endr
	.quad	0
	.set	gib, 1
	.rept	RAM_GIBS
	.quad	RAM_BLOCK | DESC_EL0_RO | DESC_PXN
	.set	gib, gib + 1
	.endr
