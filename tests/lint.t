#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Claim: every tracked program of ours passes its linter, carries an SPDX line, and has lines of at
# most 100 columns; shell stays below 300 lines a file. Subjects of commits are `area: imperative`,
# in at most 72 columns, and pages have one width.
set -euo pipefail
# shellcheck source=tap.sh
. "$(dirname "$0")/tap.sh"
cd "$TOP"

# Commits after this one must have such a subject.
SUBJECTS_SINCE=0f72b85
AREAS='tests|testbed|bench|guests|linux|qemu|scripts|docs|demo|tool'
# Words that are no imperative, but began subjects before
NO_IMPERATIVE='a|an|the|adds|added|fixes|fixed|makes|more|new|no|our|what|when|where|all|each|two'

list_with_shebang() {
	# awk's variables, not the shell's
	# shellcheck disable=SC2016
	git ls-files -z | xargs -0 awk -v want="$1" \
		'FNR == 1 { if ($0 ~ "^#!.*" want) print FILENAME; nextfile }'
}

# Patches, upstream's own formats and a fuzzer's inputs have no room for one; JSON has no comments;
# the licence text is no program.
find_without_spdx() {
	local found
	found=$(git ls-files -z -- ':!*.patch' ':!*.json' ':!COPYING' ':!.gitignore' ':!*.md' \
		':!.shellcheckrc' ':!tests/fuzz/*corpus/*' \
		':!packages/*copyright' |
		xargs -0 grep -L 'SPDX-License-Identifier: GPL-2.0' || true)
	echo "$found"
	[ -z "$found" ]
}

# Files that are no code: texts, pictures, tables, patches, device trees, inputs of fuzzers, and
# those whose format Debian sets. Upstream's checkpatch judges linux/ and qemu/.
DATA=('*.expected' '*.patch' '*.md' '*.svg' '*.tsv' '*.dts' '*.1' tests/table tests/allowed-skips
	tests/conformance-known 'tests/fuzz/*corpus/*' COPYING 'packages/*copyright'
	'packages/*control' linux qemu)

find_wide_lines() {
	local file
	git ls-files -z -- "${DATA[@]/#/:!}" | while IFS= read -r -d '' file; do
		expand -t 8 "$file" | LC_ALL=C.UTF-8 grep -nE '.{101}' | sed "s|^|$file:|" || true
	done | tee "$TMP/wide"
	[ ! -s "$TMP/wide" ]
}

find_long_shell() {
	wc -l "$@" | awk '$2 != "total" && $1 >= 300 { print; found = 1 } END { exit found }'
}

# Reads lines "COMMIT SUBJECT", prints those with a fault.
find_bad_subjects() {
	local commit subject fault found=0 form="^($AREAS): [a-z]+ [^ ]" \
		noun="^[a-z]+: ($NO_IMPERATIVE) "
	while read -r commit subject; do
		fault=
		[ ${#subject} -le 72 ] || fault="${#subject} columns, the limit is 72"
		[[ $subject =~ $form ]] ||
			fault="not '$AREAS', a colon and an imperative in lower case"
		[[ ! $subject =~ $noun ]] || fault="the first word after the area is no imperative"
		[[ $subject != *. ]] || fault="a full stop at the end"
		[ -z "$fault" ] || { echo "$commit $subject: $fault"; found=1; }
	done
	return "$found"
}

check_subjects() {
	git log --no-merges --format='%h %s' "$SUBJECTS_SINCE.." >"$TMP/subjects"
	find_bad_subjects <"$TMP/subjects"
}

BAD_SUBJECTS='1 book: name no known area
2 tests: Begin with a capital letter
3 tests: new test of a board
4 tests: end with a full stop.
5 tests,docs: name two areas
6 tests: say so much in the first line of a message that it does not fit into it
7 say nothing of the area'

bad_subjects_are_found() {
	local found
	found=$(find_bad_subjects <<<"$BAD_SUBJECTS" || true)
	echo "$found"
	[ "$(cut -d ' ' -f 1 <<<"$found" | tr '\n' ' ')" = '1 2 3 4 5 6 7 ' ]
}

venv=$("$TOP/scripts/venv" check)
mapfile -t shell < <(list_with_shebang '(bash|[/ ]sh)'; git ls-files '*.sh')
mapfile -t python < <(list_with_shebang python; git ls-files '*.py' ':!qemu')
if [ ${#shell[@]} -lt 5 ] || [ ${#python[@]} -lt 1 ]; then
	die "found too few programs to check: ${shell[*]} ${python[*]}"
fi
check "shellcheck" shellcheck -x "${shell[@]}"
check "shell files stay below 300 lines" find_long_shell "${shell[@]}"
check "ruff" "$venv/bin/ruff" check --quiet "${python[@]}"
check "each file has its SPDX line" find_without_spdx
check "lines of code have at most 100 columns" find_wide_lines
name="commit subjects are 'area: imperative', at most 72 columns"
if git merge-base --is-ancestor "$SUBJECTS_SINCE" HEAD 2>/dev/null; then
	check "$name" check_subjects
else
	skip "$name" \
		"the history lacks commit $SUBJECTS_SINCE; git fetch --unshallow gets it"
fi
check "bad commit subjects are found" bad_subjects_are_found
check "the pages are wrapped as docs/wrap.py does it" docs/wrap.py --check
finish
