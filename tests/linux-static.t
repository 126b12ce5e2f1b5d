#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Claim: gcc with W=1, sparse and kernel-doc report nothing about what the Linux series adds, nor
# Sphinx about its documentation. The series of fixes have fixes only.
#
# With the argument coccicheck it runs the kernel's own semantic patches, which take minutes.
#
# A comparison with the pristine tree leaves out warnings about upstream's own lines. The row
# series/linux runs checkpatch.
set -euo pipefail
# shellcheck source=tap.sh
. "$(dirname "$0")/tap.sh"

STOCK=$BUILD/linux-stock
SERIES=$BUILD/linux

# changed PATTERN...: the series' files that match, but for programs of tools/, which has its own
# rules
changed() {
	git -C "$SERIES" diff --name-only --diff-filter=d base -- "$@" ':!tools'
}

# In a folder of its own: W=1 changes the command line, so that the host's kernels would be built
# again.
kmake() {
	local tree=$1
	shift
	make -s -C "$tree" O=obj-static ARCH=arm64 CROSS_COMPILE=aarch64-linux-gnu- \
		CC='ccache aarch64-linux-gnu-gcc' "$@"
}

prepare_objects() {
	local tree
	for tree in "$STOCK" "$SERIES"; do
		mkdir -p "$tree/obj-static"
		cmp -s "$tree/obj-host/.config" "$tree/obj-static/.config" ||
			cp "$tree/obj-host/.config" "$tree/obj-static/.config"
		kmake "$tree" -j"$(nproc)" olddefconfig prepare
	done
}

# Debian 12's sparse does not know the keyword __typeof_unqual__. The objects are deleted first:
# make prints warnings only about objects that it makes.
compile() {
	local objects=("${OBJECTS[@]/#/$1/obj-static/}")
	rm -f "${objects[@]}"
	kmake "$1" W=1 C=1 CF=-D__typeof_unqual__=__typeof__ "${OBJECTS[@]}" 2>&1
}

read_kernel_doc() {
	cd "$1" && tools/docs/kernel-doc -none -Wall "${DOCUMENTED[@]}" 2>&1
}

# With C=2 coccicheck takes one file, and uses one CPU, so several files are checked at a time.
coccicheck() {
	cd "$1"
	rm -rf "$TMP/coccicheck"
	mkdir "$TMP/coccicheck"
	printf '%s\n' "${OBJECTS[@]%.o}" | C=2 MODE=report srctree=. objtree=. \
		LINUXINCLUDE='-I./arch/arm64/include -I./include' \
		xargs -P "$(nproc)" -I @ \
		sh -c "scripts/coccicheck @.c >'$TMP/coccicheck/'\$(basename @) 2>&1" || return
	cat "$TMP/coccicheck"/*
}

# adds_nothing CHECK REGEX: it reports nothing about the series' tree that it does not report about
# the pristine one, on whatever line. Its reports are the lines that match.
adds_nothing() {
	local tree
	for tree in "$STOCK" "$SERIES"; do
		"$1" "$tree" >"$TMP/raw" || {
			tail -n 20 "$TMP/raw"
			return 1
		}
		grep -iE -- "$2" "$TMP/raw" |
			sed -E 's/:[0-9]+([:-][0-9]+)*//g; s/(on line) [0-9]+/\1/g' |
			sort >"$TMP/${tree##*/}" || true
	done
	# It reports something about the same files in the pristine tree: the check works.
	[ -s "$TMP/linux-stock" ]
	comm -13 "$TMP/linux-stock" "$TMP/linux" | tee "$TMP/added"
	[ ! -s "$TMP/added" ]
}

# Builds all pages anew: Sphinx prints warnings only about pages that it reads.
render_pages() {
	local folders page
	folders=$(printf '%s\n' "${PAGES[@]}" | sed -E 's|^Documentation/([^/]+/[^/]+)/.*|\1|' |
		sort -u | paste -sd ' ')
	make -s -C "$SERIES" O="$TMP/pages" SPHINXBUILD=sphinx-build SPHINXDIRS="$folders" \
		htmldocs >"$TMP/sphinx" 2>&1 || {
		cat "$TMP/sphinx"
		return 1
	}
	# The series adds no pictures.
	if grep -vE 'dot\(1\) not found|^Using .* theme$' "$TMP/sphinx"; then
		return 1
	fi
	for page in "${PAGES[@]}"; do
		page=$TMP/pages/Documentation/output/${page#Documentation/}
		grep -q FIXED_COUNTERS_ONLY "${page%.rst}.html"
	done
}

# Maintainers of older kernels take the patches with Fixes:, so no other patch is among them. The
# fix of perf comes first and changes perf only, so that it can be sent alone.
fixes_are_apart() {
	local subject fixes in_front=1 feature
	feature=$(sed -n 's/^First-patch: //p' "$TOP/linux/mail/3-mode.md")
	git -C "$SERIES" log --reverse \
		--format='%s%x09%(trailers:key=Fixes,valueonly,separator=%x20)' \
		':/^overlay: new files..series' >"$TMP/log"
	while IFS=$'\t' read -r subject fixes; do
		[ "$subject" != "$feature" ] || in_front=
		if [[ -n $in_front && ! $fixes =~ ^[0-9a-f]{12}' ("' ]] ||
			[[ -z $in_front && -n $fixes ]]; then
			echo "$subject: Fixes: ${fixes:-nothing}"
		fi
	done <"$TMP/log" | tee "$TMP/misplaced"
	[ ! -s "$TMP/misplaced" ]
	grep -qxF "$feature$(printf '\t')" "$TMP/log"
	git -C "$SERIES" log --format=%s base..series -- drivers/perf |
		diff - <(head -n 1 "$TMP/log" | cut -f1)
	[ "$(git -C "$SERIES" show --format= --name-only ':/^perf: arm_pmu: ')" = \
		drivers/perf/arm_pmu.c ]
}

quick_checks() {
	need sparse sparse
	need sphinx-build python3-sphinx
	export CCACHE_DIR=$CACHE/ccache
	mapfile -t DOCUMENTED < <(changed '*.[ch]')
	mapfile -t PAGES < <(changed '*.rst')
	[ ${#PAGES[@]} -gt 0 ] ||
		die "the series in $SERIES changes no page of the documentation; run 'make trees'"
	prepare_objects >&2
	check "W=1 and sparse: ${OBJECTS[*]}" adds_nothing compile 'warning|error'
	check "kernel-doc" adds_nothing read_kernel_doc 'warning|error'
	check "Sphinx: ${PAGES[*]}" render_pages
	check "fixes come first, each with Fixes:, and that of perf is separate" fixes_are_apart
}

slow_checks() {
	need spatch coccinelle
	need ocamlopt ocaml-nox
	check "coccicheck: ${OBJECTS[*]}" adds_nothing coccicheck '^[^ ]+:[0-9]+'
}

mapfile -t OBJECTS < <(changed '*.c' | sed 's/\.c$/.o/')
[ ${#OBJECTS[@]} -gt 0 ] || die "the series in $SERIES changes no source; run 'make trees'"
case ${1-} in
"") quick_checks ;;
coccicheck) slow_checks ;;
*) die "usage: linux-static.t [coccicheck]" ;;
esac
finish
