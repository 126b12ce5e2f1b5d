#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Claim: as qemu-migration-biglittle.t, to a host with three other PMUs.
exec "$(dirname "$0")/../qemu/migration-hosts" patched tricluster
