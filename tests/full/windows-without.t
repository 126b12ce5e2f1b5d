#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Claim: without pmu-hybrid the Windows test fails as Windows does, on either kernel: the cycle counter stands still.
set -euo pipefail
# shellcheck source=../../scripts/lib.sh
. "$(dirname "$0")/../../scripts/lib.sh"
# shellcheck source=../tap.sh
. "$TOP/tests/tap.sh"
# shellcheck source=../avocado/windows.sh
. "$TOP/tests/avocado/windows.sh"

STOPPED="not ok 1 .* expected a Windows that lives, got 'STOP: divide by zero"
TMP=$(mktemp -d)
trap 'rm -rf "$TMP"' EXIT
check "stock kernel" on_ours "$STOPPED" -p cpu=host -p kernel=stock
check "patched kernel" on_ours "$STOPPED" -p cpu=host -p kernel=patched
finish
