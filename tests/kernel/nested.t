#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Claim: a guest with EL2 sees no event counter and cannot get one, see nested.c.
set -euo pipefail

exec "$(dirname "$0")/run" nested all --kernel patched --icount --append kvm-arm.mode=nested
