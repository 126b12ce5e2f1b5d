#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Claim: as qemu-migration-biglittle.t, to a kernel without the fixed-counters mode.
exec "$(dirname "$0")/../qemu/migration-hosts" stock biglittle
