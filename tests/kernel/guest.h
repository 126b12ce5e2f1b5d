/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Shared by the guest programs and the tests that run them. */
#ifndef GUEST_H
#define GUEST_H

#define GUEST_RAM	0x40000000
#define GUEST_RAM_SIZE	0x10000
#define GUEST_GICD	0x08000000
#define GUEST_GICR	0x080a0000
/* The SGI frame of a vCPU's redistributor */
#define GUEST_GICR_SGI(vcpu)	(GUEST_GICR + (vcpu) * 0x20000 + 0x10000)
#define GUEST_PMU_PPI	23
#define GUEST_WAKE_PPI	20	/* the test uses it to end a WFI */

/* No memory is at this window: a store to it ends KVM_RUN. Offsets in it: */
#define GUEST_MMIO	0x01000000
#define GUEST_VALUE	0x00	/* the value that the test asked for: PMCCNTR_EL0, or a register */
#define GUEST_IRQ	0x08	/* an interrupt was taken; the value is PMCCNTR_EL0 */
#define GUEST_EXCEPTION	0x10	/* another exception was taken; the value is ESR_EL1 */
#define GUEST_WINDOW	0x18

#define GUEST_STEP_ON	5	/* instructions of guest_step_on before its first report */
/* Instructions from the wrap to the handler's read of the counter, at most */
#define GUEST_LATE	3

#define GUEST_READS	64	/* reads of the counter between two reports of guest_read */

/* Bits that tell guest_storm what to program, in this order */
#define STORM_STOP	0	/* PMCNTENCLR_EL0 */
#define STORM_PMCR	1
#define STORM_PMCCNTR	2
#define STORM_PMCCFILTR	3
#define STORM_PMINTEN	4	/* off and on again */
#define STORM_START	5	/* PMCNTENSET_EL0 */
/* Nanoseconds. An exit to the host takes thousands of instructions, which is longer. */
#define STORM_GAP	1000

#ifdef __ASSEMBLER__

#define PMU_CYCLE_BIT	(1 << 31)
#define PMCR_E		(1 << 0)
#define PMCR_LC		(1 << 6)

	/* Reports a register to the test; x19 has the address of the window */
	.macro	report offset, reg
	str	\reg, [x19, #\offset]
	.endm

	/* Leaves the value in x0 */
	.macro	report_register name
	mrs	x0, \name
	report	GUEST_VALUE, x0
	.endm

#else

/*
 * Operations of guest_step, in the order of its table: write the operand to a register, mask
 * interrupts, wait for an interrupt
 */
enum operation {
	OP_NONE, OP_PMCCNTR, OP_PMCR, OP_PMCCFILTR, OP_PMCNTENSET, OP_PMCNTENCLR, OP_PMOVSCLR,
	OP_PMINTENSET, OP_PMINTENCLR,
	OP_MDCR, OP_MASK, OP_WFI, OPERATIONS,
};

extern const char guest_image[], guest_image_end[];
/* The programs */
extern const char guest_count[], guest_idle[], guest_program[], guest_read[], guest_write[],
	guest_step[], guest_step_on[], guest_identify[], guest_event_counter[],
	guest_selected_counter[], guest_storm[];
#endif

#endif
