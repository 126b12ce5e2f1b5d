#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Claim: scripts/trees makes the same base commit from a folder and from a tarball, keeps every
# file, and ends each failure with one error and nothing left behind. Toy trees and a copy of the
# scripts in a temporary folder; no download.
set -euo pipefail
# shellcheck source=tap.sh
. "$(dirname "$0")/tap.sh"

nothing_left() {
	[ -z "$(find "$TMP/project/build" -maxdepth 1 -name '*.new.*')" ]
}

# trees VARIABLE=VALUE...: with that environment
trees() {
	env "$@" "$TMP/project/scripts/trees" linux
}

# base_of VARIABLE=VALUE...: makes build/linux anew with that environment, prints its base commit
base_of() {
	rm -rf "$TMP/project/build/linux"
	trees "$@" 2>/dev/null
	git -C "$TMP/project/build/linux" rev-parse base
}

same_base() {
	local folder tarball
	folder=$(base_of LINUX_TREE="$TMP/toy")
	tarball=$(base_of LINUX_TREE="$TMP/toy.tar.xz")
	echo "folder $folder, tarball $tarball"
	[ "$folder" = "$tarball" ]
}

keeps_ignored_files() {
	git -C "$TMP/project/build/linux" ls-files >"$TMP/files"
	cat "$TMP/files"
	diff - "$TMP/files" <<-EOF
		.gitignore
		Makefile
		kept.o
	EOF
}

# For a base that Debian does not have, LINUX_TREE= is needed only once.
knows_its_source() {
	trees VPMU_BASE=older LINUX_TREE="$TMP/toy"
	trees VPMU_BASE=older
	[ "$(git -C "$PORT" config vpmu.source)" = "$TMP/toy" ]
}

keeps_branches() {
	git -C "$PORT" update-ref refs/series/saved series
	git -C "$PORT" switch -q -c mine
	git -C "$PORT" -c user.name=tester -c user.email=tester@localhost \
		commit -q --allow-empty -m mine
	git -C "$PORT" switch -q series
	fails_with "save what you need" trees VPMU_BASE=older LINUX_TREE="$TMP/toy.tar.xz"
	git -C "$PORT" branch -q -D mine
}

# The stock kernel's tree is a work tree of it, and has to go, too.
follows_pins() {
	mkdir "$PORT-stock"
	trees VPMU_BASE=older LINUX_TREE="$TMP/toy.tar.xz"
	[ "$(git -C "$PORT" config vpmu.source)" = "$TMP/toy.tar.xz" ]
	[ ! -e "$PORT-stock" ]
}

# Only apt-get does not work, as without a network; the script finds all other programs.
trees_without_network() {
	mkdir -p "$TMP/bin"
	printf '#!/bin/sh\nexit 100\n' >"$TMP/bin/apt-get"
	chmod +x "$TMP/bin/apt-get"
	trees PATH="$TMP/bin:$PATH" VPMU_CACHE="$TMP/cache"
}

# A cached file that is not what upstream.conf pins must not be used.
trees_with_bad_cache() {
	mkdir -p "$TMP/cache/sources/$LINUX_SHA256"
	echo garbage >"$TMP/cache/sources/$LINUX_SHA256/linux.deb"
	trees_without_network
}

mkdir -p "$TMP/project" "$TMP/toy"
cp -r "$TOP/scripts" "$TOP/upstream.conf" "$TMP/project"
mkdir -p "$TMP/project/build" "$TMP/project/linux/bases/older"
printf 'LINUX_VERSION=0.9\nLINUX_PACKAGE=\n' >"$TMP/project/linux/bases/older/pins"
PORT=$TMP/project/build/bases/older/linux
echo '*.o' >"$TMP/toy/.gitignore"
echo all: >"$TMP/toy/Makefile"
echo object >"$TMP/toy/kept.o"
tar -C "$TMP" -cJf "$TMP/toy.tar.xz" toy

check "folder and tarball give the same base commit" same_base
check "files that .gitignore names are part of the base" keeps_ignored_files
check "a tree made from another source is not replaced" \
	fails_with "was made from" trees LINUX_TREE="$TMP/toy"
rm -rf "$TMP/project/build/linux"
check "a base that Debian does not have is opened again without LINUX_TREE=" knows_its_source
check "a port's tree with commits that are not saved is not replaced" \
	fails_with "save what you need" trees VPMU_BASE=older LINUX_TREE="$TMP/toy.tar.xz"
check "a port's tree with commits on another branch is not replaced" keeps_branches
check "a port's tree is made anew when its pins change" follows_pins
check "an override that does not exist is one error" \
	fails_with "neither a folder nor a file" trees LINUX_TREE="$TMP/none"
check "a source that cannot be downloaded is one error, which names what was tried" \
	fails_with "($TMP/cache/sources/$LINUX_SHA256) and Debian's $LINUX_PACKAGE" \
	trees_without_network
check "a cached file with another digest is not used" \
	fails_with "cannot get the source of linux" trees_with_bad_cache
check "wrong usage is one error" fails_with "usage: trees" "$TMP/project/scripts/trees" minix
finish
