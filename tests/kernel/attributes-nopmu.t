#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Claim: a host without a PMU refuses all of it.
set -euo pipefail

exec "$(dirname "$0")/run" attributes nopmu --kernel patched --icount --topology nopmu
