/* SPDX-License-Identifier: GPL-2.0-or-later */
/* libfdt includes it; the files of it that we build take nothing from it. */
