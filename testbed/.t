#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Builds a kernel of the emulated host.
#
#   testbed/build-kernel stock     the tag base of build/linux, through the worktree build/linux-stock
#   testbed/build-kernel patched   build/linux as it is in the work tree
#
# Leaves build/artifacts/Image-stock or Image-patched; what it printed is in build/logs/kernel-*.log.
set -euo pipefail
# shellcheck source=../scripts/lib.sh
. "$(dirname "$0")/../scripts/lib.sh"

FRAGMENT=$TOP/testbed/host.config
SERIES_TREE=$BUILD/linux

usage() {
	die "usage: testbed/build-kernel stock|patched"
}

# The tree of VARIANT; the pristine one is made when it is not there.
find_tree() {
	local variant=$1 tree=$BUILD/linux-stock
	[ -e "$SERIES_TREE/.git" ] || die "no kernel tree in $SERIES_TREE; run 'scripts/series open linux'"
	if [ "$variant" = patched ]; then
		echo "$SERIES_TREE"
		return
	fi
	if [ ! -e "$tree/.git" ]; then
		git -C "$SERIES_TREE" worktree prune
		pp git -C "$SERIES_TREE" worktree add -q --detach "$tree" base >&2
	elif [ "$(git -C "$tree" rev-parse HEAD)" != "$(git -C "$SERIES_TREE" rev-parse 'base^{commit}')" ]; then
		# the base moved to another release
		pp git -C "$tree" checkout -q --detach base >&2
	fi
	[ -z "$(git -C "$tree" status --porcelain)" ] ||
		die "$tree is the pristine tree and has changes; remove the folder to get it afresh"
	echo "$tree"
}

# Every line of the fragment must be in the final .config: Kconfig drops what it cannot grant without a word.
check_config() {
	local config=$1 line missing=()
	while read -r line; do
		case $line in
		CONFIG_*=n) grep -q "^${line%=n}=" "$config" && missing+=("$line") ;;
		CONFIG_*) grep -qxF -- "$line" "$config" || missing+=("$line") ;;
		esac
	done <"$FRAGMENT"
	[ ${#missing[@]} = 0 ] || die "not granted by Kconfig: ${missing[*]}; see the symbols' dependencies, correct $FRAGMENT"
}

# The object folder is a direct subfolder of the tree, so that the kernel's makefiles call the sources "../..." in either tree
# and ccache, told to forget the folder it runs in, takes most objects of the second kernel from the first.
run_make() {
	local objects=$1
	shift
	nice make -C "${objects%/*}" O="${objects##*/}" ARCH=arm64 \
		CROSS_COMPILE=aarch64-linux-gnu- CC='ccache aarch64-linux-gnu-gcc' \
		KBUILD_BUILD_TIMESTAMP='1970-01-01' KBUILD_BUILD_USER=vpmu KBUILD_BUILD_HOST=testbed KBUILD_BUILD_VERSION=1 \
		LOCALVERSION="-$VARIANT" "$@"
}

configure_tree() {
	local objects=$1
	# .config is replaced only when it changes: make then rebuilds only what is out of date
	local config=$objects/.config fresh=$objects/fresh.config
	run_make "$objects" KCONFIG_CONFIG=fresh.config allnoconfig &&
		(cd "$objects" && KCONFIG_CONFIG=fresh.config ../scripts/kconfig/merge_config.sh -m fresh.config "$FRAGMENT") &&
		run_make "$objects" KCONFIG_CONFIG=fresh.config olddefconfig &&
		check_config "$fresh" &&
		{ cmp -s "$fresh" "$config" || cp "$fresh" "$config"; } &&
		rm -f "$fresh" "$fresh.old"
}

# Its exit status is tested, and there bash ignores set -e: hence the && here and above.
build_image() {
	local objects=$1
	configure_tree "$objects" &&
		run_make "$objects" -j"$(nproc)" Image &&
		ccache --show-stats
}

main() {
	[ $# = 1 ] || usage
	VARIANT=$1
	case $VARIANT in stock | patched) ;; *) usage ;; esac
	need aarch64-linux-gnu-gcc gcc-aarch64-linux-gnu
	need ccache ccache
	need flex flex
	need bison bison
	need bc bc

	local tree log=$BUILD/logs/kernel-$VARIANT.log objects
	tree=$(find_tree "$VARIANT")
	objects=$tree/obj-host
	mkdir -p "$BUILD/logs" "$BUILD/lock" "$ARTIFACTS" "$CACHE/ccache" "$objects"
	exec 9>"$BUILD/lock/kernel-$VARIANT"
	flock 9
	export CCACHE_DIR=$CACHE/ccache CCACHE_BASEDIR=$tree CCACHE_NOHASHDIR=1 CCACHE_MAXSIZE=2G
	step "kernel $VARIANT (log: $log)"
	if ! (build_image "$objects") >"$log" 2>&1; then
		tail -n 20 "$log" >&2
		die "the $VARIANT kernel was not built; the whole log: $log"
	fi
	cp "$objects/arch/arm64/boot/Image" "$ARTIFACTS/Image-$VARIANT.new"
	mv "$ARTIFACTS/Image-$VARIANT.new" "$ARTIFACTS/Image-$VARIANT"
}


