#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Claim: the Windows test passes with the pair on an image that behaves as Windows does, and fails
# without it; see docs/windows.md.
set -euo pipefail
# shellcheck source=tap.sh
. "$(dirname "$0")/tap.sh"
# shellcheck source=avocado/windows.sh
. "$TOP/tests/avocado/windows.sh"

check "without an image the test is cancelled and says how to give one" windows \
	"ok 1 .* # SKIP .* -p windows_image=PATH;"
check "with the pair the test passes" on_ours \
	"ok 1 - test_windows\.py:Windows\.test_lives 1\.\.1 *$"
check "on the stock kernel the test fails: the start is refused" on_ours \
	"not ok 1 .* FAIL: expected the VM to start, got: .* which no single PMU covers" \
	-p kernel=stock
make_image listen=22
check "by default the test waits until port 22 of the guest answers" on_network \
	"ok 1 - test_windows\.py:Windows\.test_lives 1\.\.1 *$" -p moves=20
finish
