#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# QEMU's own tests pass with the series if they pass without it, see compare_suites.py. They run on
# this machine, so with TCG. Debian's source has no firmware: tests that boot it fail on both sides.
#
#   qemu-suites.t SUITE...    suites that meson knows and that download nothing: unit,
#                             qtest-aarch64, qtest-arm, func-quick
set -euo pipefail
# shellcheck source=../../scripts/lib.sh
. "$(dirname "$0")/../../scripts/lib.sh"

# run_suites FOLDER SUITE...: ignores failures, which the comparison judges. Upstream's time limits
# are multiplied, so that they end hangs only.
run_suites() {
	local arguments=() suite
	for suite in "${@:2}"; do
		arguments+=(--suite "$suite")
	done
	rm -f "$1"/meson-logs/suites.*
	# otherwise meson sets a random value in each run
	MALLOC_PERTURB_=1 "$1/pyvenv/bin/meson" test -C "$1" --no-rebuild \
		--num-processes "$(nproc)" --timeout-multiplier "$(scale_timeout 10)" \
		--logbase suites "${arguments[@]}" >&2 || true
}

[ $# -gt 0 ] || die "usage: qemu-suites.t SUITE..."
base=$("$TOP/scripts/build-qemu" --base --suites)
ours=$("$TOP/scripts/build-qemu" --suites)
run_suites "$base" "$@"
run_suites "$ours" "$@"
"$("$TOP/scripts/venv")/bin/python" "$TOP/tests/full/compare_suites.py" "$base" "$ours" "$@"
