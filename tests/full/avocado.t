#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Claim: the Avocado tests that are not core pass on emulated hosts; see docs/avocado.md. Load and Windows have programs of their own.
exec "$(dirname "$0")/../avocado/run" --tap --filter-by-tags=-core,-load,-windows --filter-by-tags-include-empty
