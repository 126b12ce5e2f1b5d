#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Claim: a kernel without our series says that it lacks the mode.
set -euo pipefail

exec "$(dirname "$0")/run" attributes missing --kernel stock --icount
