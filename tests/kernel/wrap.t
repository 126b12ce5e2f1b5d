#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Claim: overflows of the cycle counter are signalled at the wrap, once, wherever the vCPU is or was, see wrap.c.
set -euo pipefail

exec "$(dirname "$0")/run" wrap all --kernel patched --icount
