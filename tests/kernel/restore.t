#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Claim: userspace saves and restores a cycle counter exactly, running or not, see restore.c.
set -euo pipefail

exec "$(dirname "$0")/run" restore all --kernel patched --icount
