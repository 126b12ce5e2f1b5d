#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Claim: a QEMU that has TCG beside KVM chooses the same, also on the machine that needs such a
# build; TCG itself refuses pmu-hybrid.
set -euo pipefail
# shellcheck source=../tap.sh
. "$(dirname "$0")/../tap.sh"

VPMU_QEMU=$("$TOP/scripts/build-qemu" --flavour arm64-gcc)/qemu-system-aarch64
export VPMU_QEMU
check 'machines, stock kernel' "$TOP/tests/qemu/boot" stock biglittle machines
check 'machines, kernel with the mode' "$TOP/tests/qemu/boot" patched biglittle machines
check 'the functional test, no test skipped' "$TOP/tests/qemu/functional-test" \
	patched/biglittle/
finish
