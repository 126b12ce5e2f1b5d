#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Claim: if Debian no longer serves the pinned version, another point release of the same upstream
# series takes its place, with a warning; if there is none, one error lists what is served and what
# to set. Toy packages, with a folder as mirror.
set -euo pipefail
# shellcheck source=toy-mirror.sh
. "$(dirname "$0")/toy-mirror.sh"

# Each test has a project without trees, and an empty mirror and cache.
before_each() {
	rm -rf "$MIRROR" "$PROJECT/build" "$TMP/cache"
	mkdir -p "$POOL" "$PROJECT/build"
	rm -rf "$PROJECT/qemu"
	mkdir "$PROJECT/qemu"
}

nothing_left() {
	[ -z "$(find "$PROJECT/build" -maxdepth 1 -name '*.new.*')" ]
}

pinned_linux() {
	put_linux linux-source-7.3 7.3.4-1~bpo13+1
	put_linux linux-source-7.3 7.3.5-1~bpo13+1
	pin "LINUX_SHA256=$(digest_of "$POOL"/linux-source-7.3_7.3.4-*.deb)"
	publish trixie-backports
	trees linux 2>"$TMP/err"
	expect_without WARNING
	[ "$(cat "$PROJECT/build/linux/version")" = 7.3.4-1~bpo13+1 ]
	[ "$(git -C "$PROJECT/build/linux" log -1 --format=%s base)" = 'base: linux 7.3.4' ]
}

wrong_digest() {
	put_linux linux-source-7.3 7.3.4-1~bpo13+1
	pin "LINUX_SHA256=${LINUX_SHA256//7/8}"
	publish trixie-backports
	fails_with "but upstream.conf pins ${LINUX_SHA256//7/8};" trees linux
}

next_linux() {
	local digest
	put_linux linux-source-7.3 7.3.9-1~bpo13+1
	put_linux linux-source-7.3 7.3.10-2~bpo13+1
	put_linux linux-source-7.3 7.3.11~rc1-1~bpo13+1
	put_linux linux-source-7.4 7.4.1-1~bpo13+1
	digest=$(digest_of "$POOL"/linux-source-7.3_7.3.10-*.deb)
	publish trixie-backports
	trees linux 2>"$TMP/err"
	expect_words 'WARNING: linux 7.3.10-2~bpo13+1 is taken in place of 7.3.4-1~bpo13+1' \
		"sha256: $digest" "LINUX_VERSION=7.3.10 " \
		'LINUX_PACKAGE_VERSION=7.3.10-2~bpo13+1 ' "LINUX_SHA256=$digest"
	[ "$(cat "$PROJECT/build/linux/version")" = 7.3.10-2~bpo13+1 ]
	[ "$(git -C "$PROJECT/build/linux" log -1 --format=%s base)" = 'base: linux 7.3.10' ]
	# the tree of this pin stays, and each call warns
	trees linux 2>"$TMP/err"
	expect_words 'WARNING: '"$PROJECT/build/linux is linux 7.3.10 for 7.3.4"
	# from the cache, with the mirror's lists alone
	rm -rf "$PROJECT/build/linux" "$POOL"
	trees linux 2>"$TMP/err"
	expect_words 'WARNING: linux 7.3.10-2~bpo13+1 is taken'
}

same_release() {
	put_linux linux-source-7.3 7.3.4-2~bpo13+1
	put_linux linux-source-7.3 7.3.9-1~bpo13+1
	publish trixie-backports
	trees linux 2>"$TMP/err"
	expect_words 'WARNING: linux 7.3.4-2~bpo13+1 is taken in place of 7.3.4-1~bpo13+1'
	[ "$(git -C "$PROJECT/build/linux" config vpmu.source)" = 7.3.4 ]
}

# Lists of this morning may name packages that are gone since.
stale_lists() {
	put_linux linux-source-7.3 7.3.4-1~bpo13+1
	publish trixie-backports
	with_mirror scripts/apt-root conf "$ARCH" trixie-backports
	rm -r "$POOL"
	put_linux linux-source-7.3 7.3.6-1~bpo13+1
	publish trixie-backports
	trees linux 2>"$TMP/err"
	expect_words 'WARNING: linux 7.3.6-1~bpo13+1 is taken in place of 7.3.4-1~bpo13+1'
}

next_qemu() {
	put_qemu 1:10.2.4+ds-2
	put_qemu 1:11.1.3+ds-1
	publish sid
	trees qemu 2>"$TMP/err"
	expect_words 'WARNING: qemu 1:10.2.4+ds-2 is taken in place of 1:10.2.2+ds-1' \
		"sha256: $(digest_of "$POOL/qemu_10.2.4+ds-2.dsc")"
	[ "$(cat "$PROJECT/build/qemu/version")" = 1:10.2.4+ds-2 ]
}

