#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Claim: a vCPU that is reset counts as a fresh one does, see reset.c.
set -euo pipefail

exec "$(dirname "$0")/run" reset all --kernel patched --icount
