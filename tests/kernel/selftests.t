#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Claim: the series' KVM selftest passes on each topology, and is skipped on the stock kernel and on
# a host without a PMU; upstream's own selftests pass on both kernels with the same results.
set -euo pipefail
# shellcheck source=../tap.sh
. "$(dirname "$0")/../tap.sh"

# run_tests KERNEL TOPOLOGY PATH...: prints each test's output and its status, in order
run_tests() {
	local kernel=$1 topology=$2 path files=() names=()
	shift 2
	for path in "$@"; do
		files+=(--file "$path")
		names+=("./${path##*/}")
	done
	# expanded by the host's shell
	# shellcheck disable=SC2016
	"$TOP/testbed/run" --kernel "$kernel" --topology "$topology" --icount "${files[@]}" -- \
		sh -c 'for test; do echo "test $test"; $test 2>&1; echo "status $?"; done' sh \
		"${names[@]}" </dev/null
}

# The selftest's line "# PASSED" counts skipped tests, too, so this looks at the totals.
ours_passes_on() {
	run_tests patched "$1" "$OURS" | tee "$TMP/ours"
	grep -qx 'status 0' "$TMP/ours"
	grep -q '^# Totals: pass:[1-9][0-9]* fail:0 xfail:0 xpass:0 skip:0 error:0$' "$TMP/ours"
}

# ours_is_skipped KERNEL TOPOLOGY REQUIREMENT: it says that REQUIREMENT is not met
ours_is_skipped() {
	run_tests "$1" "$2" "$OURS" | tee "$TMP/ours"
	grep -qxF "1..0 # SKIP - Requirement not met: $3" "$TMP/ours"
	# what kselftest exits with after a skip
	grep -qx 'status 4' "$TMP/ours"
}

others_pass_on() {
	run_tests "$1" biglittle "${OTHERS[@]}" | tee "$TMP/others-$1"
	[ "$(grep -cx 'status 0' "$TMP/others-$1")" = ${#OTHERS[@]} ]
}

print_results() {
	grep -v '^Random seed: ' "$TMP/others-$1"
}

others_agree() {
	diff <(print_results stock) <(print_results patched)
}

paths=$("$TOP/scripts/build-selftests")
mapfile -t OTHERS <<<"$paths"
OURS=${OTHERS[0]}
unset 'OTHERS[0]'
for topology in biglittle tricluster homogeneous; do
	check "vpmu_fixed_counters on $topology" ours_passes_on "$topology"
done
check "vpmu_fixed_counters is skipped on the stock kernel" \
	ours_is_skipped stock biglittle 'has_fixed_counters_only()'
check "vpmu_fixed_counters is skipped on a host without a PMU" ours_is_skipped patched \
	nopmu 'kvm_has_cap(KVM_CAP_ARM_PMU_V3)'
for kernel in stock patched; do
	check "vpmu_counter_access, set_id_regs and get-reg-list on the $kernel kernel" \
		others_pass_on "$kernel"
done
check "the same results on both kernels" others_agree
finish
