/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Shared by the files of the library. */
#ifndef INTERNAL_H
#define INTERNAL_H

#include <stdarg.h>

#include "guest.h"

/* vcpu.S */
extern char start_secondary[];

/* dt.c from the device tree, uefi/acpi.c from ACPI's tables */
void platform_init(const void *tables);
uint64_t platform_uart_base(void);
/* The base of the virtio-mmio transport after *node, the first one for 0; false for none. */
bool platform_next_virtio(int *node, uint64_t *base);
bool platform_psci_uses_smc(void);
const char *platform_bootargs(void);
/* Fills mpidr[] with the affinity of each CPU, returns their number, which may be more than max. */
unsigned int platform_cpus(uint64_t *mpidr, unsigned int max);

/* smp.c */
void smp_init(void);

/* One plain load or store of 32 bits: KVM cannot emulate all that a compiler might use instead. */
static inline uint32_t mmio_read(uint64_t address)
{
	uint32_t value;

	asm volatile("ldr %w0, [%1]" : "=r"(value) : "r"(address) : "memory");
	return value;
}

static inline void mmio_write(uint64_t address, uint32_t value)
{
	asm volatile("str %w0, [%1]" : : "r"(value), "r"(address) : "memory");
}

/* uart.c: DEFAULT_UART, that of QEMU's virt machine, is used until uart_init() */
#define DEFAULT_UART	0x09000000
void uart_init(uint64_t base);
void uart_write(const char *text, size_t len);

/* virtio-console.c: init returns false when there is none at that base */
bool virtio_console_init(uint64_t base);
void virtio_console_write(const char *text, size_t len);

/* report.c: to the virtio console if the machine has one, else to the UART */
void output_init(void);
/* To print several lines in one go: hold the output, print with print_held(), release it. */
bool output_try_hold(void);
void output_hold(void);
void output_release(void);
void print_held(const char *fmt, ...) PRINTF(1, 2);

/* format.c: returns the length of the text, cut off at size - 1 */
size_t format(char *buf, size_t size, const char *fmt, va_list ap);

/* psci.c */
void psci_init(void);
int64_t psci_cpu_on(uint64_t mpidr, uint64_t entry, uint64_t context);
void psci_system_off(void) NORETURN;

/* called by start.S or uefi/start.S, by vcpu.S, and by run.S for an exception outside of run() */
void lib_boot(const void *tables) NORETURN;
void lib_secondary(void) NORETURN;
void lib_exception(uint64_t vector, uint64_t esr, uint64_t elr, uint64_t far) NORETURN;

#endif
