#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Claim: the series that `make series` writes apply to pristine trees with plain `git am`, and each
# of their commits builds on its own. Linux is also built without KVM, and without a PMU driver
# (HW_PERF_EVENTS): the series has other code for these. qemu-builds.t builds QEMU's other
# configurations. The kernels have little beyond what the series changes.
#
#   tests/full/each-commit.t linux kvm|no-kvm|no-pmu...
#   tests/full/each-commit.t qemu
set -euo pipefail
# shellcheck source=each-commit.sh
. "$(dirname "$0")/each-commit.sh"

# has_objects KERNEL: the kernel with KVM compiles each file that the commit changes
has_objects() {
	local tree=$SCRATCH/linux file
	[ "$1" = kvm ] || return 0
	git -C "$tree" diff --name-only HEAD^ -- '*.c' ':!tools' >"$TMP/changed"
	while read -r file; do
		[ -e "$tree/obj-$1/${file%.c}.o" ] ||
			{ echo "$file is not compiled for the kernel '$1'"; return 1; }
	done <"$TMP/changed"
}

apply_and_build() {
	local name=$1 patch=$2 kernel
	apply_patch "$name" "$patch"
	case $name in
	linux)
		for kernel in "${KERNELS[@]}"; do
			in_scratch testbed/build-kernel "$kernel"
			has_objects "$kernel"
		done
		;;
	qemu) in_scratch scripts/build-qemu ;;
	esac
}

name=${1-}
KERNELS=("${@:2}")
case $name-${#KERNELS[@]} in
linux-[1-3])
	for kernel in "${KERNELS[@]}"; do
		[[ $kernel =~ ^(kvm|no-kvm|no-pmu)$ ]] ||
			die "there is no kernel '$kernel'; give kvm, no-kvm, no-pmu"
	done
	;;
qemu-0) ;;
*)
	die "wrong arguments '$*';" \
		"usage: each-commit.t linux kvm|no-kvm|no-pmu..., each-commit.t qemu"
	;;
esac
prepare_clone "$name"
for patch in "${PATCHES[@]}"; do
	check "$name: ${patch##*/}" apply_and_build "$name" "$patch"
done
finish
