#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Claim: each commit of the QEMU series builds without a warning in the configurations that others
# use: for arm64 with KVM and TCG, with gcc and with clang, and for this machine with TCG alone
# (64- and 32-bit Arm, user emulation). each-commit.t builds the QEMU that the tests run. The
# flavours windows and gtk compile objects of the sources that the series changes, and link nothing.
# ui/cocoa.m is not compiled. A warning is an error in these builds. The first one of each flavour
# shows that upstream has none.
#
#   tests/full/qemu-builds.t FLAVOUR...     see scripts/build-qemu
set -euo pipefail
# shellcheck source=each-commit.sh
. "$(dirname "$0")/each-commit.sh"

[ $# -gt 0 ] || die "no flavour given; usage: qemu-builds.t FLAVOUR..."
FLAVOURS=("$@")

build() {
	in_scratch scripts/build-qemu --flavour "$1"
}

prepare_clone qemu
for flavour in "${FLAVOURS[@]}"; do
	check "$flavour: upstream" build "$flavour"
done
for patch in "${PATCHES[@]}"; do
	check "git am ${patch##*/}" apply_patch qemu "$patch"
	for flavour in "${FLAVOURS[@]}"; do
		check "$flavour: ${patch##*/}" build "$flavour"
	done
done
finish
