#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Claim: the series that `make series` writes apply to pristine trees with plain `git am`, and each of their commits builds on its own.
# Linux also without KVM and without a PMU driver (HW_PERF_EVENTS), for which the series has other code.
# A copy of the build scripts works on clones below build/each-commit; the compiler cache makes all but the changed files cheap.
set -euo pipefail
# shellcheck source=../../scripts/lib.sh
. "$(dirname "$0")/../../scripts/lib.sh"
# shellcheck source=../tap.sh
. "$TOP/tests/tap.sh"

SCRATCH=$BUILD/each-commit
KERNELS=(patched no-kvm no-pmu)

# add_kernel NAME LINE...: one with nothing but these settings
add_kernel() {
	local name=$1
	shift
	printf 'CONFIG_%s\n' "$@" >"$SCRATCH/testbed/$name.config"
	echo "$name - $name.config" >>"$SCRATCH/testbed/kernels"
}

prepare_scratch() {
	local made
	rm -rf "$SCRATCH"
	mkdir -p "$SCRATCH/build/logs"
	cp -r "$TOP"/{scripts,testbed,linux,qemu,upstream.conf} "$SCRATCH"
	add_kernel no-kvm PERF_EVENTS=y ARM_PMU=y ARM_PMUV3=y KVM=n
	add_kernel no-pmu PERF_EVENTS=y ARM_PMU=n HW_PERF_EVENTS=n VIRTUALIZATION=y KVM=y
	# What both need and neither changes.
	for made in venv sysroot apt; do
		ln -s "$BUILD/$made" "$SCRATCH/build/$made"
	done
}

clone_base() {
	git clone -q --shared --no-checkout "$BUILD/$1" "$SCRATCH/build/$1"
	git -C "$SCRATCH/build/$1" checkout -q --detach base
	echo '/obj-*/' >>"$SCRATCH/build/$1/.git/info/exclude"
}

apply_and_build() {
	local name=$1 patch=$2 kernel
	git -C "$SCRATCH/build/$name" -c user.name=tester -c user.email=tester@localhost am -q "$patch"
	case $name in
	linux)
		for kernel in "${KERNELS[@]}"; do
			"$SCRATCH/testbed/build-kernel" "$kernel"
		done
		;;
	qemu) "$SCRATCH/scripts/build-qemu" ;;
	esac
}

main() {
	local name patch
	TMP=$(mktemp -d)
	trap 'rm -rf "$TMP" "$SCRATCH"' EXIT
	prepare_scratch
	for name in linux qemu; do
		"$TOP/scripts/series" mail "$name" >&2
		clone_base "$name"
		for patch in "$BUILD/series/$name"/*.patch; do
			check "$name: ${patch##*/}" apply_and_build "$name" "$patch"
		done
	done
	finish
}

main
