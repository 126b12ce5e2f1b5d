#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Claim: scripts/series open and save refuse to lose anybody's work or to store what open could not
# restore, and leave nothing half done wherever they are interrupted. On toy trees.
set -euo pipefail
# shellcheck source=series-toy.sh
. "$(dirname "$0")/series-toy.sh"

# refused_open TEXT CMD...: after CMD, open fails with that error, and changes neither branch nor
# folder
refused_open() {
	local text=$1 tip
	"${@:2}"
	tip=$(tree_git rev-parse series)
	snapshot "$P/linux" >"$TMP/before"
	snapshot "$T" >"$TMP/tree"
	fails_with "$text" series open linux
	[ "$tip" = "$(tree_git rev-parse series)" ]
	snapshot "$P/linux" | diff "$TMP/before" -
	snapshot "$T" | diff "$TMP/tree" -
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

# refused_save TEXT CMD...: after CMD, save fails with that error, and does not change the folder
refused_save() {
	local text=$1
	"${@:2}"
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

save_refuses_rebase() {
	GIT_SEQUENCE_EDITOR='sed -i 1s/pick/break\\npick/' tree_git rebase -q -i base
	refused_save 'a rebase'
	refused_open 'a rebase'
}

save_refuses_upstream_in_overlay() {
	echo >>"$T/hook.c"
	tree_git commit -q -a --fixup ':/^overlay: new files'
	squash
	refused_save "hook.c is upstream's"
}

save_refuses_changed_folder() {
	change_folder
	change hook.c 'core: mine' why
	refused_save 'changed since it was opened'
}

save_refuses_fresh_tree() {
	rm -rf "$T"
	"$P/scripts/trees" linux
	refused_save 'has no commit'
	change hook.c 'core: mine' why
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

# Interrupts save at each critical place: first by SIGTERM, then by SIGKILL, which stands for a
# power failure.
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

check 'open refuses to lose commits that are not saved' refused_open 'scripts/series save linux' \
	tree_git commit -q --amend -m 'odd: only the message differs' -m why
check 'open refuses to lose uncommitted edits' open_refuses_edits
check 'open refuses to lose untracked files' open_refuses_untracked
check 'open refuses a patch that does not apply' refused_open '0001 core: add the hook' \
	sed -i 's/ one/ other/' "$FIRST"
check 'save refuses uncommitted edits and untracked files, not ignored ones' save_refuses_edits
check 'save refuses a branch that is not on top of the base' save_refuses_other_base
check 'save refuses merges' save_refuses_merge
check 'save refuses another branch' refused_save 'not on branch series' \
	tree_git checkout -q --detach
check 'save and open refuse to work during a rebase' save_refuses_rebase
check 'save refuses a second overlay commit' refused_save 'must be the first commit' \
	change new/late.c 'overlay: new files'
check 'save refuses an empty commit' refused_save 'changes nothing' \
	tree_git commit -q --allow-empty -m empty -m why
check 'save refuses a patch that creates a file' refused_save 'creates d/created.c' \
	change d/created.c 'd: create a file' why
check 'save refuses a patch that changes a new file' refused_save 'new/plain.c is a new file' \
	change new/plain.c 'new: change a new file' why
check "save refuses upstream's files in the overlay" save_refuses_upstream_in_overlay
check 'save refuses a message that git am would cut' refused_save 'git am does not give back' \
	change hook.c 'core: more' 'First.' '---' 'Lost.'
check "save refuses to undo others' changes of the folder" save_refuses_changed_folder
check 'save refuses to empty the folder from a fresh tree' save_refuses_fresh_tree
check 'an interrupted save loses nothing' interrupted_save
check 'an interrupted open changes nothing' interrupted_open
finish
