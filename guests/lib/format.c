// SPDX-License-Identifier: GPL-2.0-or-later
#include <string.h>

#include "internal.h"

struct out {
	char *buf;
	size_t size, len;
};

static void put(struct out *out, char c)
{
	if (out->len + 1 < out->size)
		out->buf[out->len++] = c;
}

static void put_string(struct out *out, const char *s)
{
	while (*s)
		put(out, *s++);
}

static void put_number(struct out *out, uint64_t n, unsigned int base)
{
	char digits[20];	/* as many as 2^64 - 1 has */
	size_t len = 0;

	do {
		digits[len++] = "0123456789abcdef"[n % base];
		n /= base;
	} while (n);
	while (len)
		put(out, digits[--len]);
}

static void put_signed(struct out *out, int64_t n)
{
	if (n < 0)
		put(out, '-');
	put_number(out, n < 0 ? -(uint64_t)n : (uint64_t)n, 10);
}

size_t format(char *buf, size_t size, const char *fmt, va_list ap)
{
	struct out out = { .buf = buf, .size = size };

	for (; *fmt; fmt++) {
		bool is_long = false;

		if (*fmt != '%') {
			put(&out, *fmt);
			continue;
		}
		if (*++fmt == 'l') {
			is_long = true;
			fmt++;
		}
		switch (*fmt) {
		case 's':
			put_string(&out, va_arg(ap, const char *));
			break;
		case 'c':
			put(&out, va_arg(ap, int));
			break;
		case 'd':
			put_signed(&out, is_long ? va_arg(ap, int64_t) : va_arg(ap, int));
			break;
		case 'u':
		case 'x':
			put_number(&out, is_long ? va_arg(ap, uint64_t) : va_arg(ap, unsigned int),
				   *fmt == 'x' ? 16 : 10);
			break;
		case '%':
			put(&out, '%');
			break;
		default:
			put_string(&out, "(bad format)");
			buf[out.len] = 0;
			return out.len;
		}
	}
	buf[out.len] = 0;
	return out.len;
}
