#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Claim: as tests/exact.t, of the programs that are not in it.
set -euo pipefail

exec "$(dirname "$0")/../exact.t" full
