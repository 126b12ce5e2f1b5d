#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Claim: the source packages are complete: in a Debian with nothing but their build dependencies
# they build for arm64, and lintian finds no fault. Unpacked, QEMU's is the tree of the series.
#
#   tests/full/clean-build.t SOURCE...    names of source packages
set -euo pipefail
# shellcheck source=../tap.sh
. "$(dirname "$0")/../tap.sh"

# What makes a source package, and the package that is built from it
declare -A MAKER=([qemu-pmu-hybrid]=qemu-source [pmu-hybrid-check]=source
	[libvirt-pmu-hybrid]=libvirt)
declare -A PACKAGE=([qemu-pmu-hybrid]=qemu-system-arm-pmu-hybrid)

builds() {
	"$TOP/packages/${MAKER[$1]}"
	[ -s "$(find_dsc "$1")" ]
}

find_dsc() {
	echo "$BUILD/packages/$1"_*.dsc
}

# list_files SOURCE: the .dsc and the files that it names
list_files() {
	find_dsc "$1"
	awk -v folder="$BUILD/packages" '/^[^ ]/ { inside = /^Files:/ }
		inside && NF == 3 { print folder "/" $3 }' "$(find_dsc "$1")"
}

unpacks() {
	dpkg-source --extract "$(find_dsc qemu-pmu-hybrid)" "$TMP/source"
	rm -r "$TMP/source/.pc"
	GIT_INDEX_FILE=$TMP/index git -C "$BUILD/qemu" read-tree series
	GIT_INDEX_FILE=$TMP/index git -C "$BUILD/qemu" --work-tree="$TMP/source" add -A
	GIT_INDEX_FILE=$TMP/index git -C "$BUILD/qemu" diff --cached --stat series -- . \
		':!debian' | tee "$TMP/differences"
	[ ! -s "$TMP/differences" ]
}

# As on a build daemon, only named build dependencies are installed, so each source package gets a
# Debian of its own. Debugging symbols would only take time.
rebuilds() {
	local log=$BUILD/logs/clean-build-$1.log
	rm -rf "$TMP/package" "$TMP/built"
	mkdir "$TMP/package" "$TMP/built"
	list_files "$1" | xargs cp -t "$TMP/package"
	cat >"$TMP/package/build" <<-'END'
		#!/bin/sh -ex
		apt-get build-dep -q -y --host-architecture arm64 --no-install-recommends \
			/package/*.dsc
		dpkg-source --extract /package/*.dsc /source
		cd /source
		export DEB_BUILD_OPTIONS=noautodbgsym
		dpkg-buildpackage --build=binary --host-arch=arm64 --unsigned-changes
		mv /"$1"_*.deb /package.deb
	END
	# shellcheck disable=SC2016 # mmdebstrap's $1 is the root
	TMPDIR=$TMP mmdebstrap --variant=buildd --architectures=amd64,arm64 \
		--include=crossbuild-essential-arm64 --format=null \
		--customize-hook="copy-in $TMP/package /" \
		--customize-hook='chroot "$1" sh /package/build '"${PACKAGE[$1]-$1}" \
		--customize-hook="copy-out /package.deb $TMP/built" \
		"$ROOTFS_SUITE" - \
		"deb $("$TOP/scripts/apt-root" mirror) $ROOTFS_SUITE main" >"$log" 2>&1 || {
		tail -n 30 "$log"
		return 1
	}
}

# A line of dh_install's list is a path in the package, or a file and the folder it goes to.
has_files() {
	local name=${PACKAGE[$1]-$1} root=$TMP/root-$1 file folder
	dpkg-deb --extract "$TMP/built/package.deb" "$root"
	while read -r file folder; do
		file=${folder:+$folder/}$file
		[ -e "$root/$file" ] || [ -e "$root/$file.gz" ] || { echo "no $file"; return 1; }
	done < <(grep -v '^#' "$(find "$TOP/packages" -name "$name.install")")
	for file in "$root"/usr/bin/*; do
		[ ! -e "$file" ] || aarch64-linux-gnu-readelf -h "$file" | grep AArch64
	done
}

# A Debian needs more room than /tmp may have.
rmdir "$TMP"
TMP=$(mktemp -d "$BUILD/tmp.XXXXXX")
need mmdebstrap mmdebstrap
for source; do
	check "the source package of $source is made" builds "$source"
	check 'lintian finds no fault with it' "$TOP/packages/lint" "$(find_dsc "$source")"
	[ "$source" != qemu-pmu-hybrid ] ||
		check 'dpkg-source unpacks the tree of the series' unpacks
	check 'it builds for arm64 in a Debian with its build dependencies' rebuilds "$source"
	check 'its package has its files, for arm64' has_files "$source"
done
finish
