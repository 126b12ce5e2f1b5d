#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Claim: guests/conform.c judges PMUs right: the emulator's own PMUs, which have event counters,
# with and without later features, fail only the checks that are known to fail.
# tests/avocado/test_conformance.py tests KVM's PMUs.
set -euo pipefail
# shellcheck source=tap.sh
. "$(dirname "$0")/tap.sh"

EMULATOR=$ARTIFACTS/emulator/qemu-system-aarch64
KNOWN=$TOP/tests/conformance-known
# Takes 1 s alone on the machine.
TIMEOUT=$(scale_timeout 300)
OPTIONS=()

# judge OUTPUT IMPLEMENTATION...: all checks ran, and exactly those failed that are known to fail
judge() {
	local output=$1 known all failed
	shift
	cat "$output"
	known=$(for implementation; do awk -F ' *[|] *' -v wanted="$implementation" \
		'$1 == wanted { print $2 }' "$KNOWN"; done | sort -u)
	failed=$(sed -n 's/^FAIL \([a-z0-9_]*\): .*/\1/p' "$output" | sort)
	all=$(grep -cE '^(PASS|FAIL) ' "$output")
	tail -n 1 "$output" | grep -qxE \
		"PASS: $all checks|FAIL: $(grep -c . <<<"$failed") of $all checks" || return 1
	diff -U 0 --label known <(printf '%s\n' "$known") --label failed <(printf '%s\n' "$failed")
}

# The guest's clock counts instructions, so each run takes the same time. An instruction is a
# microsecond, so that waiting in vain is short.
conforms() {
	local machine=$1 cpu=$2
	shift 2
	timeout --foreground "$TIMEOUT" "$EMULATOR" -M "$machine,gic-version=3" -cpu "$cpu" \
		-icount shift=10 -m 256 -nodefaults -display none -serial stdio \
		-kernel "$ARTIFACTS/guests/conform.bin" "${OPTIONS[@]}" </dev/null |
		tr -d '\r' >"$TMP/console"
	judge "$TMP/console" "$@"
}

conforms_to_windows() {
	OPTIONS=(-append group=windows)
	conforms virt max none
	! grep -vE '^(conform|done|PASS windows_[a-z0-9_]+$|PASS: 9 checks$)' "$TMP/console"
}

# finds IMPLEMENTATION LINE...: judge rejects such an output
finds() {
	local implementation=$1
	shift
	printf '%s\n' "$@" >"$TMP/made-up"
	! judge "$TMP/made-up" "$implementation"
}

[ -x "$EMULATOR" ] || die "$EMULATOR not found; run 'make host'"
make -s -C "$TOP/guests" >&2
check "PMUv3p5 at EL1" conforms virt max tcg tcg-fgt
check "PMUv3p5 at EL1 below an EL2" conforms virt,virtualization=on max tcg tcg-fgt
check "PMUv3 of a Cortex-A72" conforms virt cortex-a72 tcg
check "PMUv3 of a Cortex-A53" conforms virt cortex-a53 tcg
check "the checks of how Windows uses the PMU, alone" conforms_to_windows
check "an unknown failure is found" finds none "PASS a" "FAIL b: c" "FAIL: 1 of 2 checks"
check "a known failure that passes is found" finds tcg "PASS interrupt_pmcr_e" "PASS: 1 checks"
check "a check that did not run is found" finds none "PASS a" "PASS: 2 checks"
finish
