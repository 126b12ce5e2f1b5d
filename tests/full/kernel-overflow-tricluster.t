#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Claim: overflow interrupts come once and on time on a host with three PMUs.
set -euo pipefail

exec "$(dirname "$0")/../kernel/run" overflow all --kernel patched --icount --topology tricluster
