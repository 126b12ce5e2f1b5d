#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Claim: scripts/series open and save refuse to lose anybody's work or to store what cannot be had
# back, and leave nothing half done wherever they are interrupted. On toy trees.
set -euo pipefail
# shellcheck source=series-toy.sh
. "$(dirname "$0")/series-toy.sh"

# Two conditions: the branch stays, and so does the folder.
refused_open() {
	local text=$1 tip
	tip=$(tree_git rev-parse series)
	snapshot "$P/linux" >"$TMP/before"
	snapshot "$T" >"$TMP/tree"
	fails_with "$text" series open linux
	[ "$tip" = "$(tree_git rev-parse series)" ]
	snapshot "$P/linux" | diff "$TMP/before" -
	snapshot "$T" | diff "$TMP/tree" -
}

open_refuses_unsaved() {
	tree_git commit -q --amend -m 'odd: only the message differs' -m why
	refused_open 'scripts/series save linux'
}

open_refuses_edits() {
	change_folder
	echo >>"$T/hook.c"
	refused_open 'uncommitted edits'
}

open_refuses_untracked() {
	change_folder
	echo >"$T/untracked.c"
	refused_open 'untracked.c'
}

open_refuses_broken_patch() {
	sed -i 's/ one/ other/' "$P"/linux/patches/0001-*
	refused_open '0001 core: add the hook'
}

refused_save() {
	local text=$1
	snapshot "$P/linux" >"$TMP/before"
	fails_with "$text" series save linux
	snapshot "$P/linux" | diff "$TMP/before" -
}

save_refuses_edits() {
	echo >>"$T/hook.c"
	refused_save 'M hook.c'
	tree_git checkout -q hook.c
	echo >"$T/untracked.c"
	refused_save 'untracked.c'
	rm "$T/untracked.c"
	echo >"$T/object.o"
	series save linux
}

save_refuses_other_base() {
	tree_git checkout -q --orphan other
	commit 'unrelated'
	tree_git branch -qM other series
	refused_save 'not on top of tag base'
}

save_refuses_merge() {
	tree_git switch -q -c side HEAD^
	echo >>"$T/.gitignore"
	commit side why
	tree_git switch -q series
	tree_git merge -q --no-edit side
	refused_save 'merge commits'
}

save_refuses_detached() {
	tree_git checkout -q --detach
	refused_save 'not on branch series'
}

save_refuses_rebase() {
	GIT_SEQUENCE_EDITOR='sed -i 1s/pick/break\\npick/' tree_git rebase -q -i base
	refused_save 'a rebase'
	refused_open 'a rebase'
}

save_refuses_late_overlay() {
	echo >"$T/new/late.c"
	commit 'overlay: new files'
	refused_save 'must be the first commit'
}

save_refuses_empty_commit() {
	tree_git commit -q --allow-empty -m empty -m why
	refused_save 'changes nothing'
}

save_refuses_created_file() {
	echo >"$T/d/created.c"
	commit 'd: create a file' why
	refused_save 'creates d/created.c'
}

save_refuses_patched_new_file() {
	echo >>"$T/new/plain.c"
	commit 'new: change a new file' why
	refused_save 'new/plain.c is a new file'
}

save_refuses_upstream_in_overlay() {
	echo >>"$T/hook.c"
	tree_git commit -q -a --fixup ':/^overlay: new files'
	squash
	refused_save "hook.c is upstream's"
}

# git am would drop what follows the line.
save_refuses_unmailable_message() {
	echo >>"$T/hook.c"
	commit 'core: more' 'First.' '---' 'Lost.'
	refused_save 'git am does not give back'
}

save_refuses_changed_folder() {
	change_folder
	echo >>"$T/hook.c"
	commit 'core: mine' why
	refused_save 'changed since it was opened'
}

save_refuses_fresh_tree() {
	rm -rf "$T"
	"$P/scripts/trees" linux
	refused_save 'has no commit'
	echo >>"$T/hook.c"
	commit 'core: mine' why
	refused_save 'changed since it was opened'
}

# interrupted NAME PATTERN SIGNAL CMD...: CMD with a program NAME that, given PATTERN, sends its
# caller SIGNAL instead of working
interrupted() {
	local name=$1 pattern=$2 signal=$3 status=0
	shift 3
	rm -rf "${TMP:?}/bin"
	mkdir "$TMP/bin"
	cat >"$TMP/bin/$name" <<-EOF
		#!/bin/bash
		case "\$*" in
		$pattern) touch "$TMP/bin/hit"; kill -$signal \$PPID; sleep 0.2 ;;
		*) exec $(command -v "$name") "\$@" ;;
		esac
	EOF
	chmod +x "$TMP/bin/$name"
	PATH=$TMP/bin:$PATH "$@" || status=$?
	[ -e "$TMP/bin/hit" ] && [ "$status" -gt 128 ]
}

more_to_save() {
	echo '/* again */' >>"$T/hook.c"
	commit 'core: one more' 'So that there is something to save.'
	snapshot "$P/linux" >"$TMP/before"
}

# Each of the places where it hurts, by the signal of Ctrl-C's kin, then by power loss.
interrupted_save() {
	local place
	more_to_save
	for place in 'git:*format-patch*' 'git:*" am "*' 'cp:*.linux.new'; do
		interrupted "${place%%:*}" "${place#*:}" TERM series save linux
		snapshot "$P/linux" | diff "$TMP/before" -
		nothing_left
	done
	for place in 'cp:*.linux.new' 'mv:*.linux.old' 'mv:*.linux.new*'; do
		interrupted "${place%%:*}" "${place#*:}" KILL series save linux
		rm -rf "${TMPDIR:?}"/*
		fails_with 'scripts/series save linux' series open linux
		snapshot "$P/linux" | diff "$TMP/before" -
	done
	series save linux
	ls "$P/linux/patches/0003-core-one-more.patch"
	nothing_left
}

interrupted_open() {
	local tip
	change_folder
	tip=$(tree_git rev-parse series)
	snapshot "$T" >"$TMP/tree"
	interrupted git '*" am "*' TERM series open linux
	[ "$tip" = "$(tree_git rev-parse series)" ]
	[ -z "$(tree_git status --porcelain)" ]
	snapshot "$T" | diff "$TMP/tree" -
	nothing_left
	series open linux
}

check 'open refuses to lose commits that are not saved' open_refuses_unsaved
check 'open refuses to lose uncommitted edits' open_refuses_edits
check 'open refuses to lose untracked files' open_refuses_untracked
check 'open refuses a patch that does not apply' open_refuses_broken_patch
check 'save refuses uncommitted edits and untracked files, not ignored ones' save_refuses_edits
check 'save refuses a branch that is not on top of the base' save_refuses_other_base
check 'save refuses merges' save_refuses_merge
check 'save refuses another branch' save_refuses_detached
check 'save and open refuse to work during a rebase' save_refuses_rebase
check 'save refuses a second overlay commit' save_refuses_late_overlay
check 'save refuses an empty commit' save_refuses_empty_commit
check 'save refuses a patch that creates a file' save_refuses_created_file
check 'save refuses a patch that changes a new file' save_refuses_patched_new_file
check "save refuses upstream's files in the overlay" save_refuses_upstream_in_overlay
check 'save refuses a message that git am would cut' save_refuses_unmailable_message
check "save refuses to undo others' changes of the folder" save_refuses_changed_folder
check 'save refuses to empty the folder from a fresh tree' save_refuses_fresh_tree
check 'an interrupted save loses nothing' interrupted_save
check 'an interrupted open changes nothing' interrupted_open
finish
