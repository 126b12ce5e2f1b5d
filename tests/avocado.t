#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Claim: the core of the Avocado tests passes on emulated hosts; see docs/avocado.md. The rest is tests/full/avocado.t.
exec "$(dirname "$0")/avocado/run" --tap --filter-by-tags core
