#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Claim: the stored qemu series is whole: it applies, survives the round trip, owns its files, says why, and pleases checkpatch.
exec "$(dirname "$0")/../scripts/series" check qemu
