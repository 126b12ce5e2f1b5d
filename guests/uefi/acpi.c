// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Reads what guests need from ACPI's tables, by the names of ACPI 6.5; the counterpart of lib/dt.c.
 */
#include <string.h>

#include "uefi.h"

#define PACKED	__attribute__((packed))

/* 5.2.5.3 */
struct PACKED rsdp {
	char Signature[8];
	uint8_t Checksum;
	char OEMID[6];
	uint8_t Revision;
	uint32_t RsdtAddress, Length;
	uint64_t XsdtAddress;
};

/* 5.2.6 */
struct PACKED header {
	char Signature[4];
	uint32_t Length;
	uint8_t Revision, Checksum;
	char OEMID[6], OEMTableID[8];
	uint32_t OEMRevision, CreatorID, CreatorRevision;
};

/* 5.2.8 */
struct PACKED xsdt {
	struct header header;
	uint64_t Entry[];
};

/* 5.2.9 */
#define PSCI_COMPLIANT	(1 << 0)
#define PSCI_USE_HVC	(1 << 1)
struct PACKED fadt {
	struct header header;
	uint8_t of_other_machines[93];
	uint16_t ARM_BOOT_ARCH;
};

/* 5.2.12, 5.2.12.14 */
#define GICC		0xb
#define GICC_ENABLED	(1 << 0)
#define GICC_MPIDR_AFFINITY 0xff00ffffffUL
#define PMU_INTERRUPT	23
struct PACKED madt {
	struct header header;
	uint32_t LocalInterruptControllerAddress, Flags;
	uint8_t structures[];
};
struct PACKED gicc {
	uint8_t Type, Length;
	uint16_t Reserved;
	uint32_t CPUInterfaceNumber, ACPIProcessorUID, Flags, ParkingProtocolVersion,
		PerformanceInterruptGSIV;
	uint64_t ParkedAddress, PhysicalBaseAddress, GICV, GICH;
	uint32_t VGICMaintenanceInterrupt;
	uint64_t GICRBaseAddress, MPIDR;
};

/* Microsoft's Serial Port Console Redirection Table; interface types of its DBG2 table */
#define SPCR_PL011	3
struct PACKED spcr {
	struct header header;
	uint8_t InterfaceType, Reserved[3];
	struct PACKED {
		uint8_t AddressSpaceID, RegisterBitWidth, RegisterBitOffset, AccessSize;
		uint64_t Address;
	} BaseAddress;
};

static const struct xsdt *xsdt;

static const void *find_table(const char *signature)
{
	size_t count = (xsdt->header.Length - sizeof(*xsdt)) / sizeof(xsdt->Entry[0]);

	for (size_t i = 0; i < count; i++) {
		const struct header *table = (const void *)xsdt->Entry[i];

		if (!memcmp(table->Signature, signature, sizeof(table->Signature)))
			return table;
	}
	return NULL;
}

static const void *need_table(const char *signature)
{
	const void *table = find_table(signature);

	if (!table)
		fail("the firmware has no ACPI table %s", signature);
	return table;
}

void platform_init(const void *tables)
{
	const struct rsdp *rsdp = tables;

	if (!rsdp || memcmp(rsdp->Signature, "RSD PTR ", sizeof(rsdp->Signature)) ||
	    !rsdp->XsdtAddress)
		fail("the firmware has no ACPI tables; start the VM with ACPI");
	xsdt = (const void *)rsdp->XsdtAddress;
}

uint64_t platform_uart_base(void)
{
	const struct spcr *spcr = find_table("SPCR");

	return spcr && spcr->InterfaceType == SPCR_PL011 ? spcr->BaseAddress.Address : DEFAULT_UART;
}

/* These are in the DSDT, which is bytecode; guests use the UART instead. */
bool platform_next_virtio(int *node, uint64_t *base)
{
	(void)node;
	(void)base;
	return false;
}

