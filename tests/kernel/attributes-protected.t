#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Claim: a protected hypervisor changes nothing for ordinary VMs, and has no PMU for protected ones.
set -euo pipefail

exec "$(dirname "$0")/run" attributes protected --kernel patched --append kvm-arm.mode=protected
