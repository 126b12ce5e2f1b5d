#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Claim: a long storm breaks nothing either, with three PMUs.
# Runs alone: races need CPUs.
set -euo pipefail

export STORM_SECONDS=${STORM_SECONDS:-480}
# What a storm adds to its length: looking for leaks, and waiting for what may hang
exec "$(dirname "$0")/../kernel/run" storm all --kernel debug --topology tricluster \
	--boot-timeout 300 --timeout $((STORM_SECONDS + 600))
