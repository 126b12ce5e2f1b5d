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
#define DESC_AF		(1 << 10)
#define DESC_XN		(3 << 53)
#define RAM_GIBS	255	/* above are devices again */

#define HCR_RW		(1 << 31)
#define CPTR_EL2_RES1	0x33ff
#define CNTHCTL_EL1_ALL	3
#define SPSR_EL1H_DAIF	0x3c5

#define ID_DFR0_PMUVER_SHIFT	8
#define ID_PMUVER_NONE		0x0
#define ID_PMUVER_IMPDEF	0xf

#define PMCR_E		(1 << 0)
#define PMCR_C		(1 << 2)
#define PMCR_LC		(1 << 6)
#define PMCR_N_SHIFT	11
#define PMCR_N_BITS	5
#define PMCNTEN_C	(1 << 31)

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

#endif
#endif
