// SPDX-License-Identifier: GPL-2.0-or-later
/* PL011, polled. */
#include "internal.h"

#define UARTDR		0x00
#define UARTFR		0x18
#define UARTFR_RXFE	(1 << 4)
#define UARTFR_TXFE	(1 << 7)
#define UARTLCR_H	0x2c
#define UARTLCR_H_FEN	(1 << 4)
#define UARTLCR_H_8BIT	(3 << 5)
#define UARTCR		0x30
#define UARTCR_UARTEN	(1 << 0)
#define UARTCR_TXE	(1 << 8)
#define UARTCR_RXE	(1 << 9)
#define FIFO_DEPTH	16	/* of the PL011's first revisions; later ones have 32 */

static uint64_t uart = DEFAULT_UART;

void uart_init(uint64_t base)
{
	uart = base;
	mmio_write(uart + UARTLCR_H, UARTLCR_H_FEN | UARTLCR_H_8BIT);
	mmio_write(uart + UARTCR, UARTCR_UARTEN | UARTCR_TXE | UARTCR_RXE);
}

/* Each access is an exit of the vCPU, so it reads the state only once for a full FIFO. */
void uart_write(const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		if (i % FIFO_DEPTH == 0)
			while (!(mmio_read(uart + UARTFR) & UARTFR_TXFE))
				;
		mmio_write(uart + UARTDR, (unsigned char)text[i]);
	}
}

bool has_input(void)
{
	return !(mmio_read(uart + UARTFR) & UARTFR_RXFE);
}

void take_input(void)
{
	while (has_input())
		mmio_read(uart + UARTDR);
}