bool platform_psci_uses_smc(void)
{
	const struct fadt *fadt = need_table("FACP");

	if (!(fadt->ARM_BOOT_ARCH & PSCI_COMPLIANT))
		fail("the firmware has no PSCI, FADT.ARM_BOOT_ARCH is 0x%x", fadt->ARM_BOOT_ARCH);
	return !(fadt->ARM_BOOT_ARCH & PSCI_USE_HVC);
}

/* The next enabled CPU of the MADT from *offset on, which moves behind it; NULL for none. */
static const struct gicc *next_cpu(size_t *offset)
{
	const struct madt *madt = need_table("APIC");

	while (*offset + sizeof(struct gicc) <= madt->header.Length - sizeof(*madt)) {
		const struct gicc *gicc = (const void *)(madt->structures + *offset);

		if (gicc->Length < 2)
			fail("a structure of the MADT has length %u", gicc->Length);
		*offset += gicc->Length;
		if (gicc->Type == GICC && gicc->Flags & GICC_ENABLED)
			return gicc;
	}
	return NULL;
}

unsigned int platform_cpus(uint64_t *mpidr, unsigned int max)
{
	const struct gicc *cpu;
	unsigned int count = 0;
	size_t offset = 0;

	while ((cpu = next_cpu(&offset))) {
		if (count < max)
			mpidr[count] = cpu->MPIDR;
		count++;
	}
	return count;
}

/* What Windows needs: DBG2, GTDT, the boot CPU first, and the PMU interrupt of the BSA. */
uint32_t acpi_check(void)
{
	uint64_t self = read_sysreg(mpidr_el1) & GICC_MPIDR_AFFINITY;
	const struct gicc *cpu;
	unsigned int count = 0;
	size_t offset = 0;

	need_table("DBG2");
	need_table("GTDT");
	while ((cpu = next_cpu(&offset))) {
		if (!count++ && cpu->MPIDR != self)
			fail("the first GICC of the MADT has MPIDR 0x%lx, the boot CPU has 0x%lx",
			     cpu->MPIDR, self);
		if (cpu->PerformanceInterruptGSIV != PMU_INTERRUPT)
			fail("GICC %u of the MADT has PMU interrupt %u; Windows expects %u",
			     count - 1, cpu->PerformanceInterruptGSIV, PMU_INTERRUPT);
	}
	if (!count)
		fail("the MADT has no enabled GICC");
	return PMU_INTERRUPT;
}

static void hide_table(const char *signature)
{
	memcpy(((struct header *)need_table(signature))->Signature, "none", sizeof("none") - 1);
}

static void swap_cpus(struct gicc *one, struct gicc *other)
{
	uint64_t mpidr = one->MPIDR;

	one->MPIDR = other->MPIDR;
	other->MPIDR = mpidr;
}

/* Changes the firmware's own tables, for tests of acpi_check(). */
void acpi_spoil(enum acpi_fault fault)
{
	struct gicc *cpus[2] = { NULL }, *cpu;
	unsigned int count = 0;
	size_t offset = 0;

	while ((cpu = (struct gicc *)next_cpu(&offset))) {
		/* the first, and the last so far */
		cpus[!!count++] = cpu;
		if (fault == ACPI_NO_CPU)
			cpu->Flags &= ~GICC_ENABLED;
	}
	if (count < ARRAY_SIZE(cpus))
		fail("acpi= needs more than one vCPU, the MADT has %u", count);
	switch (fault) {
	case ACPI_NO_DBG2: hide_table("DBG2"); break;
	case ACPI_NO_GTDT: hide_table("GTDT"); break;
	case ACPI_NO_MADT: hide_table("APIC"); break;
	case ACPI_LENGTH: cpus[0]->Length = 0; break;
	case ACPI_ORDER: swap_cpus(cpus[0], cpus[1]); break;
	case ACPI_NO_INTERRUPT: cpus[0]->PerformanceInterruptGSIV = 0; break;
	case ACPI_LAST_INTERRUPT: cpus[1]->PerformanceInterruptGSIV = PMU_INTERRUPT + 1; break;
	case ACPI_NO_CPU:
	case ACPI_SOUND: break;
	}
}
