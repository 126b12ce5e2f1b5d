#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Claim: the series that `make series` writes apply to pristine trees with plain `git am`, and each of their commits builds on its own.
# A copy of the build scripts works on clones below build/each-commit; the compiler cache makes all but the changed files cheap.
set -euo pipefail
# shellcheck source=../../scripts/lib.sh
. "$(dirname "$0")/../../scripts/lib.sh"
# shellcheck source=../tap.sh
. "$TOP/tests/tap.sh"

SCRATCH=$BUILD/each-commit

prepare_scratch() {
	local made
	rm -rf "$SCRATCH"
	mkdir -p "$SCRATCH/build/logs"
	cp -r "$TOP"/{scripts,testbed,linux,qemu,upstream.conf} "$SCRATCH"
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
	local name=$1 patch=$2
	git -C "$SCRATCH/build/$name" -c user.name=tester -c user.email=tester@localhost am -q "$patch"
	case $name in
	linux) "$SCRATCH/testbed/build-kernel" patched ;;
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
