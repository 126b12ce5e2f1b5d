#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Claim: on a kernel without the fixed-counters mode, pmu-hybrid=on takes the one PMU that covers the vCPU threads, or refuses so
# that pinning and "cont" still lead to a running guest; it pauses VMs that leave their PMU's CPUs, and migrates the choice.
exec "$(dirname "$0")/qemu/boot" stock biglittle choice order refusal fail_entry property migration
