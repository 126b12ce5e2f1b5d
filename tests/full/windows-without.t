#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Claim: without pmu-hybrid the Windows test fails as Windows does, on both kernels, as the cycle
# counter stands still. If the guest hangs, the test says so, and where. It tells a guest that
# answers on a port from one that does not.
set -euo pipefail
# shellcheck source=../tap.sh
. "$(dirname "$0")/../tap.sh"
# shellcheck source=../avocado/windows.sh
. "$TOP/tests/avocado/windows.sh"

STOPPED="not ok 1 .* expected a Windows that lives, got 'STOP: divide by zero"
check "stock kernel" on_ours "$STOPPED" -p cpu=host -p kernel=stock
check "patched kernel" on_ours "$STOPPED" -p cpu=host -p kernel=patched
make_image fault=hang
check "a hang" on_ours "not ok 1 .* in vain for an answer after the moves. It hangs: .*\
 vCPU 0 spins at 0x[0-9a-f]+; vCPU 1 spins" -p moves=20
make_image listen=3389
check "Remote Desktop answers" on_network "ok 1 - test_windows\.py:Windows\.test_lives 1\.\.1 *$" \
	-p ready=tcp:3389 -p moves=20
unset IMAGE
check "nothing listens" on_network \
	"not ok 1 .* in vain for Windows to be up. It is slow: .* the console: .*delta vcpu=" \
	-p boot_seconds=120
finish
