#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Claim: as tests/qemu-stock.t, but on our kernel vCPU threads that span PMUs get fixed counters, which count on all CPUs, and
# which a migration keeps.
exec "$(dirname "$0")/qemu/boot" patched biglittle choice order fail_entry property confined migration
