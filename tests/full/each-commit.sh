# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
# shellcheck disable=SC2034 # PATCHES is for those who source it
# Sourced by tests that build each commit of a mailed series: a copy of the build scripts works on clones below build/PROGRAM, and
# the compiler cache makes all but the changed files cheap.

# shellcheck source=../../scripts/lib-bases.sh
. "$TOP/scripts/lib-bases.sh"

SCRATCH=$BUILD/$(basename "$0" .t)

# prepare_scratch WORD...: these are copied, too; what is not cannot make a difference
prepare_scratch() {
	rm -rf "$SCRATCH"
	copy_project "$SCRATCH" "$@"
}

# prepare_clone NAME: the pristine tree, and the patches to be applied one after the other; sets PATCHES
prepare_clone() {
	"$TOP/scripts/series" mail "$1" >&2
	PATCHES=("$BUILD/series/$1"/*.patch)
	git clone -q --shared --no-checkout "$BUILD/$1" "$SCRATCH/build/$1"
	git -C "$SCRATCH/build/$1" checkout -q --detach base
	echo '/obj-*/' >>"$SCRATCH/build/$1/.git/info/exclude"
}

apply_patch() {
	git -C "$SCRATCH/build/$1" -c user.name=tester -c user.email=tester@localhost am -q "$2"
}
