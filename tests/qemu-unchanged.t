#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Claim: without pmu-hybrid QEMU sends KVM the same ioctls as the QEMU without the series.
exec "$(dirname "$0")/qemu/boot" stock biglittle unchanged
