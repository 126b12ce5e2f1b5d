#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Claim: packages have the version of the tree that is there, also if it is not the pinned one; the
# kernel gets Debian's configuration of that version or, with a warning, of another point release.
# Toy packages, with a folder as mirror, and toy trees.
set -euo pipefail
# shellcheck source=toy-mirror.sh
. "$(dirname "$0")/toy-mirror.sh"

SUITE=trixie-backports
CONFIGS=linux-config-7.3

# Each test has a project without trees and packages, and an empty mirror and cache.
before_each() {
	rm -rf "$MIRROR" "$PROJECT/build" "$TMP/cache"
	mkdir -p "$POOL" "$PROJECT/build"
}

# put_kernel VERSION: its kernel package holds the configuration alone. It has one compiler call,
# because ccache crashes if there is none to report.
put_kernel() {
	local tree=$TMP/linux-source-7.3
	mkdir -p "$tree/scripts/kconfig"
	cat >"$tree/scripts/kconfig/merge_config.sh" <<-'END'
		#!/bin/sh
		shift
		cat "$@" | grep -v '=n$' >"$KCONFIG_CONFIG"
	END
	chmod +x "$tree/scripts/kconfig/merge_config.sh"
	cat >"$tree/Makefile" <<-END
		.RECIPEPREFIX = >
		kernelversion:
		> @echo ${1%%-*}
		olddefconfig:
		bindeb-pkg:
		> echo no_input_file >\$(CCACHE_STATSLOG)
		> mkdir -p deb/DEBIAN
		> cp obj-package/.config deb/config
		> printf '%s\n' 'Package: linux-image-${1%%-*}\$(LOCALVERSION)' \\
			'Version: \$(KDEB_PKGVERSION)' 'Architecture: arm64' \\
			'Maintainer: toy <toy@localhost>' 'Description: toy' >deb/DEBIAN/control
		> dpkg-deb --build --root-owner-group deb .
		> rm -r deb
	END
	put_linux linux-source-7.3 "$1"
}

# put_configs VERSION: Debian's package of configurations, of that version
put_configs() {
	local folder=$TMP/deb/usr/src/$CONFIGS
	rm -rf "$TMP/deb"
	mkdir -p "$folder"
	echo "# of $1" | xz >"$folder/config.arm64_none_arm64.xz"
	put_deb "$CONFIGS" "$1"
}

# pinned_tree: build/linux has the pinned version, which the mirror does not serve any more
pinned_tree() {
	put_kernel 7.3.4-1~bpo13+1
	pin "LINUX_SHA256=$(digest_of "$POOL"/linux-source-7.3_7.3.4-*.deb)"
	publish "$SUITE"
	trees linux
	rm "$POOL"/linux-source-7.3_7.3.4-*.deb
}

# configure: the kernel package's configuration
configure() {
	with_mirror packages/linux --config 2>"$TMP/err" >"$TMP/path" || {
		cat "$TMP/err"
		return 1
	}
}

config_of() {
	cat "$TMP/path"
	[ "$(head -n 1 "$(cat "$TMP/path")")" = "# of $1" ]
}

other_release() {
	local deb
	put_kernel 7.3.10-2~bpo13+1
	put_configs 7.3.10-2~bpo13+1
	put_configs 7.3.11-1~bpo13+1
	publish "$SUITE"
	trees linux
	with_mirror packages/linux 2>"$TMP/err" || { cat "$TMP/err"; return 1; }
	expect_without 'is taken'
	deb=$PROJECT/build/packages/linux-image-7.3.10-pmu-hybrid_7.3.10-1_arm64.deb
	ls "${deb%/*}"
	dpkg-deb --fsys-tarfile "$deb" | tar -xOf - ./config | grep -qx '# of 7.3.10-2~bpo13+1'
}

