/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Empty: the compiler's limits.h includes the C library's, of which libfdt needs nothing. */
