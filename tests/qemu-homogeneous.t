#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Claim: pmu-hybrid=on finds the one PMU of a host without clusters, fixed-counters mode or not.
exec "$(dirname "$0")/qemu/boot" patched homogeneous choice
