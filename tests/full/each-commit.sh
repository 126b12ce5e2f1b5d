# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
# shellcheck disable=SC2034 # PATCHES is for those who source it
# Sourced by tests that build each commit of a mailed series, in clones in a folder of their own.
# The compiler cache has all files that a commit does not change.

# shellcheck source=../tap.sh
. "$(dirname "${BASH_SOURCE[0]}")/../tap.sh"

SCRATCH=$BUILD/$(basename "$0" .t)

# in_scratch PROGRAM ARG...: runs a program of the project, which builds in SCRATCH
in_scratch() {
	VPMU_BUILD=$SCRATCH "$TOP/$1" "${@:2}"
}

# prepare_clone NAME: makes the pristine tree, and sets PATCHES to the patches, in order
prepare_clone() {
	trap 'rm -rf "$TMP" "$SCRATCH"' EXIT
	"$TOP/scripts/series" mail "$1" >&2
	PATCHES=("$BUILD/series/$1"/*.patch)
	rm -rf "$SCRATCH"
	mkdir -p "$SCRATCH/logs"
	git clone -q --shared --no-checkout "$BUILD/$1" "$SCRATCH/$1"
	git -C "$SCRATCH/$1" checkout -q --detach base
	echo '/obj-*/' >>"$SCRATCH/$1/.git/info/exclude"
}

apply_patch() {
	git -C "$SCRATCH/$1" -c user.name=tester -c user.email=tester@localhost am -q "$2"
}
