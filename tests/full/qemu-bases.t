#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Claim: for each other base in qemu/bases the series is well-formed, builds without a warning,
# passes its unit tests, and in the emulated host chooses, refuses and migrates as on its own base.
#
#   qemu-bases.t patched    on a host with our kernel
#   qemu-bases.t stock      on a host without the mode; the compiler cache then has the build
#   qemu-bases.t pair       on a host with the kernel of linux/bases/BASE: Linux guests, migrations,
#                           libvirt's starts and snapshots
set -euo pipefail
# shellcheck source=../tap.sh
. "$(dirname "$0")/../tap.sh"

# Bases older than the series' own lack its newest machine.
PROPERTY='property:^(?!.*virt-10\.2)'

# Tests for which a kernel with the mode is enough
LIBVIRT_TESTS=(tests/avocado/test_libvirt.py:{Pinning.test_pinned,Life.test_snapshots}
	tests/avocado/test_libvirt.py:{Life.test_managed_save,Migration.test_arrives}
	tests/avocado/test_start.py:Start.test_fixed_counters)

# of_base PROGRAM ARG...: runs a program of the project for BASE
of_base() {
	VPMU_BASE=$BASE VPMU_BUILD=$FOLDER "$TOP/$1" "${@:2}"
}

well_formed() {
	of_base scripts/series open qemu
	of_base scripts/series check qemu
}

unit_tests() {
	local program programs
	programs=$(of_base scripts/build-qemu --unit-tests)
	for program in $programs; do
		"$program" --tap --seed "$GLIB_SEED" | tee "$TMP/tap"
		has_seed "$TMP/tap"
	done
}

emulated_host() {
	VPMU_QEMU=$FOLDER/artifacts/qemu-system-aarch64 "$TOP/tests/qemu/boot" "$@"
}

on_patched() {
	emulated_host patched biglittle choice order fail_entry "$PROPERTY" migration restore \
		discovery
}

on_stock() {
	emulated_host stock biglittle choice order refusal migration restore discovery gdb
}

on_pair() {
	local -x VPMU_IMAGE=$BUILD/bases/$BASE/artifacts/Image-patched
	emulated_host --icount patched biglittle linux_guest choice migration
	"$TOP/tests/avocado/run" --tap -p "qemu=$FOLDER/artifacts/qemu-system-aarch64" \
		"${LIBVIRT_TESTS[@]}" | tee "$TMP/tap"
	# Avocado's exit status is 0 also if it cancelled a test
	! grep ' # SKIP' "$TMP/tap"
}

declare -A KERNELS=([patched]='our kernel' [stock]='the stock kernel' [pair]="this base's kernel")
host=${1-none}
[ -n "${KERNELS[$host]-}" ] || die "usage: qemu-bases.t patched|stock|pair"
FOLDER=$BUILD/qemu-bases
trap 'rm -rf "$TMP" "$FOLDER"' EXIT
for BASE in "$TOP"/qemu/bases/*/; do
	BASE=$(basename "$BASE")
	rm -rf "$FOLDER"
	check "$BASE: the series is well-formed" well_formed
	check "$BASE: builds for arm64" of_base scripts/build-qemu
	check "$BASE: unit tests" unit_tests
	check "$BASE: on a host with ${KERNELS[$host]}" "on_$host"
done
finish
