#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Claim: overflow interrupts of the cycle counter come once and on time, see overflow.c.
set -euo pipefail

exec "$(dirname "$0")/run" overflow all --kernel patched --icount
