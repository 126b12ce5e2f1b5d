/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the guest programs and the tests that run them agree on. */
#ifndef GUEST_H
#define GUEST_H

#define GUEST_RAM	0x40000000
#define GUEST_RAM_SIZE	0x10000
#define GUEST_GICD	0x08000000
#define GUEST_GICR	0x080a0000
/* A vCPU's frame */
#define GUEST_GICR_SGI(vcpu)	(GUEST_GICR + (vcpu) * 0x20000 + 0x10000)
#define GUEST_PMU_PPI	23
#define GUEST_WAKE_PPI	20	/* for the test to end a WFI */

/* The window without memory, and the offsets in it */
#define GUEST_MMIO	0x01000000
#define GUEST_VALUE	0x00	/* what was asked for: PMCCNTR_EL0, or a register */
#define GUEST_IRQ	0x08	/* an interrupt was taken: PMCCNTR_EL0 */
#define GUEST_EXCEPTION	0x10	/* any other exception was: ESR_EL1 */
#define GUEST_WINDOW	0x18

#define GUEST_STEP_ON	5	/* instructions of guest_step_on before its first report */
/* Instructions from the wrap to the handler's read of the counter, at most */
#define GUEST_LATE	3

#define GUEST_READS	64	/* of the counter between two reports of guest_read */

/* What guest_storm programs, in this order: bits */
#define STORM_STOP	0	/* PMCNTENCLR_EL0 */
#define STORM_PMCR	1
#define STORM_PMCCNTR	2
#define STORM_PMCCFILTR	3
#define STORM_PMINTEN	4	/* off and on again */
#define STORM_START	5	/* PMCNTENSET_EL0 */
/* Nanoseconds. To the host and back takes thousands of instructions, which are more. */
#define STORM_GAP	1000

#ifdef __ASSEMBLER__

#define PMU_CYCLE_BIT	(1 << 31)
#define PMCR_E		(1 << 0)
#define PMCR_LC		(1 << 6)

	/* To the test; x19 is the window */
	.macro	report offset, reg
	str	\reg, [x19, #\offset]
	.endm

	/* Leaves the value in x0 */
	.macro	report_register name
	mrs	x0, \name
	report	GUEST_VALUE, x0
	.endm

#else

/* Of guest_step, in its order: write the operand to a register, mask interrupts, wait for one */
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
