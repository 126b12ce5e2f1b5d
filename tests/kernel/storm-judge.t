#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Claim: the storm tells what a counter may do from what it may not, see storm-judge.c.
set -euo pipefail

exec "$(dirname "$0")/run" storm judge --kernel patched
