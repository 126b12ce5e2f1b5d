#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Claim: a guest counts again once the host has released the hardware counters it had taken, see taken.c.
set -euo pipefail

exec "$(dirname "$0")/run" taken all --kernel patched --icount
