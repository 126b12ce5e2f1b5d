#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Claim: the vCPU attribute for fixed counters only, and those that exclude it, return what is documented, see attributes.c.
set -euo pipefail

exec "$(dirname "$0")/run" attributes all --kernel patched --icount
