/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the files of the library are to each other. */
#ifndef INTERNAL_H
#define INTERNAL_H

#include <stdarg.h>

#include "guest.h"

/* start.S */
extern char start_secondary[];

/* dt.c */
void dt_init(const void *fdt);
uint64_t dt_uart_base(void);
bool dt_psci_uses_smc(void);
const char *dt_bootargs(void);
/* Fills mpidr[] with the affinity of each CPU, returns their number, which may be more than max. */
unsigned int dt_cpus(uint64_t *mpidr, unsigned int max);

/* smp.c */
void smp_init(void);

/* uart.c */
void uart_init(uint64_t base);
void uart_write(const char *text, size_t len);

/* format.c: returns the length of the text, cut off at size - 1 */
size_t format(char *buf, size_t size, const char *fmt, va_list ap);

/* psci.c */
void psci_init(void);
long psci_cpu_on(uint64_t mpidr, uint64_t entry, uint64_t context);
void psci_system_off(void) NORETURN;

/* called by start.S */
void lib_boot(const void *fdt) NORETURN;
void lib_secondary(void) NORETURN;
void lib_exception(uint64_t vector, uint64_t esr, uint64_t elr, uint64_t far) NORETURN;

#endif
