#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Claim: the kernel's own semantic patches have nothing to report of what the Linux series adds.
# Runs alone: compilers take all CPUs.
set -euo pipefail

exec "$(dirname "$0")/../linux-static.t" coccicheck
