#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Claim: the cycle counter counts exactly on the CPUs of both PMUs, see counting.c.
set -euo pipefail

exec "$(dirname "$0")/run" counting all --kernel patched --icount
