#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Claim: without pmu-hybrid the Windows test fails as Windows does, on either kernel: the cycle counter stands still. And of a guest that hangs it
# says so, and where.
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
cp --sparse=always "$ARTIFACTS/guests-uefi/winlike.img" "$TMP/hang.img"
"$TOP/guests/uefi/set-parameters" "$TMP/hang.img" fault=hang
IMAGE=$TMP/hang.img check "a hang" on_ours "not ok 1 .* in vain for an answer after the moves. It hangs: .* vCPU 0 spins at 0x[0-9a-f]+; vCPU 1 spins" -p moves=20
finish
