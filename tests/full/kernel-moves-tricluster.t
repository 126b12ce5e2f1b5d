#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Claim: the cycle counter counts exactly over 10,000 moves between three PMUs.
set -euo pipefail

exec "$(dirname "$0")/../kernel/run" moves many --kernel patched --icount --topology tricluster
