#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Claim: the cycle counter loses nothing when the vCPU moves while the guest or KVM is at it, see counting.c.
set -euo pipefail

exec "$(dirname "$0")/run" counting all --kernel patched --icount
