#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Claim: the choice of pmu-hybrid=on on a host with three PMUs; some of them are not enough.
exec "$(dirname "$0")/qemu/boot" patched tricluster choice
