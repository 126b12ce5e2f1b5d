#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Claim: random sequences of calls return what is documented, see random.c.
set -euo pipefail

exec "$(dirname "$0")/run" random all --kernel patched --icount
