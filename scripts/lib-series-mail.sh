# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
# shellcheck disable=SC2153 # NAME, TREE and DIR are those of scripts/series
# Part of scripts/series: writes the series as mails, and checks the stored series.

# list_mail_problems COMMIT
list_mail_problems() {
	list_shape_problems "$1"
	list_ownership_problems "$1"
	list_claim_problems "$1"
	split_series "$1"
	[ ${#PATCHES[@]} -gt 0 ] || echo "there is no patch in $DIR/patches"
	list_letter_problems "$1"
}

# fold_series COMMIT: makes commits in the scratch repository in which each new file comes with the
# patch that claims it. Each tree is that of the series without the files that no patch has claimed
# yet: nothing can conflict, and the last tree is that of the series. Sets FOLDED: the base, and the
# commit of each patch.
fold_series() {
	local c tree author parent=$BASE
	split_series "$1"
	list_new_files >"$WORK/unclaimed"
	FOLDED=("$BASE")
	for c in "${PATCHES[@]}"; do
		list_claims "$c" | tr '\n' '\0' >"$WORK/claimed"
		# grep ends with 1 when all are claimed
		grep -zvxF -f <(tr '\0' '\n' <"$WORK/claimed") "$WORK/unclaimed" >"$WORK/left" ||
			[ $? -eq 1 ]
		mv "$WORK/left" "$WORK/unclaimed"
		rgit read-tree "$c"
		rgit update-index -z --force-remove --stdin <"$WORK/unclaimed"
		tree=$(rgit write-tree)
		mapfile -t author < <(rgit log -1 --format=%an%n%ae%n@%ad --date=raw "$c")
		parent=$(rgit log -1 --format=%B "$c" | sed '/^New-file: /d' | git stripspace |
			GIT_AUTHOR_NAME=${author[0]} GIT_AUTHOR_EMAIL=${author[1]} \
				GIT_AUTHOR_DATE=${author[2]} \
				rgit commit-tree "$tree" -p "$parent" -F -)
		FOLDED+=("$parent")
	done
}

# format_series FOLDER FIRST LAST LETTER ARG...: writes these patches, numbered from 1. LETTER,
# which may be empty, is put in front of the file names: *.patch then lists the patches of all
# series in order.
format_series() {
	local parent=${FOLDED[$2 - 1]} text='' file args=("${@:5}")
	rgit update-ref refs/heads/mail "${FOLDED[$3]}"
	[ -z "$4" ] || text=$(cover_text "$4")
	if [[ $text == '[RFC] '* ]]; then
		text=${text#'[RFC] '}
		args+=(--rfc)
	fi
	if [ -n "$text" ]; then
		rgit config branch.mail.description "$text"
		args+=(--cover-letter --cover-from-description=subject)
	fi
	rgit format-patch "${args[@]}" -o "$WORK/one" "$parent..mail"
	# git am stops at a mail without a patch. With this name *.patch leaves the cover letter
	# out, and it still sorts first.
	[ -z "$text" ] || mv "$WORK/one/0000-cover-letter.patch" "$WORK/one/0000-cover-letter.txt"
	mkdir -p "$1"
	for file in "$WORK"/one/*; do
		mv "$file" "$1/${4:+$4-}${file##*/}"
	done
}

# write_mail COMMIT FOLDER SIGNOFF: dies unless git am of the result gives COMMIT's tree
write_mail() {
	local out=$2 name email i \
		args=(-q --zero-commit --no-signature --diff-algorithm=myers --abbrev=12)
	name=$(git -C "$TOP" config user.name) || name=
	email=$(git -C "$TOP" config user.email) || email=
	if [ -n "$3" ]; then
		[ -n "${name:+$email}" ] ||
			die "no name to sign off with; set it:" \
				"git config --global user.name NAME, and user.email ADDRESS"
		args+=(--signoff)
	fi
	find_starts "$1"
	fold_series "$1"
	(
		GIT_COMMITTER_NAME=${name:-$(rgit log -1 --format=%an "${FOLDED[-1]}")}
		GIT_COMMITTER_EMAIL=${email:-$(rgit log -1 --format=%ae "${FOLDED[-1]}")}
		GIT_COMMITTER_DATE=$(rgit log -1 --format=@%ad --date=raw "${FOLDED[-1]}")
		export GIT_COMMITTER_NAME GIT_COMMITTER_EMAIL GIT_COMMITTER_DATE
		[ ${#LETTERS[@]} -gt 0 ] || format_series "$out" 1 "${#PATCHES[@]}" '' "${args[@]}"
		for i in "${!LETTERS[@]}"; do
			format_series "$out" "${STARTS[i]}" "$(end_of "$i")" "${LETTERS[i]}" \
				"${args[@]}"
		done
	)
	prove_mail "$out" "$(rgit rev-parse "$1^{tree}")"
}

prove_mail() {
	reset_repo
	am_patches "$1"/*.patch ||
		die "git am does not apply the series made for mailing: $(am_errors)"
	[ "$(rgit rev-parse 'HEAD^{tree}')" = "$2" ] ||
		die "the series made for mailing gives another tree:" \
			"$(rgit diff --stat "$2" HEAD | tail -n 20)"
}

# result DESCRIPTION PROBLEMS: one TAP line, and the problems as diagnostics
result() {
	TESTS=$((${TESTS-0} + 1))
	if [ -z "$2" ]; then
		echo "ok $TESTS - $NAME: $1"
	else
		echo "not ok $TESTS - $NAME: $1"
		echo "# ${2//$'\n'/$'\n'# }"
		FAILED=1
	fi
}

finish_tap() {
	echo "1..$TESTS"
	[ -z "${FAILED-}" ] || exit 1
	exit 0
}

check_series() {
	local tip patch problems
	reset_repo
	commit_overlay
	if ! am_stored; then
		result 'patches apply to the base' "$(am_errors)"
		finish_tap
	fi
	result 'patches apply to the base' ''
	tip=$(rgit rev-parse HEAD)
	dump_series "$tip" "$WORK/dump"
	result 'round trip gives the same files' \
		"$(cd "$WORK" && diff_folders stored dump | head -n 60)"
	result 'one commit a patch, on top of the new files' "$(list_shape_problems "$tip")"
	result 'new files and patches share no path' "$(list_ownership_problems "$tip")"
	result 'each patch says why, none is signed off' "$(list_message_problems "$tip")"
	result 'each new file is claimed by one patch' "$(list_claim_problems "$tip")"
	problems=$(list_mail_problems "$tip")
	if [ -n "$problems" ]; then
		result 'can be mailed' "$problems"
		finish_tap
	fi
	# If its own check fails it dies: the output then has no plan, and the test fails.
	write_mail "$tip" "$WORK/mail" ''
	result 'can be mailed' ''
	for patch in "$WORK"/mail/*.patch; do
		result "checkpatch of ${patch##*/}" "$(run_checkpatch "$patch")"
	done
	finish_tap
}

# run_checkpatch PATCH: prints what upstream's checkpatch finds
run_checkpatch() {
	# Only the sender adds Signed-off-by.
	local args=(--no-signoff)
	case $NAME in
	linux)
		# FILE_PATH_CHANGES asks for a change of MAINTAINERS with each new file, even if a
		# pattern there covers it. UNKNOWN_COMMIT_ID looks commits up in the history, and
		# the tree has none before its base.
		args+=(--strict --ignore FILE_PATH_CHANGES --ignore UNKNOWN_COMMIT_ID)
		;;
	esac
	(cd "$TREE" && perl scripts/checkpatch.pl "${args[@]}" "$1") >"$WORK/checkpatch" 2>&1 ||
		cat "$WORK/checkpatch"
}
