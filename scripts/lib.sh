# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
# Sourced by every shell program of the project.
# shellcheck disable=SC2034 # the variables are for those who source it

TOP=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# Holds what does not depend on a series: the same folder for all bases.
SHARED=$TOP/build
BUILD=${VPMU_BUILD:-$SHARED${VPMU_BASE:+/bases/$VPMU_BASE}}
ARTIFACTS=$BUILD/artifacts
# Deleting the cache costs time and nothing else.
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

# lock NAME: waits until no other program has NAME, so that two make runs can share one build/;
# until this shell and what it has started ends, or descriptor LOCK is closed. NAME may be a path:
# what is in $SHARED has its locks there.
lock() {
	local file=$BUILD/lock/$1
	[[ $1 != /* ]] || file=$1
	mkdir -p "${file%/*}"
	exec {LOCK}>"$file"
	flock "$LOCK"
}

# make_work NAME: sets WORK, a folder below build/ that goes when this shell ends
make_work() {
	mkdir -p "$BUILD"
	WORK=$(mktemp -d "$BUILD/$1.XXXXXX")
	trap 'rm -rf "$WORK"' EXIT
}

# logged LOG WHAT CMD...: what CMD prints goes to LOG; when it fails, its errors or its end are
# shown, and WHAT is the error. Emulated hosts of tests may run beside it, and have deadlines: give
# it `nice` where it takes long.
logged() {
	local log=$1 what=$2
	mkdir -p "${log%/*}"
	("${@:3}") >"$log" 2>&1 && return
	grep -m 5 -A 5 -E 'error:|ERROR:|FAILED:' "$log" >&2 || tail -n 15 "$log" >&2
	die "$what; the whole output is in $log"
}

# download_debs SUITE FOLDER PACKAGE...: arm64 packages and all that they depend on, as if nothing
# were installed
download_debs() {
	local conf
	conf=$("$TOP/scripts/apt-root" conf arm64 "$1") || return
	mkdir -p "$2/partial"
	APT_CONFIG=$conf pp apt-get --quiet --yes --download-only --no-install-recommends \
		-o "Dir::Cache::archives=$2" install "${@:3}"
}

# strip_artifact PROGRAM ARTIFACT: unless that is newer. Renamed into place: a host that starts now
# copies the old one or the new one.
strip_artifact() {
	[ "$1" -nt "$2" ] || return 0
	mkdir -p "$ARTIFACTS"
	aarch64-linux-gnu-strip -o "$2.new" "$1"
	mv "$2.new" "$2"
}

# scale_timeout SECONDS: for a machine that VPMU_TIMEOUT_FACTOR says to be slow; in whole seconds,
# from 1
scale_timeout() {
	local factor=${VPMU_TIMEOUT_FACTOR:-1}
	# by ENVIRON, as -v would undo escapes
	seconds=$1 factor=$factor awk 'BEGIN {
		factor = ENVIRON["factor"]
		if (factor !~ /^[0-9]*[.]?[0-9]+$/ || factor + 0 <= 0 || factor + 0 > 1000) exit 1
		scaled = int(ENVIRON["seconds"] * factor)
		print scaled < 1 ? 1 : scaled
	}' || die "VPMU_TIMEOUT_FACTOR is '$factor'; give a number above 0, at most 1000," \
		"such as 2 or 0.5"
}

# select_base NAME BASE: the pins of another base take the place of those in upstream.conf
select_base() {
	local pins=$TOP/$1/bases/$2/pins
	[ -n "$2" ] || return 0
	[ -r "$pins" ] ||
		die "${1^^}_BASE of upstream.conf is '$2', but there is no $pins;" \
			"name a folder of $TOP/$1/bases, or leave it empty"
	# shellcheck source=/dev/null
	. "$pins"
}

# VPMU_BASE=NAME: of both series, as far as there is such a base
if [ -n "${VPMU_BASE-}" ]; then
	[ ! -e "$TOP/linux/bases/$VPMU_BASE" ] || LINUX_BASE=$VPMU_BASE
	[ ! -e "$TOP/qemu/bases/$VPMU_BASE" ] || QEMU_BASE=$VPMU_BASE
	[[ $VPMU_BASE =~ ^($LINUX_BASE|$QEMU_BASE)$ ]] ||
		die "VPMU_BASE=$VPMU_BASE: no folder of that name in $TOP/linux/bases or" \
			"$TOP/qemu/bases"
fi
select_base linux "$LINUX_BASE"
select_base qemu "$QEMU_BASE"
