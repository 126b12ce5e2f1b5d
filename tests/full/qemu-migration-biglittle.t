#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Claim: a guest with pmu-hybrid=on migrates to another host of the same kind with the backend it has, or stays where it is.
exec "$(dirname "$0")/../qemu/migration-hosts" patched biglittle
