#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Claim: the series that `make series` writes apply to pristine trees with plain `git am`, and each of their commits builds on its own.
# A copy of the build scripts works on clones below build/each-commit; the compiler cache makes all but the changed files cheap.
set -euo pipefail
# shellcheck source=../../scripts/lib.sh
. "$(dirname "$0")/../../scripts/lib.sh"

SCRATCH=$BUILD/each-commit
COUNT=0
FAILED=0

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
	git -C "$SCRATCH/build/$name" -c user.name=tester -c user.email=tester@localhost am -q "$patch" || return
	case $name in
	linux) "$SCRATCH/testbed/build-kernel" patched ;;
	qemu) "$SCRATCH/scripts/build-qemu" ;;
	esac
}

# report NAME PATCH: one TAP test
report() {
	local log
	log=$BUILD/logs/each-commit-$1-$(basename "$2" .patch).log
	COUNT=$((COUNT + 1))
	if apply_and_build "$1" "$2" >"$log" 2>&1; then
		echo "ok $COUNT - $1: $(basename "$2")"
		return
	fi
	FAILED=1
	echo "not ok $COUNT - $1: $(basename "$2")"
	tail -n 20 "$log" | sed 's/^/# /'
	echo "# log: $log"
}

main() {
	local name patch
	local -a patches
	mkdir -p "$BUILD/logs"
	prepare_scratch
	for name in linux qemu; do
		"$TOP/scripts/series" mail "$name" >&2
		patches+=("$BUILD/series/$name"/*.patch)
	done
	echo "1..${#patches[@]}"
	for name in linux qemu; do
		clone_base "$name"
		for patch in "$BUILD/series/$name"/*.patch; do
			report "$name" "$patch"
		done
	done
	rm -rf "$SCRATCH"
	return "$FAILED"
}

main
