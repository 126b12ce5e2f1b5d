#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Claim: a series has pins and patches of its own for another base, which upstream.conf selects, and
# shares the rest. On toy trees.
set -euo pipefail
# shellcheck source=series-toy.sh
. "$(dirname "$0")/series-toy.sh"

OTHER=$P/linux/bases/older

choose() {
	sed -i "s/^LINUX_BASE=.*/LINUX_BASE=$1/" "$P/upstream.conf"
}

# An older release: the first patch differs there, and the second patch and its new file are not
# needed.
before_each() {
	rm -rf "$P" "$TMP/older"
	cp -a "$TMP/template" "$P"
	cp -r "$TMP/toy" "$TMP/older"
	sed -i 's/two/zwei/' "$TMP/older/hook.c"
	# a line that no patch changes
	sed -i '1i 0' "$TMP/older/$ODD"
	mkdir -p "$OTHER"
	echo 'LINUX_VERSION=0.9' >"$OTHER/pins"
	printf '%s\n' '# not there yet' 'new/odd tööl' >"$OTHER/without"
	choose older
	export LINUX_TREE=$TMP/older
	rm -rf "$T"
}

# Opens the series, ports it and saves it.
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

# Saves the second patch, too, as the main series has it.
port_shared() {
	: >"$OTHER/without"
	port
	tree_git am -q "$P"/linux/patches/0002-*
	series save linux
}

# is_link_to NUMBER: the second patch is a link to that patch of the main series
is_link_to() {
	local link main
	link=$(echo "$OTHER"/patches/0002-*)
	main=$(echo "$P/linux/patches/$1"-*)
	[ "$(readlink "$link")" = "../../../patches/${main##*/}" ]
	[ "${link##*/0002}" = "${main##*/"$1"}" ]
}

shares_patches() {
	port_shared
	is_link_to 0002
	[ ! -L "$OTHER"/patches/0001-core-add-the-hook.patch ]
	series open linux 2>"$TMP/err"
	grep -q 'is open already' "$TMP/err"
	series check linux
	series save linux
	is_link_to 0002
	# no link if the patch does something else
	sed -i 's/^a$/A/' "$T/$ODD"
	tree_git commit -q -a --amend --no-edit
	series save linux
	[ ! -L "$(echo "$OTHER"/patches/0002-*)" ]
}

# save_main CMD...: opens the main series, runs CMD in its tree, saves
save_main() {
	choose ''
	rm -rf "$T"
	LINUX_TREE=$TMP/toy series open linux
	"$@"
	LINUX_TREE=$TMP/toy series save linux
}

insert_patch() {
	local tip
	tip=$(tree_git rev-parse HEAD)
	tree_git reset -q --hard HEAD~2
	sed -i 's/nine/NINE/' "$T/hook.c"
	commit 'core: begin' 'With this.'
	tree_git cherry-pick "$tip~2..$tip"
}

drop_patch() {
	tree_git reset -q --hard HEAD~
}

links_follow() {
	port_shared
	save_main insert_patch
	is_link_to 0003
	save_main drop_patch
	[ ! -L "$(echo "$OTHER"/patches/0002-*)" ]
	grep -q '^Subject: .*odd' "$OTHER"/patches/0002-*
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
check 'a patch that does the same on both is a link' shares_patches
check 'links follow the main series; a patch that it drops becomes a file' links_follow
check 'without the selection all is as before' leaves_main_base
check 'an unknown base is refused' unknown
check 'a series is not moved while another base is selected' no_rebase
finish
