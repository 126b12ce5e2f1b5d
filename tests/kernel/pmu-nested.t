#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Claim: guests with EL2 see no event counter either in the fixed counters only mode.
set -euo pipefail

exec "$(dirname "$0")/run-pmu-fixed" nested --kernel patched --icount --append kvm-arm.mode=nested
