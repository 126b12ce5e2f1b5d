#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Claim: for a base that upstream.conf selects a series has pins and patches of its own, and the rest in common. On toy trees.
set -euo pipefail
# shellcheck source=series-toy.sh
. "$(dirname "$0")/series-toy.sh"

OTHER=$P/linux/bases/older

choose() {
	sed -i "s/^LINUX_BASE=.*/LINUX_BASE=$1/" "$P/upstream.conf"
}

# An older release, on which one patch has to be another, the second is not needed, and its new file neither
before_each() {
	rm -rf "$P" "$TMP/older"
	cp -a "$TMP/template" "$P"
	cp -r "$TMP/toy" "$TMP/older"
	sed -i 's/two/zwei/' "$TMP/older/hook.c"
	mkdir -p "$OTHER"
	echo 'LINUX_VERSION=0.9' >"$OTHER/pins"
	printf '%s\n' '# not there yet' 'new/odd tööl' >"$OTHER/without"
	choose older
	export LINUX_TREE=$TMP/older
	rm -rf "$T"
}

# Opened, ported, saved
port() {
	series open linux
	sed -i 's/zwei/ZWEI/' "$T/hook.c"
	commit 'core: add the hook' 'As it is there.' 'New-file: new/plain.c'
	series save linux
}

own_patches() {
	local before
	before=$(snapshot "$TMP/template/linux")
	port
	grep -q '^+ZWEI' "$OTHER"/patches/0001-core-add-the-hook.patch
	[ "$(ls "$OTHER/patches")" = 0001-core-add-the-hook.patch ]
	rm -r "$P/linux/bases"
	[ "$(snapshot "$P/linux")" = "$before" ]
}

opens_again() {
	local tip
	port
	tip=$(tree_git rev-parse 'series^{tree}')
	rm -rf "$T"
	series open linux
	[ "$(tree_git rev-parse 'series^{tree}')" = "$tip" ]
	[ "$(tree_git log -1 --format=%s base)" = 'base: linux 0.9' ]
	[ -e "$T/new/plain.c" ]
	[ ! -e "$T/new/odd tööl" ]
	series open linux 2>"$TMP/err"
	grep -q 'is open already' "$TMP/err"
	series check linux
}

shares_new_files() {
	port
	echo newer >"$T/new/plain.c"
	tree_git commit -q -a --fixup ':/^overlay'
	squash
	series save linux
	[ "$(cat "$P/linux/new/plain.c")" = newer ]
	[ -x "$P/linux/new/odd tööl" ]
}

leaves_main_base() {
	port
	choose ''
	rm -rf "$T"
	LINUX_TREE=$TMP/toy series open linux
	grep -q TWO "$T/hook.c"
	[ -x "$T/new/odd tööl" ]
	[ ! -e "$T/bases" ]
	LINUX_TREE=$TMP/toy series check linux
}

unknown() {
	choose oldest
	fails_with "LINUX_BASE of upstream.conf is 'oldest', but there is no" series open linux
	[ ! -e "$T" ]
}

no_rebase() {
	port
	fails_with 'has patches of its own' series rebase linux
}

check 'patches for another base are stored beside the series, which stays as it is' own_patches
check 'they are opened, and checked, on that base' opens_again
check 'new files are the same for all bases' shares_new_files
check 'without the selection all is as before' leaves_main_base
check 'a base that there is not is refused' unknown
check 'a series is not moved while another base is selected' no_rebase
finish
