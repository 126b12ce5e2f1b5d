#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Claim: the cycle counter counts exactly what the guest executes, wherever it goes and whatever it does to the counter, see moves.c.
set -euo pipefail

exec "$(dirname "$0")/run" moves all --kernel patched --icount
