#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Claim: without pmu-hybrid the migration stream is that of the QEMU without the series, and each of the two loads the other's.
exec "$(dirname "$0")/qemu/boot" stock biglittle migration_base
