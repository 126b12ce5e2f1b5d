#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Claim: the same where guests can have EL2, which makes VMs slow to create.
set -euo pipefail

export SEED=${SEED-$(date +%s)} COUNT=${COUNT-300}
echo "# SEED=$SEED COUNT=$COUNT"
exec "$(dirname "$0")/../kernel/run" random all --kernel patched --icount --append kvm-arm.mode=nested --timeout 1800
