#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Claim: without our series a counter stands still on some CPUs, or the vCPU does not run there.
set -euo pipefail

exec "$(dirname "$0")/run" counting unused --kernel stock --icount
