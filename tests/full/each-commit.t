#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Claim: the series that `make series` writes apply to pristine trees with plain `git am`, and each
# of their commits builds on its own. Linux is also built without KVM, and without a PMU driver
# (HW_PERF_EVENTS): the series has other code for these. qemu-builds.t builds QEMU's other
# configurations. The kernels have little beyond what the series changes. A commit that changes no
# file of a kernel without KVM, or without a PMU driver, is not built for it.
#
#   tests/full/each-commit.t linux kvm|no-kvm|no-pmu...
#   tests/full/each-commit.t qemu
set -euo pipefail
# shellcheck source=each-commit.sh
. "$(dirname "$0")/each-commit.sh"

# is_built_from KERNEL: the commit changes a makefile or a file that the kernel was compiled from,
# or the kernel has not been built yet. The kernel with KVM is built for each commit, as it also has
# to show files that it is not compiled from, see build_linux().
is_built_from() {
	local tree=$SCRATCH/linux
	[ "$1" != kvm ] || return 0
	[ -e "$tree/obj-$1/vmlinux" ] || return 0
	git -C "$tree" diff --name-only HEAD^ >"$TMP/changed"
	grep -qE '(^|/)(Kconfig|Kbuild|Makefile)' "$TMP/changed" ||
		grep -rqF --include='.*.cmd' -f <(sed 's,^,../,' "$TMP/changed") "$tree/obj-$1"
}

# build_linux KERNEL: the kernel with KVM also has to compile each file that the commit changes
build_linux() {
	local tree=$SCRATCH/linux file
	in_scratch testbed/build-kernel "$1"
	[ "$1" = kvm ] || return 0
	git -C "$tree" diff --name-only HEAD^ -- '*.c' ':!tools' >"$TMP/changed"
	while read -r file; do
		[ -e "$tree/obj-$1/${file%.c}.o" ] ||
			{ echo "$file is not compiled for the kernel '$1'"; return 1; }
	done <"$TMP/changed"
}

check_linux() {
	local patch=$1 kernel
	for kernel in "${KERNELS[@]}"; do
		if is_built_from "$kernel"; then
			check "$kernel: ${patch##*/}" build_linux "$kernel"
		else
			echo "# $kernel is not built from what ${patch##*/} changes"
		fi
	done
}

check_qemu() {
	check "qemu: ${1##*/}" in_scratch scripts/build-qemu
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
	check "git am ${patch##*/}" apply_patch "$name" "$patch"
	"check_$name" "$patch"
done
# whatever is_built_from() found
for kernel in "${KERNELS[@]}"; do
	check "$kernel: the whole series" build_linux "$kernel"
done
finish
