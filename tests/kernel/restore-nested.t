#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Claim: the cycle counter of a guest at EL2 follows MDCR_EL2, whoever writes it.
set -euo pipefail

exec "$(dirname "$0")/run" restore nested --kernel patched --icount --append kvm-arm.mode=nested
