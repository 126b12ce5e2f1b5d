#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Claim: every tracked program of ours passes its linter, carries an SPDX line, and shell stays below 300 lines a file.
set -euo pipefail
# shellcheck source=../scripts/lib.sh
. "$(dirname "$0")/../scripts/lib.sh"
# shellcheck source=tap.sh
. "$TOP/tests/tap.sh"
cd "$TOP"

list_with_shebang() {
	# awk's variables, not the shell's
	# shellcheck disable=SC2016
	git ls-files -z | xargs -0 awk -v want="$1" 'FNR == 1 { if ($0 ~ "^#!.*" want) print FILENAME; nextfile }'
}

# Patches, upstream's own formats and a fuzzer's inputs have no room for one; JSON has no comments; the licence text is no program.
find_without_spdx() {
	local found
	found=$(git ls-files -z -- ':!*.patch' ':!*.json' ':!COPYING' ':!.gitignore' ':!*.md' ':!.shellcheckrc' ':!tests/fuzz/corpus' ':!tests/fuzz/tool-corpus' ':!packages/*copyright' |
		xargs -0 grep -L 'SPDX-License-Identifier: GPL-2.0' || true)
	echo "$found"
	[ -z "$found" ]
}

find_long_shell() {
	wc -l "$@" | awk '$2 != "total" && $1 >= 300 { print; found = 1 } END { exit found }'
}

main() {
	local -a shell python
	TMP=$(mktemp -d)
	trap 'rm -rf "$TMP"' EXIT
	mapfile -t shell < <(list_with_shebang '(bash|[/ ]sh)'; git ls-files '*.sh')
	mapfile -t python < <(list_with_shebang python; git ls-files '*.py' ':!qemu')
	if [ ${#shell[@]} -lt 5 ] || [ ${#python[@]} -lt 1 ]; then
		die "found too few programs to check: ${shell[*]} ${python[*]}"
	fi
	check "shellcheck" shellcheck -x "${shell[@]}"
	check "shell files stay below 300 lines" find_long_shell "${shell[@]}"
	check "ruff" "$BUILD/venv/bin/ruff" check --quiet "${python[@]}"
	check "each file has its SPDX line" find_without_spdx
	finish
}

main
