#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Claim: an unmodified Debian kernel, as guest with fixed counters, counts cycles with its own perf on every CPU that its vCPU
# threads land on, and refuses instructions cleanly; without pmu-hybrid it counts on the CPUs of one PMU only.
exec "$(dirname "$0")/qemu/boot" --icount patched biglittle debian
