#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Claim: the unit tests that the QEMU series adds pass on the machine that builds them, whatever its
# architecture. No caller drops the error of a VM that does not start: the test searches the
# sources, as nothing here compiles Cocoa. MAINTAINERS lists us for each new file.
set -euo pipefail
# shellcheck source=tap.sh
. "$(dirname "$0")/tap.sh"

# Numbers the tests of all programs in one sequence. A program that dies is a failed test, whatever
# it has printed.
run_program() {
	local program=$1 line numbered status=0
	"$program" --tap -k --seed "$GLIB_SEED" >"$TMP/out" 2>&1 || status=$?
	while IFS= read -r line; do
		case $line in
		"ok "[0-9]*|"not ok "[0-9]*)
			numbered=${line#*ok }
			result "${line%%ok *}ok" "${numbered#* }"
			;;
		1..*) ;;
		*) echo "# $line" ;;
		esac
	done <"$TMP/out"
	has_seed "$TMP/out" >&2 || result "not ok" "${program##*/}: drew a random seed"
	[ "$status" = 0 ] || result "not ok" "${program##*/}: expected exit status 0, got $status"
}

# Functions that start the VM and have a caller to report errors to
STARTERS='qmp_cont|vm_try_start|vm_prepare_start|vm_check_start|load_snapshot_resume'

prints_nothing() {
	"$@" | tee "$TMP/found"
	[ ! -s "$TMP/found" ]
}

find_dropped_errors() {
	local name
	(cd "$BUILD/qemu" && grep -rnE --include='*.[cm]' "\<($STARTERS)\(" .) >"$TMP/calls" ||
		echo "the search failed"
	for name in ${STARTERS//|/ }; do
		grep -q "\<$name(" "$TMP/calls" || echo "there is no $name()"
	done
	grep -E '\(.*\<NULL\)' "$TMP/calls" || true
}

# New files of the series for which MAINTAINERS does not list us
find_unmaintained() {
	local file who
	who=$(git -C "$BUILD/qemu" log -1 --format=%ae series)
	git -C "$BUILD/qemu" show --name-only --format= ':/^overlay: new files' |
		while IFS= read -r file; do
		(cd "$BUILD/qemu" && perl scripts/get_maintainer.pl --no-git --no-git-fallback \
			--no-l -f "$file" </dev/null) | grep -F "$who" >/dev/null ||
			echo "$file"
	done
}

PROGRAMS=$("$TOP/scripts/build-qemu" --unit-tests)
for PROGRAM in $PROGRAMS; do
	run_program "$PROGRAM"
done
check "no caller drops the error of a start" prints_nothing find_dropped_errors
check "each new file has us in MAINTAINERS" prints_nothing find_unmaintained
finish
