#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Claim: random sequences of calls, see tests/kernel/random.t, give the debug kernel nothing to report either.
set -euo pipefail

exec env COUNT="${COUNT:-500}" "$(dirname "$0")/../kernel/run" random all --kernel debug --boot-timeout 300 --timeout 1800
