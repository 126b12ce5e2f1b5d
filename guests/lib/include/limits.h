/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The compiler's limits.h, which has all that libfdt needs, asks for the C library's too. */
