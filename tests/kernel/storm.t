#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Claim: a short storm of VMs, moves and CPUs that come and go breaks nothing, see storm.c; the debug kernel has nothing to report.
# Runs alone: races need CPUs.
set -euo pipefail

# It boots for longer than others
exec "$(dirname "$0")/run" storm all --kernel debug --boot-timeout 300
