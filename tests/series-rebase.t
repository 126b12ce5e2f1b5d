#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Claim: scripts/series rebase moves a series to another base. If it cannot, it stops, and the user
# can go on or back. On toy trees.
set -euo pipefail
# shellcheck source=series-toy.sh
. "$(dirname "$0")/series-toy.sh"

# newer SED-SCRIPT: another release of the toy, in place of the pinned one
newer() {
	cp -r "$LINUX_TREE" "$TMP/newer"
	sed -i "$1" "$TMP/newer/hook.c"
	export LINUX_TREE=$TMP/newer
}

before_each() {
	rm -rf "$P" "$TMP/newer"
	cp -a "$TMP/template" "$P"
}

on_new_base() {
	[ "$(tree_git show base:hook.c)" = "$(cat "$TMP/newer/hook.c")" ]
	tree_git merge-base --is-ancestor base series
	[ "$(tree_git config vpmu.source)" = "$TMP/newer" ]
}

# refused TEXT: rebase fails with that error, and does not change tree and folder
refused() {
	local tip base
	tip=$(tree_git rev-parse series) base=$(tree_git rev-parse base)
	snapshot "$P/linux" >"$TMP/before"
	fails_with "$1" series rebase linux
	[ "$tip $base" = "$(tree_git rev-parse series) $(tree_git rev-parse base)" ]
	[ -z "$(tree_git status --porcelain)" ]
	snapshot "$P/linux" | diff "$TMP/before" -
}

moves() {
	newer 's/nine/neun/'
	series rebase linux
	on_new_base
	series save linux
	grep -q '^+ TWO' "$P"/linux/patches/0001-* || grep -q '^+.*TWO' "$P"/linux/patches/0001-*
	series open linux
}

stops_at_conflict() {
	newer 's/one/eins/'
	fails_with 'core: add the hook' series rebase linux
	grep -q 'hook.c' "$TMP/err"
	sed -i '/^[<=>|]/d; /^one/d; /^two/d' "$T/hook.c"
	tree_git add hook.c
	GIT_EDITOR=: tree_git rebase --continue
	series rebase linux
	on_new_base
	series save linux
	grep -q '^ eins' "$P"/linux/patches/0001-*
}

goes_back() {
	local tip
	tip=$(tree_git rev-parse series)
	newer 's/one/eins/'
	fails_with 'git rebase --abort' series rebase linux
	tree_git rebase --abort
	[ "$tip" = "$(tree_git rev-parse series)" ]
	series save linux
	snapshot "$P/linux" | diff <(snapshot "$TMP/template/linux") -
}

needs_something() {
	printf '%s\n' '# why' 'hook.c main' 'hook.c twenty' 'hook.c nine it hangs' >"$P/linux/needs"
	series save linux
	newer 's/nine/neun/'
	refused 'hook.c has no twenty'
	refused 'hook.c has no nine: it hangs'
	sed -i '/nine/d' "$P/linux/needs"
	sed -i 's/neun/twenty/' "$TMP/newer/hook.c"
	series rebase linux
	on_new_base
	series save linux
	grep -q twenty "$P/linux/needs"
}

names_ports() {
	mkdir -p "$P/linux/bases/older"
	echo 'LINUX_VERSION=0.9' >"$P/linux/bases/older/pins"
	echo 'hook.c twenty' >"$P/linux/needs"
	series save linux
	newer 's/nine/neun/'
	refused 'LINUX_BASE=older in upstream.conf has patches for linux 0.9'
}

same_base() {
	refused 'already; change the pins'
}

unsaved() {
	newer 's/nine/neun/'
	sed -i 's/three/THREE/' "$T/hook.c"
	commit 'core: more' 'Not saved.'
	refused 'scripts/series save linux'
	series save linux
	series rebase linux
	on_new_base
}

no_tree() {
	local command
	rm -rf "$T"
	for command in rebase save; do
		fails_with 'there is no tree in' series "$command" linux
		[ ! -e "$T" ]
	done
}

check 'a series moves to a base that its patches apply to' moves
check 'if a patch does not apply it stops, and goes on once that is resolved' stops_at_conflict
check 'git rebase --abort is the way back' goes_back
check 'a base that lacks what the series needs is refused, and the error names what it lacks' \
	needs_something
check 'that error also names bases that have patches already' names_ports
check 'a base that the series is on is refused' same_base
check 'commits that are not saved are not moved, and can be saved first' unsaved
check 'without a tree there is nothing to move or to save' no_tree
finish
