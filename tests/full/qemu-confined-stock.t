#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Claim: the choice and its refusal in what management applications lock QEMU into, on a kernel without the fixed-counters mode.
exec "$(dirname "$0")/../qemu/boot" stock biglittle confined
