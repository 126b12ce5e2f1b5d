#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Claim: VMs without the mode behave as they do without our series: they have the same registers
# with the same values, and each call has the same result. The intended differences are listed here.
set -euo pipefail
# shellcheck source=../tap.sh
. "$(dirname "$0")/../tap.sh"

EL2=(--append kvm-arm.mode=nested)
INTENDED='^# (mode|fix):'

# on_both PROGRAM GROUP [OPTION]...: its output on either kernel
on_both() {
	local kernel
	for kernel in stock patched; do
		"$TOP/tests/kernel/run" "$@" --kernel "$kernel" >"$TMP/$kernel"
	done
}

same_view() {
	on_both unchanged all "${EL2[@]}"
	diff -U 0 <(grep -vE "$INTENDED" "$TMP/stock") <(grep -vE "$INTENDED" "$TMP/patched")
}

# The mode is new, and a fix shows EL1 no more counters than there are.
intended_differences() {
	diff -U 0 <(grep -hE "$INTENDED" "$TMP/stock" "$TMP/patched") - <<-EOF
		# mode: init 0, has -6, set -6
		# fix: init 0, HPMN 0, EL1 0, N 31
		# mode: init 0, has 0, set 0
		# fix: init 0, HPMN 0, EL1 0, N 6
	EOF
}

same_results() {
	on_both random stock
	grep -E '^(not )?ok' "$TMP/stock"
	diff -U 0 "$TMP/stock" "$TMP/patched"
}

check "the same registers, for userspace and guests" same_view
check "the differences are the intended ones" intended_differences
check "random sequences of calls have the same results" same_results
finish
