#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Claim: scripts/series open and save turn a stored series into commits and back without changing a
# byte. On toy trees.
set -euo pipefail
# shellcheck source=series-toy.sh
. "$(dirname "$0")/series-toy.sh"

round_trip() {
	local first
	snapshot "$P/linux" >"$TMP/before"
	grep -c . "$TMP/before"
	rm -rf "$T"
	series open linux
	first=$(tree_git rev-parse series)
	rm -rf "$T"
	series open linux
	[ "$first" = "$(tree_git rev-parse series)" ]
	[ "$(tree_git log -1 --format=%ct series)" = "$(tree_git log -1 --format=%ct base)" ]
	echo '/* again */' >>"$T/hook.c"
	commit 'core: one more' 'So that there is something to save.'
	series save linux
	rm "$P"/linux/patches/0003-*
	snapshot "$P/linux" | diff "$TMP/before" -
	nothing_left
}

same_as_format_patch() {
	mkdir "$P/expected"
	GIT_CONFIG_GLOBAL=/dev/null GIT_CONFIG_SYSTEM=/dev/null git -C "$T" -c diff.renames=true \
		format-patch -N --zero-commit --no-signature --full-index --no-stat \
		--diff-algorithm=myers -o "$P/expected" ':/^overlay: new files..series'
	[ "$(find "$P/expected" -type f | wc -l)" = 2 ]
	diff -r "$P/expected" "$P/linux/patches"
	grep -q '^@@ .* int main(void)$' "$P"/linux/patches/0001-*
}

stores_new_files() {
	snapshot "$P/linux/new" >"$TMP/new"
	snapshot "$T/new" | diff - "$TMP/new"
	[ -x "$P/linux/new/odd tööl" ]
	[ ! -x "$P/linux/new/plain.c" ]
	# The other way round.
	ln -s plain.c "$P/linux/new/link.c"
	echo 'the user ignores such names' >"$P/linux/new/table.tbl"
	echo 'upstream ignores such names' >"$P/linux/new/table.o"
	echo '/* more */' >>"$P/linux/new/plain.c"
	series open linux
	snapshot "$P/linux/new" >"$TMP/new"
	snapshot "$T/new" | diff - "$TMP/new"
	[ -L "$T/new/link.c" ]
}

ignores_caches() {
	git init -q "$P"
	echo __pycache__/ >"$P/.gitignore"
	mkdir "$P/linux/new/__pycache__"
	echo >"$P/linux/new/__pycache__/plain.pyc"
	series open linux
	change_folder
	series open linux
	[ ! -e "$T/new/__pycache__" ]
	grep -q theirs "$T/new/plain.c"
}

fixup() {
	local before
	before=$(sha256sum "$P"/linux/patches/*)
	sed -i 's/TWO/TWICE/' "$T/hook.c"
	tree_git commit -q -a --fixup ':/^core: add the hook'
	echo '/* fixed */' >>"$T/new/plain.c"
	tree_git commit -q -a --fixup ':/^overlay: new files'
	fails_with 'is not folded in' series save linux
	squash
	series save linux
	# the patches that changed
	sha256sum "$P"/linux/patches/* | grep -vxF "$before" >"$TMP/changed"
	cat "$TMP/changed"
	[ "$(wc -l <"$TMP/changed")" = 1 ]
	grep -q '0001-core-add-the-hook.patch' "$TMP/changed"
	grep -q TWICE "$P"/linux/patches/0001-*
	grep -q fixed "$P/linux/new/plain.c"
}

deletions() {
	tree_git rm -q new/plain.c
	tree_git commit -q --fixup ':/^overlay: new files'
	squash
	tree_git reset -q --hard HEAD^
	series save linux
	[ ! -e "$P/linux/new/plain.c" ]
	(cd "$P/linux/patches" && ls) | diff - <(echo 0001-core-add-the-hook.patch)
}

no_new_files() {
	rm -rf "$P/linux/new"
	series open linux
	tree_git log --format=%s base..series |
		diff - <(printf '%s\n' 'odd: chänge ä' 'core: add the hook')
}

# stamps: one line a file of the tree with its modification time
stamps() {
	find "$T" -name .git -prune -o -type f -printf '%P %T@\n' | sort
}

open_again() {
	echo '/* in work */' >>"$T/hook.c"
	stamps >"$TMP/stamps"
	series open linux
	stamps | diff "$TMP/stamps" -
}

open_touches_little() {
	stamps >"$TMP/stamps"
	change_folder
	series open linux
	grep -q theirs "$T/new/plain.c"
	stamps | diff "$TMP/stamps" - >"$TMP/changed" || true
	cat "$TMP/changed"
	[ "$(grep -c '^>' "$TMP/changed")" = 1 ] && grep -q '^> new/plain.c ' "$TMP/changed"
}

check 'a stored series survives open and save, with equal commits each time' round_trip
check 'patches are those of format-patch, whatever the user configures' same_as_format_patch
check 'new files keep name, content and mode both ways' stores_new_files
check 'files that the project ignores are no new files' ignores_caches
check 'a fixup of patch 1 and of the new files leaves patch 2 untouched' fixup
check 'dropped patches and deleted new files vanish' deletions
check 'without new files there is no overlay commit' no_new_files
check 'open of an open tree changes no file, and keeps edits' open_again
check 'open writes only the files that differ' open_touches_little
finish
