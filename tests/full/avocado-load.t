#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Claim: many VMs live under load, as the Avocado tests tagged so have it; see docs/avocado.md.
# Runs alone: the load is theirs.
exec "$(dirname "$0")/../avocado/run" --tap --filter-by-tags load
