#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Claim: the kernel's fixed counters only mode works on a host with three PMUs, see pmu-fixed.c.
set -euo pipefail

exec "$(dirname "$0")/../kernel/run-pmu-fixed" all --kernel patched --icount --topology tricluster
