#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Claim: in a fresh clone the commands of README.md work, with nothing before them. Downloads and compiler results may come from the
# cache.
#
#   tests/full/fresh.t demo|series     the commands about the demo, or those about the series
set -euo pipefail
# shellcheck source=../../scripts/lib.sh
. "$(dirname "$0")/../../scripts/lib.sh"
# shellcheck source=../tap.sh
. "$TOP/tests/tap.sh"

TMP=$(mktemp -d "$BUILD/fresh.XXXXXX")
trap 'rm -rf "$TMP"' EXIT
CLONE=$TMP/clone
git clone -q "$TOP" "$CLONE"

demo() {
	make -C "$CLONE" demo
	[ -s "$CLONE/build/results/demo.json" ] && [ -s "$CLONE/build/results/demo.svg" ]
}

picked_tests() {
	make -C "$CLONE" check ONLY='^(docs|demo-judge)$'
}

# As somebody does who has a pristine release, and nothing of ours.
mailed_series() {
	make -C "$CLONE" series
	for name in linux qemu; do
		git -C "$CLONE/build/$name" worktree add -q --detach "$TMP/$name" base
		(cd "$TMP/$name" && git -c user.name=you -c user.email=you@localhost am -q "$CLONE/build/series/$name"/*.patch)
		git -C "$TMP/$name" diff --quiet series
	done
}

tool() {
	make -C "$CLONE" tool
	[ -x "$CLONE/build/artifacts/pmu-hybrid-check" ]
}

help() {
	make -C "$CLONE" help >"$TMP/help"
	grep -q '^make check ' "$TMP/help"
}

case ${1-} in
demo)
	check 'make demo' demo
	check 'make check, with some of its tests' picked_tests
	check 'make help' help
	;;
series)
	check 'make series, and git am on pristine trees' mailed_series
	check 'make tool' tool
	;;
*) die "which commands? usage: fresh.t demo|series" ;;
esac
finish