other_source() {
	local folder=$PROJECT/build/packages
	mkdir -p "$TMP/qemu-10.2.4+ds"
	echo 10.2.4 >"$TMP/qemu-10.2.4+ds/VERSION"
	put_qemu 1:10.2.4+ds-2
	publish sid
	trees qemu
	# the toy has no series
	mkdir -p "$PROJECT/build/qemu/target/arm" "$PROJECT/build/series/qemu"
	touch "$PROJECT/build/qemu/target/arm/host-pmu.c"
	printf -- '--- /dev/null\n+++ b/toy\n@@ -0,0 +1 @@\n+toy\n' \
		>"$PROJECT/build/series/qemu/0001-toy.patch"
	with_mirror packages/qemu-source
	ls "$folder"
	[ -e "$folder/qemu-pmu-hybrid_10.2.4.orig.tar.xz" ]
	grep -qx 'Version: 10.2.4-1' "$folder/qemu-pmu-hybrid_10.2.4-1.dsc"
}

pinned_config() {
	pinned_tree
	put_configs 7.3.4-1~bpo13+1
	put_configs 7.3.4-2~bpo13+1
	put_configs 7.3.9-1~bpo13+1
	publish "$SUITE"
	configure
	config_of 7.3.4-1~bpo13+1
	expect_without 'is taken'
	# from the cache, without a mirror
	rm -rf "$MIRROR" "$PROJECT/build/apt"
	configure
	config_of 7.3.4-1~bpo13+1
}

other_config() {
	pinned_tree
	put_configs 7.3.9-1~bpo13+1
	put_configs 7.3.10-2~bpo13+1
	put_configs 7.3.11~rc1-1~bpo13+1
	publish "$SUITE"
	configure
	config_of 7.3.10-2~bpo13+1
	expect_words "WARNING: $CONFIGS 7.3.10-2~bpo13+1 is taken in place of that of 7.3.4" \
		"sha256: $(digest_of "$POOL/${CONFIGS}"_7.3.10-*.deb)" LINUX_CONFIG=
	# each call warns
	configure
	config_of 7.3.10-2~bpo13+1
	expect_words "WARNING: $CONFIGS 7.3.10-2~bpo13+1 is taken"
}

# Lists of this morning may name packages that are gone since.
stale_lists() {
	pinned_tree
	put_configs 7.3.8-1~bpo13+1
	publish "$SUITE"
	with_mirror scripts/apt-root conf arm64 "$SUITE"
	rm "$POOL/$CONFIGS"_*
	put_configs 7.3.9-1~bpo13+1
	publish "$SUITE"
	configure
	config_of 7.3.9-1~bpo13+1
}

no_config() {
	pinned_tree
	put_configs 7.4.1-1~bpo13+1
	publish "$SUITE"
	fails_with "$SUITE does not serve $CONFIGS 7.3.4-1~bpo13+1, nor another release of 7.3;" \
		with_mirror packages/linux --config
	expect_words "it serves:   $CONFIGS 7.4.1-1~bpo13+1" LINUX_CONFIG=
}

no_tree() {
	fails_with "no tree in $PROJECT/build/linux; run 'scripts/series open linux'" \
		with_mirror packages/linux --config
}

cp -r "$TOP/packages" "$TOP/docs" "$TOP/libvirt" "$PROJECT"
printf '#!/bin/sh\n' >"$PROJECT/scripts/series"
git -C "$PROJECT" init -q
git -C "$PROJECT" -c user.name=toy -c user.email=toy@localhost commit -q --allow-empty -m toy
unset LINUX_CONFIG

check 'Linux: the package has the version of the tree, and its configuration' other_release
check 'QEMU: the source package has the version of the tree' other_source
check 'the configuration is that of the pin as long as it is served or cached' pinned_config
check 'else the one of the newest point release, with a warning each time' other_config
check 'lists that name a missing configuration are read again' stale_lists
check 'without another point release, an error says what is served and what to set' no_config
check 'without a tree, an error says how to make it' no_tree
finish
