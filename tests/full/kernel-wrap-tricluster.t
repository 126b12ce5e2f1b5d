#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Claim: overflows are signalled at the wrap on a host with three PMUs.
set -euo pipefail

exec "$(dirname "$0")/../kernel/run" wrap all --kernel patched --icount --topology tricluster
