#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Claim: the kernel's fixed counters only mode works on the two-PMU host, see pmu-fixed.c.
set -euo pipefail

exec "$(dirname "$0")/run-pmu-fixed" all --kernel patched --icount
