# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
# shellcheck disable=SC2153 # NAME, TREE, DIR and OTHER_BASE are those of scripts/series
# Part of scripts/series: makes commits from a stored series (patches and new files), and the
# reverse.
#
# All commits are made in a scratch repository, which borrows the tree's objects and is removed at
# the end: an interrupted command leaves nothing behind in the tree. The scratch work tree is empty,
# and `git am` takes the few files that it needs from the index. So it is quick, although Linux has
# 90,000 files.

OVERLAY_SUBJECT='overlay: new files'
# Entries of the folder that do not belong to the series itself.
BESIDE=(bases mail needs)

# The user's own git configuration (colours, prefixes, rename limits, hooks) must not change what is
# stored.
plain_git() {
	GIT_CONFIG_GLOBAL=/dev/null GIT_CONFIG_SYSTEM=/dev/null GIT_ATTR_NOSYSTEM=1 \
		GIT_LITERAL_PATHSPECS=1 \
		git -c core.attributesFile=/dev/null -c core.hooksPath=/dev/null -c gc.auto=0 \
		-c maintenance.auto=false -c diff.renames=true "$@"
}

tgit() {
	plain_git -C "$TREE" "$@"
}

rgit() {
	plain_git -C "$REPO" "$@"
}

# Sets WORK (removed at exit), REPO and BASE; fixed committer, so that the commits have the same
# hash everywhere.
start_work() {
	# If a git hook or `git rebase --exec` runs this program, these variables name its
	# repository.
	# shellcheck disable=SC2046 # a list of names
	unset $(git rev-parse --local-env-vars)
	export LC_ALL=C
	BASE=$(tgit rev-parse -q --verify 'base^{commit}') ||
		die "$TREE has no tag 'base'; remove the folder, scripts/trees $NAME makes it anew"
	WORK=$(mktemp -d "${TMPDIR:-/tmp}/series.XXXXXX")
	trap clean_up EXIT
	trap 'exit 129' HUP
	trap 'exit 130' INT
	trap 'exit 143' TERM
	REPO=$WORK/repo
	plain_git init -q "$REPO"
	tgit rev-parse --path-format=absolute \
		--git-path objects >"$REPO/.git/objects/info/alternates"
	export GIT_COMMITTER_NAME=series GIT_COMMITTER_EMAIL=series@localhost GIT_COMMITTER_DATE
	GIT_COMMITTER_DATE=$(tgit log -1 --format=@%ct\ +0000 "$BASE")
	reset_repo
}

clean_up() {
	rm -rf "$WORK"
	[ -z "${LOCKED-}" ] || mend_folder
}

# Repairs the folder after an interrupted save; only for the holder of the lock.
mend_folder() {
	rm -rf "$TOP/.$NAME.new"
	[ -e "$DIR" ] || [ ! -e "$TOP/.$NAME.old" ] || mv "$TOP/.$NAME.old" "$DIR"
	rm -rf "$TOP/.$NAME.old"
}

# All trees read and write the folder under this lock.
lock_folder() {
	lock "$SHARED/lock/series-$NAME"
	LOCKED=1
	mend_folder
}

unlock_folder() {
	exec {LOCK}>&-
	LOCKED=
}

swap_folder() {
	cp -a "$1" "$TOP/.$NAME.new"
	if [ -n "$OTHER_BASE" ]; then store_as_other; else keep_links; fi
	# No signal may come between these two renames. After a power failure between them
	# mend_folder puts the old folder back.
	trap '' HUP INT TERM
	[ ! -e "$DIR" ] || mv "$DIR" "$TOP/.$NAME.old"
	mv "$TOP/.$NAME.new" "$DIR"
	rm -rf "$TOP/.$NAME.old"
}

# All work is done on a copy of the folder, without the files that the project ignores, such as
# Python's caches.
copy_stored() {
	local path
	mkdir "$WORK/stored"
	[ ! -e "$DIR" ] || cp -a "$DIR/." "$WORK/stored/"
	if [ -e "$TOP/.git" ]; then
		while IFS= read -r -d '' path; do
			rm -f "$WORK/stored/${path#"$NAME"/}"
		done < <(git -C "$TOP" ls-files -z -o -i --exclude-from="$TOP/.gitignore" -- \
			"$NAME")
	fi
	[ -z "$OTHER_BASE" ] || select_other
	find "$WORK/stored" -mindepth 1 -type d -empty -delete
}

# The digest leaves out BESIDE: the tree does not have these entries, so they may change at any
# time.
digest_stored() {
	tar -C "$WORK/stored" --sort=name --mtime=@0 --owner=0 --group=0 --numeric-owner \
		"${BESIDE[@]/#/--exclude=./}" -cf - . | sha256sum
}

