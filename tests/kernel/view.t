#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Claim: a guest with fixed counters only sees no event counter, see view.c.
set -euo pipefail

exec "$(dirname "$0")/run" view all --kernel patched --icount
