#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Claim: the source package of our QEMU is complete: unpacked, it is the tree of the series, and in
# a Debian with nothing but its build dependencies it builds for arm64.
set -euo pipefail
# shellcheck source=../tap.sh
. "$(dirname "$0")/../tap.sh"

NAME=qemu-system-arm-pmu-hybrid

builds() {
	"$TOP/packages/qemu-source"
	[ -s "$(find_dsc)" ]
}

find_dsc() {
	echo "$BUILD/packages/qemu-pmu-hybrid"_*.dsc
}

unpacks() {
	dpkg-source --extract "$(find_dsc)" "$TMP/source"
	rm -r "$TMP/source/.pc"
	GIT_INDEX_FILE=$TMP/index git -C "$BUILD/qemu" read-tree series
	GIT_INDEX_FILE=$TMP/index git -C "$BUILD/qemu" --work-tree="$TMP/source" add -A
	GIT_INDEX_FILE=$TMP/index git -C "$BUILD/qemu" diff --cached --stat series -- . \
		':!debian' | tee "$TMP/differences"
	[ ! -s "$TMP/differences" ]
}

# As on a build daemon, only named build dependencies are installed. Debugging symbols would only
# take time.
rebuilds() {
	local log=$BUILD/logs/qemu-source-build.log
	mkdir "$TMP/package" "$TMP/built"
	cp "${1%.dsc}".* "${1%-*}".orig.tar.xz "$TMP/package"
	cat >"$TMP/package/build" <<-'END'
		#!/bin/sh -ex
		apt-get build-dep -q -y --host-architecture arm64 --no-install-recommends \
			/package/*.dsc
		dpkg-source --extract /package/*.dsc /source
		cd /source
		export DEB_BUILD_OPTIONS=noautodbgsym
		dpkg-buildpackage --build=any --host-arch=arm64 --unsigned-changes
		mv /"$1"_*.deb /package.deb
	END
	# shellcheck disable=SC2016 # mmdebstrap's $1 is the root
	TMPDIR=$TMP mmdebstrap --variant=buildd --architectures=amd64,arm64 \
		--include=crossbuild-essential-arm64 --format=null \
		--customize-hook="copy-in $TMP/package /" \
		--customize-hook='chroot "$1" sh /package/build '"$NAME" \
		--customize-hook="copy-out /package.deb $TMP/built" \
		"$ROOTFS_SUITE" - \
		"deb $("$TOP/scripts/apt-root" mirror) $ROOTFS_SUITE main" >"$log" 2>&1 || {
		tail -n 30 "$log"
		return 1
	}
}

same_files() {
	local file
	dpkg-deb --extract "$TMP/built/package.deb" "$TMP/root"
	while read -r file; do
		[ -e "$TMP/root/$file" ] || { echo "no $file"; return 1; }
	done < <(grep -v '^#' "$TOP/packages/debian/$NAME.install")
	aarch64-linux-gnu-readelf -h "$TMP/root/usr/bin/qemu-system-aarch64-pmu-hybrid" |
		grep -q AArch64
}

# A Debian needs more room than /tmp may have.
rmdir "$TMP"
TMP=$(mktemp -d "$BUILD/tmp.XXXXXX")
need mmdebstrap mmdebstrap
check 'the source package is made' builds
check 'lintian finds no fault with it' "$TOP/packages/lint" "$(find_dsc)"
check 'dpkg-source unpacks the tree of the series' unpacks
check 'it builds for arm64 in a Debian with its build dependencies' rebuilds "$(find_dsc)"
check 'its package has the files of ours' same_files
finish
