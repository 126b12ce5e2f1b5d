#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Claim: the Avocado tests that are not core pass on emulated hosts; see docs/avocado.md. Windows has programs of its own.
exec "$(dirname "$0")/../avocado/run" --tap --filter-by-tags=-core,-windows --filter-by-tags-include-empty
