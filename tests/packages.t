#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Claim: the kernel package builds, from a small configuration, and is well-formed.
#
# The configuration is that of the emulated host, so that the compiler cache has the objects; it has
# no modules. tests/full/packages.t builds the other packages, and installs all of them.
set -euo pipefail
# shellcheck source=tap.sh
. "$(dirname "$0")/tap.sh"

RELEASE=$(tree_version linux)-pmu-hybrid

builds() {
	local config
	config=$("$TOP/testbed/build-kernel" --config patched)
	LINUX_CONFIG=$config "$TOP/packages/linux"
}

find_deb() {
	echo "$BUILD/packages/linux-image-$RELEASE"_*_arm64.deb
}

holds_kernel() {
	local file
	dpkg-deb --extract "$(find_deb)" "$TMP/root"
	for file in "boot/vmlinuz-$RELEASE" "boot/System.map-$RELEASE"; do
		[ -s "$TMP/root/$file" ] || { echo "no $file"; return 1; }
	done
	grep -qx 'CONFIG_KVM=y' "$TMP/root/boot/config-$RELEASE"
}

refused() {
	LINUX_CONFIG=$1 fails_with "LINUX_CONFIG=$1 cannot be read" "$TOP/packages/linux"
}

check 'the kernel package builds' builds
check 'it holds the kernel and its configuration' holds_kernel
check 'lintian finds no fault with it' "$TOP/packages/lint" "$(find_deb)"
check 'a missing configuration is refused' refused "$TMP/none"
finish
