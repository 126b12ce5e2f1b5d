#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Claim: QEMU's own unit tests, qtests of 64- and 32-bit Arm, and functional tests that download nothing come to the same with the series
# as without it. On this machine, thus with TCG. Debian's source has no firmware, and tests that boot it fail on either side. Some of
# upstream's tests fail now and then: a difference has to be there twice.
set -euo pipefail
# shellcheck source=../../scripts/lib.sh
. "$(dirname "$0")/../../scripts/lib.sh"

COMPARE=$TOP/tests/full/compare_suites.py
SUITES=(unit qtest-aarch64 qtest-arm func-quick)

# run_suites FOLDER LOGS [TEST...]: failures are for the comparison to judge
run_suites() {
	local folder=$1 logs=$2 arguments=() suite
	shift 2
	for suite in "${SUITES[@]}"; do
		arguments+=(--suite "$suite")
	done
	rm -f "$folder/meson-logs/$logs".*
	"$folder/pyvenv/bin/meson" test -C "$folder" --no-rebuild --num-processes "$(nproc)" \
		--timeout-multiplier "$(scale_timeout 2)" --logbase "$logs" "${arguments[@]}" "$@" >&2 || true
	echo "$folder/meson-logs/$logs.json"
}

main() {
	local base ours logs again
	base=$("$TOP/scripts/build-qemu" --base --suites)
	ours=$("$TOP/scripts/build-qemu" --suites)
	logs=("$(run_suites "$base" suites)" "$(run_suites "$ours" suites)")
	mapfile -t again < <(python3 "$COMPARE" --different "${logs[@]}")
	if [ ${#again[@]} -gt 0 ]; then
		echo "# different, so once more: ${again[*]}"
		logs+=("$(run_suites "$base" again "${again[@]}")" "$(run_suites "$ours" again "${again[@]}")")
	fi
	python3 "$COMPARE" "${logs[@]}"
}

main
