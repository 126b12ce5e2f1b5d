#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Claim: overflow interrupts that are 2^32 cycles apart come on time, in any VM. Too slow for instruction counting.
set -euo pipefail

exec "$(dirname "$0")/../kernel/run" overflow wraparound --kernel patched
