#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Claim: what the series costs stays below the bars of bench/figures.py, no cycle is lost, and the bench sees what costs too much:
# the series without its last patch.
set -euo pipefail
exec /usr/bin/python3 "$(dirname "$0")/../bench/bench.py" --tap