# The first version is listed, but cannot be downloaded: the next one is tried.
listed_only() {
	put_qemu 1:10.2.4+ds-2
	put_qemu 1:10.2.3+ds-1
	publish sid
	rm "$POOL"/qemu_10.2.4+ds.orig.tar.xz
	trees qemu 2>"$TMP/err"
	expect_words 'WARNING: qemu 1:10.2.3+ds-1 is taken'
	rm -rf "$PROJECT/build/qemu" "$TMP/cache" "$POOL"
	fails_with 'which lists: 1:10.2.4+ds-2, 1:10.2.3+ds-1;' trees qemu
}

other_linux() {
	put_linux linux-source-7.4 7.4.1-1~bpo13+1
	put_linux linux-source-6.12 6.12.90-1
	publish trixie-backports
	fails_with 'does not serve linux-source-7.3 7.3.4-1~bpo13+1, nor another release of 7.3;' \
		trees linux
	expect_words '7.3; it serves: ' '  linux-source-7.4 7.4.1-1~bpo13+1' \
		'  linux-source-6.12 6.12.90-1' 'LINUX_TREE=' 'DEBIAN_MIRROR='
	expect_without LINUX_BASE
}

# make_base NAME VERSION PACKAGE-VERSION
make_base() {
	mkdir -p "$PROJECT/qemu/bases/$1"
	printf '%s\n' "QEMU_VERSION=$2" QEMU_PACKAGE=qemu "QEMU_PACKAGE_VERSION=$3" \
		QEMU_SUITE=trixie QEMU_SHA256=0 >"$PROJECT/qemu/bases/$1/pins"
}

# The error names a base if its suite has it, and not otherwise.
other_qemu() {
	make_base stable 10.0.13 1:10.0.13+ds-0
	make_base gone 9.1.0 1:9.1.0-1
	put_qemu 1:10.0.14+ds-0
	publish trixie
	put_qemu 1:11.1.3+ds-1
	rm "$POOL"/qemu_10.0*
	publish sid
	fails_with 'sid does not serve qemu 1:10.2.2+ds-1, nor another release of 10.2;' trees qemu
	expect_words '10.2; it serves: ' '  qemu 1:11.1.3+ds-1' 'QEMU_TREE=' \
		'  QEMU_BASE=stable in upstream.conf, for 1:10.0.14+ds-0 of trixie'
	expect_without QEMU_BASE=gone
}

# The function that downloads of emulator and firmware use.
take_served() {
	local conf
	conf=$(with_mirror scripts/apt-root conf "$ARCH" trixie)
	# shellcheck disable=SC2016 # the other shell's
	bash -euo pipefail -c '. "$1/scripts/lib.sh"; . "$1/scripts/lib-pins.sh"
		take_served "${@:2}"' take-served "$PROJECT" "$conf" "$@"
}

package_file() {
	put_linux firmware 2025.02-9
	put_linux firmware 2025.02-10
	publish trixie
	[ "$(take_served firmware 2025.02-9 trixie FIRMWARE_VERSION 2>"$TMP/err")" = 2025.02-9 ]
	expect_without WARNING
	[ "$(take_served firmware 2025.02-8+deb13u1 trixie FIRMWARE_VERSION 2>"$TMP/err")" = \
		2025.02-10 ]
	expect_words 'WARNING: firmware 2025.02-10 is taken in place of 2025.02-8+deb13u1' \
		'FIRMWARE_VERSION=2025.02-10'
	fails_with 'trixie does not serve firmware 2024.11-1, nor another release of 2024.11;' \
		take_served firmware 2024.11-1 trixie FIRMWARE_VERSION
	expect_words '2024.11; it serves: ' '  firmware 2025.02-10' '  firmware 2025.02-9'
}

check 'the pinned version is taken as long as it is served' pinned_linux
check 'the pinned version with another digest is refused' wrong_digest
check 'Linux: the newest point release takes its place, and a warning names its digest' next_linux
check 'another package of the pinned release comes before other releases' same_release
check 'lists that name missing packages are read again' stale_lists
check 'QEMU: the newest point release takes its place, and a warning names its digest' next_qemu
check 'a version that is listed and cannot be downloaded is skipped' listed_only
check 'Linux: without another point release, an error says what is served and what to set' \
	other_linux
check 'QEMU: the error names a base that is served, and none that is not' other_qemu
check 'a package that needs no tree: the same' package_file
finish
