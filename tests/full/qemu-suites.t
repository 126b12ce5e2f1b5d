#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Claim: QEMU's own unit tests, qtests of 64- and 32-bit Arm, and functional tests that download nothing come to the same with the series
# as without it. On this machine, thus with TCG. Debian's source has no firmware, and tests that boot it fail on either side.
# Runs alone: compilers take all CPUs.
set -euo pipefail
# shellcheck source=../../scripts/lib.sh
. "$(dirname "$0")/../../scripts/lib.sh"

SUITES=(unit qtest-aarch64 qtest-arm func-quick)

# run_suites FOLDER: failures are for the comparison to judge
run_suites() {
	local folder=$1 arguments=() suite
	for suite in "${SUITES[@]}"; do
		arguments+=(--suite "$suite")
	done
	rm -f "$folder"/meson-logs/suites*
	"$folder/pyvenv/bin/meson" test -C "$folder" --no-rebuild --num-processes "$(nproc)" \
		--timeout-multiplier "$(scale_timeout 2)" --logbase suites "${arguments[@]}" >&2 || true
	echo "$folder/meson-logs/suites.json"
}

main() {
	local base ours
	base=$("$TOP/scripts/build-qemu" --base --suites)
	ours=$("$TOP/scripts/build-qemu" --suites)
	python3 "$TOP/tests/full/compare_suites.py" "$(run_suites "$base")" "$(run_suites "$ours")"
}

main
