#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Claim: as tests/kernel/moves.t, with KVM's run loop at EL1 and its world switch at EL2, where other code decides what counts at EL0.
set -euo pipefail

exec "$(dirname "$0")/../kernel/run" moves all --kernel patched --icount --append kvm-arm.mode=nvhe
