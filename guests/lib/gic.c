// SPDX-License-Identifier: GPL-2.0-or-later
/* The GICv3 of QEMU's virt machine: only what private interrupts need. */
#include "internal.h"

#define GICD_CTLR	0x08000000UL
#define GICD_CTLR_ARE_G1 0x12
#define GICR		0x080a0000UL		/* the boot vCPU's redistributor */
#define GICR_STRIDE	0x20000UL
#define GICR_WAKER	0x14
#define GICR_WAKER_SLEEP 2			/* ProcessorSleep */
#define GICR_WAKER_ASLEEP 4			/* ChildrenAsleep */
#define GICR_IGROUPR0	0x10080
#define GICR_ISENABLER0	0x10100
#define GICR_ISPENDR0	0x10200
#define ICC_PMR_EL1	s3_0_c4_c6_0
#define ICC_IGRPEN1_EL1	s3_0_c12_c12_7

/* ID_AA64PFR0_EL1.GIC: the system registers of the CPU interface */
#define PFR0_GIC_SHIFT	24
#define PFR0_GIC_MASK	0xf

bool gic_is_there(void)
{
	return read_sysreg(id_aa64pfr0_el1) >> PFR0_GIC_SHIFT & PFR0_GIC_MASK;
}

static uint64_t redistributor(void)
{
	return GICR + vcpu_index() * GICR_STRIDE;
}

void gic_enable(uint32_t interrupts)
{
	uint64_t base = redistributor();

	mmio_write(GICD_CTLR, GICD_CTLR_ARE_G1);
	mmio_write(base + GICR_WAKER, mmio_read(base + GICR_WAKER) & ~GICR_WAKER_SLEEP);
	while (mmio_read(base + GICR_WAKER) & GICR_WAKER_ASLEEP)
		;
	mmio_write(base + GICR_IGROUPR0, interrupts);
	mmio_write(base + GICR_ISENABLER0, interrupts);
	write_sysreg(0xff, ICC_PMR_EL1);
	write_sysreg(1, ICC_IGRPEN1_EL1);
	isb();
}

bool gic_is_pending(unsigned int interrupt)
{
	return mmio_read(redistributor() + GICR_ISPENDR0) >> interrupt & 1;
}
