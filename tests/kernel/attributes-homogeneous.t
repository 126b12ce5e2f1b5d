#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Claim: the attribute is the same on a host with one PMU.
set -euo pipefail

exec "$(dirname "$0")/run" attributes all --kernel patched --icount --topology homogeneous
