#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Claim: KVM_CAP_ARM_PMU_V3_FIXED_COUNTERS_ONLY announces the mode. Goes with the patch that adds it, which can be dropped.
set -euo pipefail

exec "$(dirname "$0")/run" attributes capability --kernel patched --icount
