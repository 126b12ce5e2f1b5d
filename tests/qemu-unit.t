#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Claim: the unit tests that the QEMU series adds pass on the machine that builds them, whatever its architecture.
set -euo pipefail
# shellcheck source=../scripts/lib.sh
. "$(dirname "$0")/../scripts/lib.sh"

COUNT=0
FAILED=0

# Numbers the tests of all programs in one row. A program that dies is a failed test, whatever it has printed.
run_program() {
	local program=$1 line numbered status=0
	"$program" --tap -k >"$TMP/out" 2>&1 || status=$?
	while IFS= read -r line; do
		case $line in
		"ok "[0-9]*|"not ok "[0-9]*)
			numbered=${line#*ok }
			report "${line%%ok *}ok" "${numbered#* }"
			;;
		1..*) ;;
		*) echo "# $line" ;;
		esac
	done <"$TMP/out"
	[ "$status" = 0 ] || report "not ok" "${program##*/}: exit status 0, it was $status"
}

report() {
	COUNT=$((COUNT + 1))
	echo "$1 $COUNT - $2"
	[ "$1" = ok ] || FAILED=1
}

TMP=$(mktemp -d)
trap 'rm -rf "$TMP"' EXIT
PROGRAMS=$("$TOP/scripts/build-qemu" --unit-tests)
for PROGRAM in $PROGRAMS; do
	run_program "$PROGRAM"
done
echo "1..$COUNT"
exit "$FAILED"
