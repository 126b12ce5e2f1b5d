#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Claim: a guest with pmu-hybrid=on migrates to a host with other PMUs with the backend it has, or stays where it is. The whole table
# is in tests/full/qemu-migration-*.t.
exec "$(dirname "$0")/qemu/migration-hosts" patched tricluster "to (one cluster|stray)"
