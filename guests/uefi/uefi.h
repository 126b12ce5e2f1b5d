/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Shared by the files of the UEFI guest. */
#ifndef UEFI_H
#define UEFI_H

#include "efi.h"
#include "internal.h"

/* winlike.c: runs before ExitBootServices; guest_main() runs after it */
void loader_main(const EFI_BOOT_SERVICES *services);

/* loader.c: called by start.S when the firmware's translation is off */
void start_kernel(const void *rsdp) NORETURN;
/* loader.c: ends with FAIL if a call of the firmware failed */
void need(EFI_STATUS status, const char *call);

/* loader.c: waits by the firmware's Stall; not after ExitBootServices */
void firmware_stall(uint64_t us);

/* loader.c: a number that survives a reset, 0 until set; not after ExitBootServices */
uint64_t read_reboots(void);
void write_reboots(uint64_t count);

/* listen.c: answers on a TCP port for ever, by the firmware's services */
void listen(const EFI_BOOT_SERVICES *services, uint16_t port) NORETURN;

/*
 * acpi.c: returns the PMUs' interrupt; ends with FAIL if the tables are not as Windows needs them
 */
uint32_t acpi_check(void);

/* acpi.c: puts a fault into the tables for acpi_check() to find; ACPI_SOUND changes nothing. */
enum acpi_fault {
	ACPI_SOUND, ACPI_NO_DBG2, ACPI_NO_GTDT, ACPI_NO_MADT, ACPI_NO_CPU, ACPI_LENGTH, ACPI_ORDER,
	ACPI_NO_INTERRUPT, ACPI_LAST_INTERRUPT,
};
void acpi_spoil(enum acpi_fault fault);

#endif
