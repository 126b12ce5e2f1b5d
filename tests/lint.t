#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Claim: every tracked program of ours passes its linter, carries an SPDX line, and shell stays below 300 lines a file.
set -euo pipefail
# shellcheck source=../scripts/lib.sh
. "$(dirname "$0")/../scripts/lib.sh"
cd "$TOP"

FAILED=0

# report NAME OUTPUT: one TAP test that passes when OUTPUT is empty
report() {
	COUNT=$((COUNT + 1))
	if [ -z "$2" ]; then
		echo "ok $COUNT - $1"
	else
		echo "not ok $COUNT - $1"
		printf '%s\n' "$2" | sed 's/^/# /'
		FAILED=1
	fi
}

list_with_shebang() {
	# awk's variables, not the shell's
	# shellcheck disable=SC2016
	git ls-files -z | xargs -0 awk -v want="$1" 'FNR == 1 { if ($0 ~ "^#!.*" want) print FILENAME; nextfile }'
}

# Patches and upstream's own formats have no room for one; JSON has no comments; the licence text is no program.
list_without_spdx() {
	git ls-files -z -- ':!*.patch' ':!*.json' ':!COPYING' ':!.gitignore' ':!*.md' ':!.shellcheckrc' |
		xargs -0 grep -L 'SPDX-License-Identifier: GPL-2.0' || true
}

main() {
	local -a shell python
	COUNT=0
	mapfile -t shell < <(list_with_shebang '(bash|/sh)'; git ls-files '*.sh')
	mapfile -t python < <(list_with_shebang python; git ls-files '*.py' ':!qemu')
	if [ ${#shell[@]} -lt 5 ] || [ ${#python[@]} -lt 1 ]; then
		die "found too few programs to check: ${shell[*]} ${python[*]}"
	fi
	echo 1..4
	report "shellcheck" "$(shellcheck -x "${shell[@]}" 2>&1 || true)"
	report "shell files below 300 lines" "$(wc -l "${shell[@]}" | awk '$2 != "total" && $1 >= 300')"
	report "ruff" "$("$BUILD/venv/bin/ruff" check --quiet "${python[@]}" 2>&1 || true)"
	report "SPDX line" "$(list_without_spdx)"
	return "$FAILED"
}

main
