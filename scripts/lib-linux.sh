# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
# Sourced, after lib.sh, by what builds kernels.

# The object folder is a direct subfolder of the tree, so that the kernel's makefiles call the
# sources "../..." in every tree and ccache, told to forget the folder it runs in, takes most
# objects of one kernel from another.

# start_ccache OBJECTS: what this build alone takes from the cache is in OBJECTS/ccache-stats; end
# its log with ccache --show-log-stats
start_ccache() {
	mkdir -p "$1" "$CACHE/ccache"
	export CCACHE_DIR=$CACHE/ccache CCACHE_BASEDIR=${1%/*} CCACHE_NOHASHDIR=1 CCACHE_MAXSIZE=2G
	# A miss costs one compilation and no preprocessing beside it; which headers were read, the
	# compiler's own list tells.
	export CCACHE_DEPEND=1
	export CCACHE_STATSLOG=$1/ccache-stats
	rm -f "$CCACHE_STATSLOG"
}

# make_linux OBJECTS NAME ARG...: make, for an arm64 kernel with -NAME at the end of its version
make_linux() {
	local objects=$1 name=$2
	shift 2
	nice make -C "${objects%/*}" O="${objects##*/}" ARCH=arm64 \
		CROSS_COMPILE=aarch64-linux-gnu- CC='ccache aarch64-linux-gnu-gcc' \
		LOCALVERSION="-$name" "$@"
}

need_linux_tools() {
	need aarch64-linux-gnu-gcc gcc-aarch64-linux-gnu
	need ccache ccache
	need flex flex
	need bison bison
	need bc bc
}

# What fragments ask for; the last one that names a symbol has it.
list_wishes() {
	awk -F = '/^CONFIG_/ { wish[$1] = $0 } END { for (symbol in wish) print wish[symbol] }' "$@"
}

# check_config CONFIG FRAGMENT...: every wish must be in CONFIG, for Kconfig drops what it cannot
# grant without a word
check_config() {
	local config=$1 line missing=()
	shift
	while read -r line; do
		case $line in
		CONFIG_*=n) grep -q "^${line%=n}=" "$config" && missing+=("$line") ;;
		CONFIG_*) grep -qxF -- "$line" "$config" || missing+=("$line") ;;
		esac
	done < <(list_wishes "$@")
	[ ${#missing[@]} = 0 ] ||
		die "not granted by Kconfig: ${missing[*]};" \
			"see the symbols' dependencies, correct $*"
}
