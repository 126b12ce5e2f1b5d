# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
# shellcheck disable=SC2153 # NAME, DIR, WORK, PATCHES and OTHER_BASE are those of scripts/series
# Part of scripts/series: the port to another base, if upstream.conf or VPMU_BASE selects one.
# OTHER_BASE is its folder below that of the series, or empty. A patch that makes the same change as
# its twin in the main series is stored as a link to it, so that the port follows the main series.

# list_without FOLDER: the new files of the stored series in FOLDER that the selected base leaves
# out
list_without() {
	[ ! -e "$1/$OTHER_BASE/without" ] || grep -v '^#' "$1/$OTHER_BASE/without"
}

# Puts the series for the selected base into $WORK/stored, and the patches of the main series into
# $WORK/main.
select_other() {
	local path
	mkdir "$WORK/other"
	[ ! -e "$WORK/stored/$OTHER_BASE/patches" ] ||
		cp -aL "$WORK/stored/$OTHER_BASE/patches/." "$WORK/other" ||
		die "$DIR/$OTHER_BASE/patches has links to patches that are not in $DIR/patches;" \
			"see above"
	mv "$WORK/stored/patches" "$WORK/main"
	mv "$WORK/other" "$WORK/stored/patches"
	while read -r path; do
		rm "$WORK/stored/$path"
	done < <(list_without "$WORK/stored")
}

# find_twin FOLDER PATCH: the patch in FOLDER that has the subject of PATCH
find_twin() {
	local twin name=${2##*/}
	for twin in "$1"/[0-9][0-9][0-9][0-9]-"${name#*-}"; do
		[ ! -e "$twin" ] || echo "$twin"
	done
}

# does_the_same PATCH TWIN COMMIT: TWIN has the message of PATCH, and gives the tree of COMMIT,
# which PATCH was made from
does_the_same() {
	local -x GIT_INDEX_FILE=$WORK/twin.index
	cmp -s <(sed '/^diff --git /q' "$1") <(sed '/^diff --git /q' "$2") &&
		rgit read-tree "$3^" &&
		rgit apply --cached "$2" 2>"$WORK/apply.log" &&
		[ "$(rgit write-tree)" = "$(rgit rev-parse "$3^{tree}")" ]
}

# share_patches FOLDER: FOLDER/patches has the patches of the commits PATCHES. Replaces each that
# does the same as a patch of the main series by that patch.
share_patches() {
	local patch twin number=0
	for patch in "$1"/patches/*.patch; do
		twin=$(find_twin "$WORK/main" "$patch")
		if [ -n "$twin" ] && does_the_same "$patch" "$twin" "${PATCHES[number]}"; then
			cp "$twin" "$patch"
		fi
		number=$((number + 1))
	done
}

# Turns $TOP/.$NAME.new, a series for the selected base, into the folder to store: its patches go to
# the base, and everything else stays as it is in $DIR.
store_as_other() {
	local new=$TOP/.$NAME.new path patch twin
	rm -rf "$new/$OTHER_BASE/patches"
	mv "$new/patches" "$new/$OTHER_BASE/patches"
	cp -a "$DIR/patches" "$new/patches"
	for patch in "$new/$OTHER_BASE"/patches/*.patch; do
		twin=$(find_twin "$new/patches" "$patch")
		if [ -n "$twin" ] && cmp -s "$patch" "$twin"; then
			ln -sf "../../../patches/${twin##*/}" "$patch"
		fi
	done
	while read -r path; do
		mkdir -p "$new/${path%/*}"
		cp -a "$DIR/$path" "$new/$path"
	done < <(list_without "$DIR")
}

# In $TOP/.$NAME.new, the main series: the bases' links follow patches whose number changed. A
# dropped patch becomes a file in each base that has a link to it.
keep_links() {
	local link twin new=$TOP/.$NAME.new
	for link in "$new"/bases/*/patches/*.patch; do
		[ -L "$link" ] || continue
		twin=$(find_twin "$new/patches" "$link")
		if [ -n "$twin" ]; then
			ln -sf "../../../patches/${twin##*/}" "$link"
		else
			cp --remove-destination "$DIR/patches/$(basename "$(readlink "$link")")" \
				"$link"
		fi
	done
}
