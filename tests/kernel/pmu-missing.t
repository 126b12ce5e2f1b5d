#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Claim: a kernel without our series says that it lacks the mode, and its default PMU stands still on some CPUs.
set -euo pipefail

exec "$(dirname "$0")/run-pmu-fixed" missing --kernel stock --icount
