# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
# Sourced, after lib.sh, by programs that build kernels.

# The object folder is a direct subfolder of the tree. So the kernel's makefiles call the sources
# "../..." in every tree. ccache ignores the folder it runs in (CCACHE_NOHASHDIR), so kernels share
# most objects.

# start_ccache OBJECTS: records in OBJECTS/ccache-stats what this build takes from the cache; print
# that at its end with ccache --show-log-stats
start_ccache() {
	mkdir -p "$1" "$CACHE/ccache"
	export CCACHE_DIR=$CACHE/ccache CCACHE_BASEDIR=${1%/*} CCACHE_NOHASHDIR=1 CCACHE_MAXSIZE=2G
	# The compiler lists the headers that it reads, so a miss costs no run of the preprocessor.
	export CCACHE_DEPEND=1
	export CCACHE_STATSLOG=$1/ccache-stats
	rm -f "$CCACHE_STATSLOG"
}

# make_linux OBJECTS NAME ARG...: runs make for an arm64 kernel whose version ends with -NAME
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

# list_wishes FRAGMENT...: the symbols that they set, with their values; the last fragment wins
list_wishes() {
	awk -F = '/^CONFIG_/ { wish[$1] = $0 } END { for (symbol in wish) print wish[symbol] }' "$@"
}

# check_config CONFIG FRAGMENT...: dies unless CONFIG has all values that the fragments set: Kconfig
# silently drops those whose dependencies are not met
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
		die "Kconfig dropped ${missing[*]};" \
			"see the symbols' dependencies, and correct $*"
}
