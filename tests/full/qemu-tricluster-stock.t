#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Claim: as tests/qemu-tricluster.t, but a kernel without the fixed-counters mode refuses.
exec "$(dirname "$0")/../qemu/boot" stock tricluster choice
