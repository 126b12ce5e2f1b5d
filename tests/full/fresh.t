#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Claim: in a fresh clone the commands of README.md work without any other command before them, and
# those of other pages work after them. Downloads and compiler results may come from the cache.
#
#   tests/full/fresh.t demo|series     the commands about the demo, or those about the series
set -euo pipefail
# shellcheck source=../tap.sh
. "$(dirname "$0")/../tap.sh"

# A clone with all that is built in it needs more room than /tmp may have.
rmdir "$TMP"
TMP=$(mktemp -d "$BUILD/fresh.XXXXXX")
CLONE=$TMP/clone
git clone -q "$TOP" "$CLONE"

# A user has given git these settings.
export GIT_CONFIG_COUNT=2 GIT_CONFIG_KEY_0=user.name GIT_CONFIG_VALUE_0=you \
	GIT_CONFIG_KEY_1=user.email GIT_CONFIG_VALUE_1=you@localhost

# follow ROW PAGE [OPTION OF bash]: runs the page's blocks that are marked with ROW, from top to
# bottom
follow() {
	python3 "$CLONE/tests/lib/pages.py" "$1" "$2" >"$TMP/script"
	grep -q . "$TMP/script"
	(cd "$CLONE" && bash "${3--ex}" -o pipefail "$TMP/script")
}

# Where the page runs all tests, two of them are enough here.
demo() {
	ONLY='^(docs|demo-judge)$' follow fresh/demo README.md
	[ -s "$CLONE/build/results/demo.json" ] && [ -s "$CLONE/build/results/demo.svg" ]
}

# Without -e: make ends with an error as long as a row of the table has no verdict.
kept_verdicts() {
	ONLY='^(docs|demo-judge)$' follow fresh/demo docs/testing.md -x 2>&1 | tee "$TMP/said"
	[ "$(grep -c -E '^[0-9]+ of [0-9]+ done' "$TMP/said")" = 2 ]
	grep -q -E '^docs +[0-9]+ passed \(' "$TMP/said"
	grep -q -E '^demo-judge +passed ' "$TMP/said"
	! grep -q -E '^(docs|demo-judge) .*FAILED' "$TMP/said"
}

help() {
	make -C "$CLONE" help >"$TMP/help"
	grep -q '^make check ' "$TMP/help"
}

# Puts pristine trees of the releases where the commands of README.md look for them.
mailed_series() {
	local name
	make -C "$CLONE" trees
	for name in linux-$LINUX_VERSION qemu-$QEMU_VERSION; do
		git -C "$CLONE/build/${name%-*}" worktree add -q --detach "$TMP/$name" base
	done
	follow fresh/series README.md
	for name in linux-$LINUX_VERSION qemu-$QEMU_VERSION; do
		git -C "$TMP/$name" diff --quiet series
	done
}

# The editor puts a line below the first one.
changed_series() {
	EDITOR='sed -i 1a/*edited*/' follow fresh/series docs/series.md
	git -C "$CLONE" show --format= --name-only HEAD >"$TMP/changed"
	cat "$TMP/changed"
	# other patches to the same file have another blob in their headers
	grep -q '^linux/patches/.*-Add-a-predicate' "$TMP/changed"
	grep -qx 'linux/tools/.*/vpmu_fixed_counters.c' "$TMP/changed"
	grep -qxF '+/*edited*/' "$CLONE"/build/series/linux/*.patch
}

case ${1-} in
demo)
	check 'README.md: demo and tests' demo
	check 'testing.md: verdicts that are kept' kept_verdicts
	check 'make help' help
	;;
series)
	check 'README.md: the series, and git am on pristine trees' mailed_series
	check 'series.md: a changed patch, and a changed new file' changed_series
	;;
*) die "unknown argument '${1-}'; usage: fresh.t demo|series" ;;
esac
finish
