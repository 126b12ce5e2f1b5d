// SPDX-License-Identifier: GPL-2.0-or-later
#include "internal.h"

#define LINE_MAX	240
#define NOBODY		0

/* The vCPU that may write: its index + 1, or NOBODY. */
static unsigned int holder;
static void (*write_text)(const char *text, size_t len) = uart_write;

void output_init(void)
{
	uint64_t base;
	int node = 0;

	uart_init(platform_uart_base());
	while (platform_next_virtio(&node, &base)) {
		if (virtio_console_init(base)) {
			write_text = virtio_console_write;
			return;
		}
	}
}

bool output_try_hold(void)
{
	unsigned int expected = NOBODY;

	return __atomic_compare_exchange_n(&holder, &expected, vcpu_index() + 1, false,
					   __ATOMIC_ACQUIRE, __ATOMIC_RELAXED);
}

void output_hold(void)
{
	while (!output_try_hold())
		asm volatile("yield");
}

void output_release(void)
{
	__atomic_store_n(&holder, NOBODY, __ATOMIC_RELEASE);
}

/* Cuts a line that is too long and marks its end; it still ends with a newline. */
static void write_line(const char *prefix, const char *fmt, va_list ap)
{
	char line[LINE_MAX];
	size_t len = 0;

	while (*prefix)
		line[len++] = *prefix++;
	len += format(line + len, sizeof(line) - 1 - len, fmt, ap);
	if (len == sizeof(line) - 2)
		line[len - 1] = '~';
	line[len++] = '\n';
	write_text(line, len);
}

void print_held(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	write_line("", fmt, ap);
	va_end(ap);
}

void print(const char *fmt, ...)
{
	va_list ap;

	output_hold();
	va_start(ap, fmt);
	write_line("", fmt, ap);
	va_end(ap);
	output_release();
}

/* Does not release the output: the verdict is the last line, whatever other vCPUs want to print. */
void end_with(const char *verdict, const char *fmt, ...)
{
	va_list ap;

	/* an exception or a verdict may come up while this very vCPU holds the output */
	if (__atomic_load_n(&holder, __ATOMIC_RELAXED) != vcpu_index() + 1)
		output_hold();
	va_start(ap, fmt);
	write_line(verdict, fmt, ap);
	va_end(ap);
	psci_system_off();
}
