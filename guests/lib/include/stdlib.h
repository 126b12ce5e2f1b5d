/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Empty. libfdt includes it, but the files that we build use nothing of it. */
