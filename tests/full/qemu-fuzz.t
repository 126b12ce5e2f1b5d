#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Claim: as tests/qemu-fuzz.t, for five minutes and with a seed of its own.
set -euo pipefail

exec "$(dirname "$0")/../qemu-fuzz.t" 300
