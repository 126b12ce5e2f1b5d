#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Claim: for each other base in linux/bases the series is well-formed, each of its commits builds on
# its own, and in the emulated host the programs of tests/kernel find the same on its kernel as on
# ours, except for what linux/bases/BASE/lacks lists with a reason.
#
#   tests/full/linux-bases.t commits
#   tests/full/linux-bases.t programs [[!]PATTERN]    programs of core rows of tests/table that
#                                                     match PATTERN or, with !, do not match it
set -euo pipefail
# shellcheck source=../tap.sh
. "$(dirname "$0")/../tap.sh"

# Programs and groups that run on the kernel without the series
STOCK_PROGRAMS=('attributes missing' 'counting default_pmu')

# list_programs: PROGRAM GROUP [OPTION OF testbed/run]..., of each core row of tests/table that runs
# one on our kernel
list_programs() {
	awk -F ' *[|] *' '$2 ~ /^core/ && $5 ~ /^tests\/kernel\/run .*--kernel patched/ {
		sub(/^tests\/kernel\/run /, "", $5)
		sub(/ --kernel patched/, "", $5)
		print $5
	}' "$TOP/tests/table"
}

series() {
	VPMU_BASE=$BASE "$TOP/scripts/series" "$1" linux
}

# Compiles the files that the series changes, with all warnings: the rest of the kernel does not
# differ.
commit_builds() {
	local changed objects
	git -C "$CLONE" -c user.name=tester -c user.email=tester@localhost am -q "$1"
	changed=$(git -C "$CLONE" diff --name-only HEAD~ -- '*.c' ':!tools')
	mapfile -t objects < <(printf '%s\n' arch/arm64/kvm/{arm,pmu,pmu-emul,reset,sys_regs}.o \
		drivers/perf/arm_pmu.o "${changed//.c/.o}" | sort -u | grep .)
	make_linux "$CLONE/obj-host" patched W=1 "${objects[@]}" >"$TMP/make" 2>&1 || {
		cat "$TMP/make"
		return 1
	}
	! grep -A 5 'warning:' "$TMP/make"
}

check_commits() {
	local patch
	check "$BASE: the series is well-formed" series check
	series mail >&2
	CLONE=$TMP/linux-$BASE
	git clone -q --shared --no-checkout "$FOLDER/linux" "$CLONE"
	git -C "$CLONE" checkout -q --detach base
	mkdir "$CLONE/obj-host"
	cp "$FOLDER/linux/obj-host/.config" "$CLONE/obj-host/"
	start_ccache "$CLONE/obj-host"
	for patch in "$FOLDER"/series/linux/*.patch; do
		check "$BASE: ${patch##*/} builds" commit_builds "$patch"
	done
}

is_wanted() {
	case $PATTERN in
	!*) [[ ! $1 =~ ${PATTERN#!} ]] ;;
	*) [[ $1 =~ $PATTERN ]] ;;
	esac
}

# list_lacks WORDS: the tests of that program that fail on the base for a known reason, as one
# regular expression a line; "*" means all tests
list_lacks() {
	awk -F ' *[|] *' -v words="$1" '!/^#/ && (words " ") ~ ("^" $1 " ") { print $2 }' \
		"$TOP/linux/bases/$BASE/lacks"
}

# Exactly those tests fail that lacks lists.
program_passes() {
	local words=$1 image=$2 lacks pattern failed status=0
	local -a arguments
	read -ra arguments <<<"$words"
	VPMU_IMAGE=$image "$TOP/tests/kernel/run" \
		"${arguments[@]}" >"$TMP/tap" 2>"$TMP/stderr" </dev/null || status=$?
	cat "$TMP/tap" "$TMP/stderr"
	grep -qE '^1\.\.[1-9]' "$TMP/tap"
	failed=$(sed -n 's/^not ok [0-9]* - //p' "$TMP/tap")
	# another status than 1 says that more than a test failed: the host's kernel, for example
	[ "$status" = "$([ -n "$failed" ] && echo 1 || echo 0)" ] ||
		{ echo "status $status"; return 1; }
	lacks=$(list_lacks "$words")
	while read -r pattern; do
		[ -n "$pattern" ] || continue
		grep -qE -- "$pattern" <<<"$failed" ||
			{ echo "lacks lists '$pattern', and no such test fails"; return 1; }
		failed=$(grep -vE -- "$pattern" <<<"$failed" || true)
	done <<<"$lacks"
	[ -z "$failed" ] || { printf 'not in lacks:\n%s\n' "$failed"; return 1; }
}

check_programs() {
	local words artifacts=$FOLDER/artifacts
	for words in "${STOCK_PROGRAMS[@]}"; do
		! is_wanted "$words" || check "$BASE: $words, without the series" program_passes \
			"$words --kernel stock" "$artifacts/Image-stock"
	done
	while read -r words; do
		is_wanted "$words" || continue
		if [ "$(list_lacks "$words")" = '*' ]; then
			echo "# $BASE: $words is left out, see linux/bases/$BASE/lacks"
			continue
		fi
		check "$BASE: $words" program_passes "$words" "$artifacts/Image-patched"
	done < <(list_programs)
}

PATTERN=${2-}
SKIPPED=0
[[ ${1-} =~ ^(commits|programs)$ ]] ||
	die "usage: linux-bases.t commits, or linux-bases.t programs [PATTERN]"
# shellcheck source=../../scripts/lib-linux.sh
. "$TOP/scripts/lib-linux.sh"
for BASE in "$TOP"/linux/bases/*/; do
	BASE=$(basename "$BASE")
	FOLDER=$BUILD/bases/$BASE
	if grep -qx 'LINUX_PACKAGE=' "$TOP/linux/bases/$BASE/pins" &&
		[ ! -e "$FOLDER/artifacts/Image-patched" ]; then
		skip "$BASE: $*" 'Debian has no package of it'
		SKIPPED=$((SKIPPED + 1))
		continue
	fi
	[ -e "$FOLDER/artifacts/Image-patched" ] ||
		die "no kernel of the base $BASE; run 'make linux-bases'"
	"check_$1"
done
[ "$COUNT" -gt "$SKIPPED" ] ||
	die "'$PATTERN' matches no program that a core row of tests/table runs on our kernel"
finish
