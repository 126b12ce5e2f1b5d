#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Claim: the same for guests with EL2: they get no event counter either.
set -euo pipefail

exec "$(dirname "$0")/run" attributes nested --kernel patched --icount --append kvm-arm.mode=nested
