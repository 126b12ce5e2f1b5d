# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
# Part of scripts/series: checks of a series. The list_* functions print one line for each problem,
# and nothing if there is none.

# Lines of a commit message that do not count as the reason for the patch.
TRAILER='^(Cc|Fixes|Link|Closes|[A-Z][a-z]+(-[a-z]+)+): '

# list_shape_problems COMMIT: the history must be the base, at most one overlay commit, then the
# patches, without merges
list_shape_problems() {
	local c merges
	if ! rgit merge-base --is-ancestor "$BASE" "$1"; then
		echo "the branch is not on top of tag base;" \
			"rebase it: git rebase --onto base OLD-BASE series"
		return
	fi
	merges=$(rgit rev-list --merges "$BASE..$1")
	[ -z "$merges" ] || echo "merge commits: $merges; make the branch linear: git rebase base"
	split_series "$1"
	for c in "${PATCHES[@]}"; do
		case $(rgit log -1 --format=%s "$c") in
		"$OVERLAY_SUBJECT")
			echo "$(describe "$c") must be the first commit and the only one:" \
				"git rebase -i base"
			;;
		fixup!* | squash!* | amend!*)
			echo "$(describe "$c") is not folded in:" \
				"GIT_SEQUENCE_EDITOR=: git rebase -i --autosquash base"
			;;
		esac
		[ "$(rgit rev-parse "$c^{tree}")" != "$(rgit rev-parse "$c^^{tree}")" ] ||
			echo "$(describe "$c") changes nothing; drop it: git rebase -i base"
	done
}

# list_ownership_problems COMMIT: a path must belong either to the new files, or to upstream and the
# patches
list_ownership_problems() {
	local c path
	local -A new=()
	split_series "$1"
	while IFS= read -r -d '' path; do
		echo "$path is upstream's, but $(describe "$OVERLAY") changes it;" \
			"make that change in a patch"
	done < <(rgit diff-tree -r -z --no-renames --name-only --diff-filter=a "$BASE" "$OVERLAY")
	while IFS= read -r -d '' path; do
		new[$path]=1
	done < <(list_new_files)
	for c in "${PATCHES[@]}"; do
		while IFS= read -r -d '' path; do
			[ -z "${new[$path]-}" ] ||
				echo "$path is a new file, but $(describe "$c") changes it;" \
					"move the change into the overlay commit"
		done < <(rgit diff-tree -r -z --no-commit-id --no-renames --name-only "$c")
		while IFS= read -r -d '' path; do
			echo "$(describe "$c") creates $path; move it into the overlay commit and" \
				"add 'New-file: $path' to the message"
		done < <(rgit diff-tree -r -z --no-commit-id -M --name-only --diff-filter=AC "$c")
	done
}

# list_message_problems COMMIT
#
# grep -q would end before it has read all of a long message, and git by SIGPIPE then.
list_message_problems() {
	local c body
	split_series "$1"
	for c in "${PATCHES[@]}"; do
		body=$(rgit log -1 --format=%b "$c")
		[[ $(grep -Ev "$TRAILER" <<<"$body") =~ [^[:space:]] ]] ||
			echo "$(describe "$c") does not say why it exists; give it a body"
		! grep -qi '^Signed-off-by:' <<<"$body" ||
			echo "$(describe "$c") holds a Signed-off-by;" \
				"only the sender adds it: series mail --signoff"
	done
}

# list_claims COMMIT
list_claims() {
	rgit log -1 --format=%B "$1" | sed -n 's/^New-file: //p'
}

# list_claim_problems COMMIT: each new file goes into exactly one mailed patch
list_claim_problems() {
	local c path
	local -A claims=()
	split_series "$1"
	while IFS= read -r -d '' path; do
		claims[$path]=0
	done < <(list_new_files)
	for c in "${PATCHES[@]}"; do
		while IFS= read -r path; do
			if [ -n "${claims[$path]-}" ]; then
				claims[$path]=$((claims[$path] + 1))
			else
				echo "$(describe "$c") claims '$path', which is no new file;" \
					"correct its New-file line"
			fi
		done < <(list_claims "$c")
	done
	for path in "${!claims[@]}"; do
		[ "${claims[$path]}" -eq 1 ] ||
			echo "$path is claimed by ${claims[$path]} patches;" \
				"put 'New-file: $path' into the message of exactly one"
	done
}
