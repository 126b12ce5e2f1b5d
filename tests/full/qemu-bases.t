#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Claim: for each other base in qemu/bases the series is well-formed, builds without a warning, passes its unit tests, and in the emulated
# host chooses, refuses and migrates as on its own base.
#
#   qemu-bases.t patched    on a host with our kernel
#   qemu-bases.t stock      on one without the mode; here the build comes from the compiler cache
set -euo pipefail
# shellcheck source=../../scripts/lib.sh
. "$(dirname "$0")/../../scripts/lib.sh"
# shellcheck source=../tap.sh
. "$TOP/tests/tap.sh"
# shellcheck source=each-commit.sh
. "$TOP/tests/full/each-commit.sh"

# Bases older than the series' own lack its newest machine.
PROPERTY='property:^(?!.*virt-10\.2)'

well_formed() {
	choose_base "$SCRATCH" qemu "$1"
	"$SCRATCH/scripts/series" open qemu
	"$SCRATCH/scripts/series" check qemu
}

unit_tests() {
	local program programs
	programs=$("$SCRATCH/scripts/build-qemu" --unit-tests)
	for program in $programs; do
		"$program" --tap
	done
}

emulated_host() {
	VPMU_QEMU=$SCRATCH/build/artifacts/qemu-system-aarch64 "$TOP/tests/qemu/boot" "$@"
}

on_patched() {
	emulated_host patched biglittle choice order fail_entry "$PROPERTY" migration restore discovery
}

on_stock() {
	emulated_host stock biglittle choice order refusal migration restore discovery gdb
}

main() {
	local base kernel=${1-}
	[[ $kernel =~ ^(patched|stock)$ ]] || die "usage: qemu-bases.t patched|stock"
	TMP=$(mktemp -d)
	trap 'rm -rf "$TMP" "$SCRATCH"' EXIT
	for base in "$TOP"/qemu/bases/*/; do
		base=$(basename "$base")
		prepare_scratch qemu testbed
		check "$base: the series is well-formed" well_formed "$base"
		check "$base: builds for arm64" "$SCRATCH/scripts/build-qemu"
		check "$base: unit tests" unit_tests
		check "$base: on a host with the $kernel kernel" "on_$kernel"
	done
	finish
}

main "$@"
