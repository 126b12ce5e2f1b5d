#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Claim: QEMU's own unit tests, qtests of 64- and 32-bit Arm, and functional tests that download nothing come to no less with the
# series than without it, see compare_suites.py. On this machine, thus with TCG. Debian's source has no firmware, and tests that boot it
# fail on either side.
set -euo pipefail
# shellcheck source=../../scripts/lib.sh
. "$(dirname "$0")/../../scripts/lib.sh"

SUITES=(unit qtest-aarch64 qtest-arm func-quick)

# run_suites FOLDER: failures are for the comparison to judge. Upstream's time limits end hangs here and nothing else.
run_suites() {
	local arguments=() suite
	for suite in "${SUITES[@]}"; do
		arguments+=(--suite "$suite")
	done
	rm -f "$1"/meson-logs/suites.*
	# otherwise meson draws it anew for each run
	MALLOC_PERTURB_=1 "$1/pyvenv/bin/meson" test -C "$1" --no-rebuild --num-processes "$(nproc)" \
		--timeout-multiplier "$(scale_timeout 10)" --logbase suites "${arguments[@]}" >&2 || true
}

main() {
	local base ours
	base=$("$TOP/scripts/build-qemu" --base --suites)
	ours=$("$TOP/scripts/build-qemu" --suites)
	run_suites "$base"
	run_suites "$ours"
	"$("$TOP/scripts/venv")/bin/python" "$TOP/tests/full/compare_suites.py" "$base" "$ours"
}

main
