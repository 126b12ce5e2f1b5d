# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
# shellcheck disable=SC2153 # NAME, DIR, WORK and OTHER_BASE are those of scripts/series
# Part of scripts/series: the base that upstream.conf selects in place of a series' own, which has patches of its own. OTHER_BASE is its
# folder below that of the series, or empty.

# list_without FOLDER: the new files of a stored series that the selected base has no use for
list_without() {
	[ ! -e "$1/$OTHER_BASE/without" ] || grep -v '^#' "$1/$OTHER_BASE/without"
}

# In $WORK/stored: the series for the base that upstream.conf selects in place of its own
select_other() {
	local path
	rm -rf "$WORK/stored/patches"
	[ ! -e "$WORK/stored/$OTHER_BASE/patches" ] || cp -a "$WORK/stored/$OTHER_BASE/patches" "$WORK/stored/patches"
	while read -r path; do
		rm "$WORK/stored/$path"
	done < <(list_without "$WORK/stored")
}

# In $TOP/.$NAME.new: the patches are those of the selected base, and what is not its own stays.
store_as_other() {
	local new=$TOP/.$NAME.new path
	rm -rf "$new/$OTHER_BASE/patches"
	mv "$new/patches" "$new/$OTHER_BASE/patches"
	cp -a "$DIR/patches" "$new/patches"
	while read -r path; do
		mkdir -p "$new/${path%/*}"
		cp -a "$DIR/$path" "$new/$path"
	done < <(list_without "$DIR")
}
