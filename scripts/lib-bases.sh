# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
# Sourced, after lib.sh, by what builds another base than the one that upstream.conf selects: in a copy of the project, as a tree is of
# one base.

# copy_project FOLDER WORD...: scripts, pins, and the named folders; what the copy has built stays there
copy_project() {
	local folder=$1 word made
	shift
	mkdir -p "$folder/build/logs"
	for word in scripts upstream.conf "$@"; do
		rm -rf "${folder:?}/$word"
		cp -r "$TOP/$word" "$folder"
	done
	# What no series changes
	for made in venv sysroot apt; do
		ln -sfn "$BUILD/$made" "$folder/build/$made"
	done
}

# choose_base FOLDER linux|qemu BASE: in the copy there. Its tree is made anew when it is of other pins.
choose_base() {
	local folder=$1 name=$2 base=$3 tree=$1/build/$2 version
	sed -i "s/^${name^^}_BASE=.*/${name^^}_BASE=$base/" "$folder/upstream.conf"
	grep -qx "${name^^}_BASE=$base" "$folder/upstream.conf" || die "upstream.conf has no line ${name^^}_BASE="
	version=$(sed -n "s/^${name^^}_VERSION=//p" "$folder/$name/bases/$base/pins")
	[ ! -e "$tree/.git" ] || [[ $(git -C "$tree" config vpmu.source) == *"$version" ]] || rm -rf "$tree" "$tree"-*
}
