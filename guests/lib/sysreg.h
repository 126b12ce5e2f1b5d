/* SPDX-License-Identifier: GPL-2.0-or-later */
/* System registers as the Arm ARM names them; shared by C and assembler. */
#ifndef SYSREG_H
#define SYSREG_H

#define MAX_VCPUS	64
#define STACK_SHIFT	13

#define CURRENTEL_EL2	(2 << 2)

/* SCTLR_EL1: RES1 bits of Armv8.0, then what we turn on */
#define SCTLR_RES1	0x30d00800
#define SCTLR_M		(1 << 0)
#define SCTLR_C		(1 << 2)
#define SCTLR_I		(1 << 12)

/* 39 bits of VA, 4 KiB granule: the walk starts at level 1, where an entry maps 1 GiB */
#define TCR_T0SZ_39BIT	25
#define TCR_IRGN0_WBWA	(1 << 8)
#define TCR_ORGN0_WBWA	(1 << 10)
#define TCR_SH0_INNER	(3 << 12)
#define TCR_EPD1	(1 << 23)
#define TCR_IPS_SHIFT	32
#define TCR_IPS_BITS	3

#define MAIR_DEVICE	0x00	/* index 0: Device-nGnRnE */
#define MAIR_NORMAL	0xff	/* index 1: Normal, write-back */

#define DESC_BLOCK	(1 << 0)
#define DESC_NORMAL	(1 << 2)
#define DESC_SH_INNER	(3 << 8)
#define DESC_EL0_RO	(3 << 6)	/* read-only at EL1, too */
#define DESC_AF		(1 << 10)
#define DESC_PXN	(1 << 53)
#define DESC_XN		(3 << 53)
#define RAM_GIBS	255	/* above are devices again */

#define HCR_RW		(1 << 31)
#define CPTR_EL2_RES1	0x33ff
#define CNTHCTL_EL1_ALL	3
#define SPSR_EL1H_DAIF	0x3c5
#define SPSR_EL0T_DAIF	0x3c0

#define ID_DFR0_PMUVER_SHIFT	8
#define ID_PMUVER_NONE		0x0
#define ID_PMUVER_IMPDEF	0xf

/* MRS and MSR (register): 1101 0101 00 L 1 o0 op1 CRn CRm op2 Rt */
#define INSN_SYSREG_MASK	0xffd00000
#define INSN_SYSREG		0xd5100000
#define INSN_SYSREG_READ	(1 << 21)
#define INSN_SYSREG_ID_SHIFT	5
#define INSN_SYSREG_ID(insn)	(((insn) >> INSN_SYSREG_ID_SHIFT) & 0xffff)
#define SYSREG_ID(op0, op1, crn, crm, op2) \
	((((op0) & 3) << 14) | ((op1) << 11) | ((crn) << 7) | ((crm) << 3) | (op2))

#define SYS_PMCR_EL0		SYSREG_ID(3, 3, 9, 12, 0)
#define SYS_PMCNTENSET_EL0	SYSREG_ID(3, 3, 9, 12, 1)
#define SYS_PMCNTENCLR_EL0	SYSREG_ID(3, 3, 9, 12, 2)
#define SYS_PMOVSCLR_EL0	SYSREG_ID(3, 3, 9, 12, 3)
#define SYS_PMSWINC_EL0		SYSREG_ID(3, 3, 9, 12, 4)
#define SYS_PMSELR_EL0		SYSREG_ID(3, 3, 9, 12, 5)
#define SYS_PMCEID0_EL0		SYSREG_ID(3, 3, 9, 12, 6)
#define SYS_PMCEID1_EL0		SYSREG_ID(3, 3, 9, 12, 7)
#define SYS_PMCCNTR_EL0		SYSREG_ID(3, 3, 9, 13, 0)
#define SYS_PMXEVTYPER_EL0	SYSREG_ID(3, 3, 9, 13, 1)
#define SYS_PMXEVCNTR_EL0	SYSREG_ID(3, 3, 9, 13, 2)
#define SYS_PMUSERENR_EL0	SYSREG_ID(3, 3, 9, 14, 0)
#define SYS_PMOVSSET_EL0	SYSREG_ID(3, 3, 9, 14, 3)
#define SYS_PMINTENSET_EL1	SYSREG_ID(3, 0, 9, 14, 1)
#define SYS_PMINTENCLR_EL1	SYSREG_ID(3, 0, 9, 14, 2)
#define SYS_PMMIR_EL1		SYSREG_ID(3, 0, 9, 14, 6)
#define SYS_PMCCFILTR_EL0	SYSREG_ID(3, 3, 14, 15, 7)

#define ESR_EC_SHIFT	26
#define ESR_EC(esr)	((esr) >> ESR_EC_SHIFT & 0x3f)
#define ESR_EC_UNKNOWN	0x00	/* UNDEFINED instructions */
#define ESR_EC_SVC	0x15
#define ESR_EC_SYSREG	0x18	/* a trapped MSR or MRS */

#define PMCR_E		(1 << 0)
#define PMCR_P		(1 << 1)
#define PMCR_C		(1 << 2)
#define PMCR_D		(1 << 3)
#define PMCR_DP		(1 << 5)
#define PMCR_LC		(1 << 6)
#define PMCR_LP		(1 << 7)
#define PMCR_FZO	(1 << 9)
#define PMCR_N_SHIFT	11
#define PMCR_N_BITS	5
#define PMCNTEN_C	(1 << 31)
#define PMUSERENR_EN	(1 << 0)
#define PMUSERENR_SW	(1 << 1)
#define PMUSERENR_CR	(1 << 2)
#define PMUSERENR_ER	(1 << 3)
#define PMUSERENR_ALL	0xf

#ifndef __ASSEMBLER__

#include <stdint.h>

#define read_sysreg(reg) ({						\
	uint64_t value_;						\
	asm volatile("mrs %0, " #reg : "=r"(value_) : : "memory");	\
	value_;								\
})

#define write_sysreg(value, reg)					\
	asm volatile("msr " #reg ", %0" : : "r"((uint64_t)(value)) : "memory")

static inline void isb(void)
{
	asm volatile("isb" : : : "memory");
}

/* What follows sees the effect of the write. */
#define write_sysreg_isb(value, reg) ({					\
	write_sysreg(value, reg);					\
	isb();								\
})

#endif
#endif
