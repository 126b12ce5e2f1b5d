#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Claim: pmu-hybrid=on finds the one PMU of a host without clusters, on a kernel without the fixed-counters mode.
exec "$(dirname "$0")/../qemu/boot" stock homogeneous choice
