# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
# Sourced by every shell program of the project.
# shellcheck disable=SC2034 # the variables are for those who source it

TOP=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# Holds what does not depend on a series: the same folder for all bases.
SHARED=$TOP/build
BUILD=${VPMU_BUILD:-$SHARED${VPMU_BASE:+/bases/$VPMU_BASE}}
ARTIFACTS=$BUILD/artifacts
# In the git repository of a source tree: the commit of the series that was last opened from the
# folder or saved to it.
SAVED=refs/series/saved
# Deleting the cache costs time only.
CACHE=${VPMU_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/vpmu}

# shellcheck source=../upstream.conf
. "$TOP/upstream.conf"

# die "what was wrong, what was found; what to do"
die() {
	echo "${0##*/}: error: $*" >&2
	exit 1
}

# step TEXT: the progress line of a build step; in a make run (scripts/step) with its number and the
# seconds since the run began
step() {
	local so_far=
	[ -z "${VPMU_STEP-}" ] || so_far="[$VPMU_STEP, $(($(date +%s) - VPMU_START)) s] "
	printf '==> %s%s\n' "$so_far" "$*" >&2
}

# pp CMD...: print a command line that can be pasted into a shell, then run it
pp() {
	printf '+%s\n' "$(printf ' %q' "$@")" >&2
	"$@"
}

# need COMMAND PACKAGE: dies naming the Debian package when COMMAND is missing
need() {
	command -v "$1" >/dev/null ||
		die "$1 not found; install the package $2 (or run 'make deps' as root)"
}

# lock NAME: waits until no other program holds the lock NAME, and takes it, so that two make runs
# can share one build/. Holds it until this shell and all that it started end, or until descriptor
# LOCK is closed. NAME may be a path: locks of things in $SHARED are there.
lock() {
	local file=$BUILD/lock/$1
	[[ $1 != /* ]] || file=$1
	mkdir -p "${file%/*}"
	exec {LOCK}>"$file"
	flock "$LOCK"
}

# make_work NAME: sets WORK, a folder below build/ that is removed when this shell ends
make_work() {
	mkdir -p "$BUILD"
	WORK=$(mktemp -d "$BUILD/$1.XXXXXX")
	trap 'rm -rf "$WORK"' EXIT
}

# logged LOG WHAT CMD...: runs CMD with its output in LOG. If CMD fails, shows its errors or its
# last lines, and dies with WHAT as the error. Use `nice` in a CMD that takes long: emulated hosts
# of tests, which have deadlines, may run at the same time.
logged() {
	local log=$1 what=$2
	mkdir -p "${log%/*}"
	("${@:3}") >"$log" 2>&1 && return
	grep -m 5 -A 5 -E 'error:|ERROR:|FAILED:' "$log" >&2 || tail -n 15 "$log" >&2
	die "$what; the whole output is in $log"
}

# download_debs SUITE FOLDER PACKAGE...: downloads arm64 packages and all their dependencies, as if
# nothing were installed
download_debs() {
	local conf
	conf=$("$TOP/scripts/apt-root" conf arm64 "$1") || return
	mkdir -p "$2/partial"
	APT_CONFIG=$conf pp apt-get --quiet --yes --download-only --no-install-recommends \
		-o "Dir::Cache::archives=$2" install "${@:3}"
}

# replace_if_new FILE: moves FILE.new to FILE if they differ. What depends on FILE is made again if
# FILE is newer, and a verdict is void if FILE was replaced while its test ran.
replace_if_new() {
	if cmp -s "$1.new" "$1"; then
		rm "$1.new"
	else
		mv "$1.new" "$1"
	fi
}

# strip_artifact PROGRAM ARTIFACT: writes ARTIFACT unless it is newer than PROGRAM. It is renamed
# into place, so that a host that starts meanwhile copies either the old or the new file.
strip_artifact() {
	[ "$1" -nt "$2" ] || return 0
	mkdir -p "$ARTIFACTS"
	aarch64-linux-gnu-strip -o "$2.new" "$1"
	mv "$2.new" "$2"
}

# scale_timeout SECONDS: multiplied by VPMU_TIMEOUT_FACTOR, which is for slow machines; in whole
# seconds, at least 1
scale_timeout() {
	local factor=${VPMU_TIMEOUT_FACTOR:-1}
	# ENVIRON, because -v interprets escapes
	seconds=$1 factor=$factor awk 'BEGIN {
		factor = ENVIRON["factor"]
		if (factor !~ /^[0-9]*[.]?[0-9]+$/ || factor + 0 <= 0 || factor + 0 > 1000) exit 1
		scaled = int(ENVIRON["seconds"] * factor)
		print scaled < 1 ? 1 : scaled
	}' || die "VPMU_TIMEOUT_FACTOR is '$factor'; give a number above 0, at most 1000," \
		"such as 2 or 0.5"
}

# select_base NAME BASE: replaces the pins of upstream.conf by those of another base, unless BASE is
# empty
select_base() {
	local pins=$TOP/$1/bases/$2/pins
	[ -n "$2" ] || return 0
	[ -r "$pins" ] ||
		die "${1^^}_BASE of upstream.conf is '$2', but there is no $pins;" \
			"name a folder of $TOP/$1/bases, or leave it empty"
	# shellcheck source=/dev/null
	. "$pins"
}

# tree_version linux|qemu: the version of the tree that is there, in its own words. If its source is
# another release or LINUX_TREE= or QEMU_TREE=, it is not the one that upstream.conf pins.
tree_version() {
	local tree=$BUILD/$1
	[ -e "$tree/.git" ] || die "no tree in $tree; run 'scripts/series open $1'"
	case $1 in
	linux) make -s --no-print-directory -C "$tree" kernelversion ;;
	qemu) cat "$tree/VERSION" ;;
	esac
}

# VPMU_BASE=NAME selects the base NAME for each series that has it.
if [ -n "${VPMU_BASE-}" ]; then
	[ ! -e "$TOP/linux/bases/$VPMU_BASE" ] || LINUX_BASE=$VPMU_BASE
	[ ! -e "$TOP/qemu/bases/$VPMU_BASE" ] || QEMU_BASE=$VPMU_BASE
	[[ $VPMU_BASE =~ ^($LINUX_BASE|$QEMU_BASE)$ ]] ||
		die "VPMU_BASE=$VPMU_BASE: no folder of that name in $TOP/linux/bases or" \
			"$TOP/qemu/bases"
fi
select_base linux "$LINUX_BASE"
select_base qemu "$QEMU_BASE"