reset_repo() {
	find "$REPO" -mindepth 1 -maxdepth 1 ! -name .git -exec rm -rf {} +
	rgit update-ref --no-deref HEAD "$BASE"
	rgit read-tree "$BASE"
	# These files tell format-patch how to find the function of a hunk. It reads them from the
	# work tree only.
	rgit ls-files -z | { grep -zE '(^|/)\.gitattributes$' || true; } |
		rgit checkout-index -f -z --stdin
}

# Commits the new files of $WORK/stored, if there are any, as the overlay on top of the base.
commit_overlay() {
	local tree file list=$WORK/new-files prune=(-path ./patches)
	for file in "${BESIDE[@]}"; do
		prune+=(-o -path "./$file")
	done
	(cd "$WORK/stored" && find . \( "${prune[@]}" \) -prune -o ! -type d \
		-printf '%P\0') >"$list"
	[ -s "$list" ] || return 0
	# -f: a new file counts even if the user's settings or a .gitignore among the new files
	# ignore it.
	rgit --work-tree="$WORK/stored" add -f --pathspec-from-file="$list" --pathspec-file-nul
	tree=$(rgit write-tree)
	rgit update-ref --no-deref HEAD \
		"$(GIT_AUTHOR_NAME=$GIT_COMMITTER_NAME GIT_AUTHOR_EMAIL=$GIT_COMMITTER_EMAIL \
		GIT_AUTHOR_DATE=$GIT_COMMITTER_DATE rgit commit-tree "$tree" -p "$BASE" \
		-m "$OVERLAY_SUBJECT")"
}

# am_patches FILE...: plain git am in the scratch repository; its output goes to $WORK/am.log
am_patches() {
	[ $# -eq 0 ] || rgit am -q "$@" >"$WORK/am.log" 2>&1
}

# Leaves out git's hints on how to go on: they do not apply here.
am_errors() {
	grep -v -e '^hint:' -e '--continue' -e '--skip' -e '--abort' "$WORK/am.log"
}

# Applies the stored patches to the scratch HEAD; fails if one does not apply.
am_stored() {
	shopt -s nullglob
	am_patches "$WORK"/stored/patches/*.patch
}

# split_series COMMIT: sets OVERLAY (base when there are no new files) and PATCHES, oldest first
split_series() {
	mapfile -t PATCHES < <(rgit rev-list --reverse "$BASE..$1")
	OVERLAY=$BASE
	if [ ${#PATCHES[@]} -gt 0 ] &&
		[ "$(rgit log -1 --format=%s "${PATCHES[0]}")" = "$OVERLAY_SUBJECT" ]; then
		OVERLAY=${PATCHES[0]}
		PATCHES=("${PATCHES[@]:1}")
	fi
}

# dump_series COMMIT FOLDER: writes into FOLDER what save stores for COMMIT
dump_series() {
	local out=$2 file
	mkdir -p "$out/patches"
	split_series "$1"
	rgit format-patch -q -N --zero-commit --no-signature --full-index --no-stat \
		--diff-algorithm=myers -o "$out/patches" "$OVERLAY..$1"
	[ -z "$OTHER_BASE" ] || share_patches "$out"
	list_new_files >"$WORK/list"
	if [ -s "$WORK/list" ]; then
		rm -f "$WORK/dump.index"
		GIT_INDEX_FILE=$WORK/dump.index rgit --work-tree="$out" checkout -q "$OVERLAY" \
			--pathspec-from-file="$WORK/list" --pathspec-file-nul
	fi
	for file in "${BESIDE[@]}"; do
		[ ! -e "$WORK/stored/$file" ] || cp -rp "$WORK/stored/$file" "$out/"
	done
	find "$out" -mindepth 1 -type d -empty -delete
}

# The new files' paths, each with a NUL behind it. Call split_series first.
list_new_files() {
	rgit diff-tree -r -z --no-renames --name-only --diff-filter=A "$BASE" "$OVERLAY"
}

# diff_folders A B: prints the differences, file modes too; false when there are any
diff_folders() {
	diff -r --no-dereference "$1" "$2" &&
		diff <(cd "$1" && find . -type f -perm -u+x | sort) <(cd "$2" &&
		find . -type f -perm -u+x | sort)
}

# is_stored COMMIT: the folder holds exactly what save would write for COMMIT
is_stored() {
	rgit merge-base --is-ancestor "$BASE" "$1" || return 1
	rm -rf "$WORK/dump"
	dump_series "$1" "$WORK/dump"
	diff_folders "$WORK/stored" "$WORK/dump" >/dev/null
}

describe() {
	rgit log -1 --format='%h "%s"' "$1"
}
