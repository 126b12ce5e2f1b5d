#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Claim: the cycle counter loses nothing when the vCPU moves between three PMUs while the guest or KVM is at it.
set -euo pipefail

exec "$(dirname "$0")/../kernel/run" counting all --kernel patched --icount --topology tricluster
