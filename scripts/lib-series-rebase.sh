# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
# shellcheck disable=SC2153 # NAME, TREE, DIR and WORK are those of scripts/series
# Part of scripts/series: moves the open tree to the base that upstream.conf (or NAME_TREE=) names.
#
# The tag base moves last. Until then `git rebase --abort` restores the old state.

NEW_BASE=refs/series/base

# list_missing COMMIT: lines of NAME/needs that COMMIT does not fulfil. Each line there is FILE
# WORD, and what happens if FILE lacks WORD.
list_missing() {
	local file word trap
	[ -e "$WORK/stored/needs" ] || return 0
	while read -r file word trap; do
		tgit grep -q -w -F -e "$word" "$1" -- "$file" ||
			echo "  $file has no $word${trap:+: $trap}"
	done < <(grep -v '^#' "$WORK/stored/needs")
}

# The other bases that have patches already
list_ports() {
	local pins base version
	for pins in "$DIR"/bases/*/pins; do
		[ -e "$pins" ] || continue
		base=$(basename "${pins%/pins}")
		version=$(sed -n "s/^${NAME^^}_VERSION=//p" "$pins")
		printf '\n  %s in upstream.conf has patches for %s' "${NAME^^}_BASE=$base" \
			"$NAME $version"
	done
}

fetch_base() {
	"$TOP/scripts/trees" "$NAME" "$WORK/new"
	tgit fetch -q --no-tags --no-write-fetch-head "$WORK/new" "+refs/tags/base:$NEW_BASE"
	SOURCE=$(git -C "$WORK/new" config vpmu.source)
	rm -rf "$WORK/new"
}

finish_rebase() {
	tgit tag -f base "$NEW_BASE" >/dev/null
	tgit config vpmu.source "$SOURCE"
	step "$TREE: branch series is on $NAME $SOURCE; look at it" \
		"(git range-diff $BASE..$1 base..series), scripts/series save $NAME, then build it"
}

rebase_series() {
	local tip missing
	[ -z "$OTHER_BASE" ] ||
		die "upstream.conf selects $NAME/$OTHER_BASE, which has patches of its own;" \
			"save what you need from $TREE with ${NAME^^}_BASE= empty," \
			"delete the tree, then scripts/series open $NAME"
	tip=$(branch_tip)
	require_clean
	fetch_base
	if [ "$(tgit rev-parse "$NEW_BASE^{tree}")" = "$(tgit rev-parse "$BASE^{tree}")" ]; then
		die "$TREE is on $NAME $SOURCE already; change the pins in upstream.conf," \
			"or name a tree in ${NAME^^}_TREE="
	fi
	if tgit merge-base --is-ancestor "$NEW_BASE" "$tip"; then
		finish_rebase "$tip"
		return
	fi
	is_stored "$tip" || die_unsaved
	missing=$(list_missing "$NEW_BASE")
	[ -z "$missing" ] ||
		die "the series cannot move to $NAME $SOURCE, which lacks what it needs:
$missing$(list_ports)"
	tgit rebase -q --onto "$NEW_BASE" "$BASE" series >"$WORK/rebase.log" 2>&1 ||
		die "a patch does not apply to $NAME $SOURCE:" \
			"$(tgit log -1 --format=%s REBASE_HEAD)
$(tgit diff --name-only --diff-filter=U)
resolve the conflict in $TREE, then run git add, git rebase --continue and" \
			"scripts/series rebase $NAME;" \
			"or undo everything: git rebase --abort"
	finish_rebase "$tip"
}
