#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Claim: the cycle counter counts exactly on the CPUs of three PMUs.
set -euo pipefail

exec "$(dirname "$0")/../kernel/run" counting all --kernel patched --icount --topology tricluster
