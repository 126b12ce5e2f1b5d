# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
# shellcheck disable=SC2034 # FIRST and SECOND are for those who source it
# A toy project to try scripts/series on: a copy of the scripts and a tree of a few files. Sourced
# by tests/series*.t.

# shellcheck source=tap.sh
. "$(dirname "${BASH_SOURCE[0]}")/tap.sh"

export TMPDIR=$TMP/tmp HOME=$TMP/home LINUX_TREE=$TMP/toy GIT_CONFIG_NOSYSTEM=1
unset XDG_CONFIG_HOME GIT_CONFIG_GLOBAL GIT_CONFIG_SYSTEM
P=$TMP/project
T=$P/build/linux
ODD='d/odd näme "quoted".c'
# The stored patches
FIRST=$P/linux/patches/0001-core-add-the-hook.patch
SECOND=$P/linux/patches/0002-odd-ch-nge.patch

# A user's settings, which must not change what is stored.
make_home() {
	mkdir -p "$TMPDIR" "$HOME"
	git config --global user.name 'Ann Sender'
	git config --global user.email ann@example.org
	git config --global color.ui always
	git config --global diff.noprefix true
	git config --global diff.context 9
	git config --global format.signature 'sent from my editor'
	git config --global format.subjectPrefix RFC
	git config --global core.hooksPath "$HOME/hooks"
	mkdir -p "$HOME/hooks" "$HOME/.config/git"
	echo '*.tbl' >"$HOME/.config/git/ignore"
	# $0 is the hook's
	# shellcheck disable=SC2016
	printf '#!/bin/sh\necho "the hook $0 must not run" >&2\nexit 1\n' \
		>"$HOME/hooks/applypatch-msg"
	cp "$HOME/hooks/applypatch-msg" "$HOME/hooks/post-checkout"
	chmod +x "$HOME/hooks/"*
}

# The toy's checkpatch rejects one word, and insists on the option that the real one must get.
make_toy() {
	mkdir -p "$LINUX_TREE/scripts" "$LINUX_TREE/d"
	echo '*.o' >"$LINUX_TREE/.gitignore"
	# By git's own rule the label would be the function of a hunk.
	echo '*.c diff=cpp' >"$LINUX_TREE/.gitattributes"
	printf '%s\n' 'int main(void)' '{' 'label:' ' a;' ' b;' ' c;' one two three four five six \
		seven eight nine >"$LINUX_TREE/hook.c"
	printf '%s\n' a b c d e f g h i j k l m n >"$LINUX_TREE/$ODD"
	cat >"$LINUX_TREE/scripts/checkpatch.pl" <<-'EOF'
		die "not told to leave the sender's line alone\n"
			unless grep { $_ eq '--no-signoff' } @ARGV;
		open(my $patch, '<', $ARGV[-1]) or die;
		while (<$patch>) { if (/^\+.*UGLY/) { print "ERROR: ugly\n"; exit 1; } }
	EOF
}

# git in the tree as the tests use it: the hooks are there for scripts/series to ignore
tree_git() {
	git -C "$T" -c core.hooksPath=/dev/null "$@"
}

# commit SUBJECT-AND-BODY...: all edits of the tree, each argument a paragraph
commit() {
	local args=() text
	for text in "$@"; do args+=(-m "$text"); done
	tree_git add -A
	tree_git commit -q "${args[@]}"
}

# change FILE SUBJECT-AND-BODY...: a commit that adds a line to FILE
change() {
	echo >>"$T/$1"
	commit "${@:2}"
}

series() {
	"$P/scripts/series" "$@"
}

# Makes a project whose open series has two new files and two patches, all saved.
make_project() {
	mkdir -p "$P/build"
	cp -r "$TOP/scripts" "$TOP/upstream.conf" "$P"
	series open linux
	# The tree's own hooks must not run either.
	mkdir -p "$T/.git/hooks" "$T/new"
	cp "$HOME/hooks/post-checkout" "$T/.git/hooks/"
	echo new >"$T/new/plain.c"
	echo tool >"$T/new/odd tööl"
	chmod +x "$T/new/odd tööl"
	commit 'overlay: new files'
	sed -i 's/two/TWO/' "$T/hook.c"
	commit 'core: add the hook' 'Needed for the test.' 'New-file: new/plain.c'
	sed -i 's/m/M/' "$T/$ODD"
	GIT_AUTHOR_NAME='Jörg Åström' GIT_AUTHOR_DATE='2020-02-03T04:05:06+0530' commit \
		'odd: chänge ä' 'Größe matters.' 'New-file: new/odd tööl'
	series save linux
}

# squash: folds the fixup commits in
squash() {
	GIT_SEQUENCE_EDITOR=: tree_git rebase -q -i --autosquash base
}

before_each() {
	rm -rf "$P"
	cp -a "$TMP/template" "$P"
}

nothing_left() {
	local left
	left=$(find "$TMPDIR" -mindepth 1
		find "$P" -maxdepth 1 -name '.linux.*'
		find "$P/build" -name '*.new')
	echo "left behind: ${left:-nothing}"
	[ -z "$left" ]
}

# Another person's change of the stored folder.
change_folder() {
	printf '%s\n' "/* theirs */" >>"$P/linux/new/plain.c"
}

# snapshot FOLDER: names, contents and modes
snapshot() {
	find "$1" -name .git -prune -o \( -type f -o -type l \) -printf '%P %m ' -exec sha256sum \
		'{}' \; | sed 's,  /.*,,' | sort
}

make_home
make_toy
make_project 2>/dev/null
mv "$P" "$TMP/template"
