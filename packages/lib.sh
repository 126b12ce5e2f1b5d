# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
# shellcheck disable=SC2034 # the variables are for those who source it
# Sourced by the programs in packages/.

# shellcheck source=../scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../scripts/lib.sh"

PACKAGES=$BUILD/packages
# Name and address of the person who builds, in Debian's own variables.
export DEBFULLNAME=${DEBFULLNAME:-pmu-hybrid} DEBEMAIL=${DEBEMAIL:-pmu-hybrid@packages.invalid}

# Each commit gets a higher version, so that apt upgrades.
find_revision() {
	git -C "$TOP" rev-list --count HEAD ||
		die "$TOP is no git repository, and a package's version counts its commits;" \
			"clone the project"
}

# Version of a package of our own files alone, whatever release of QEMU or Linux it is built beside
find_own_version() {
	echo "1.$(find_revision)"
}

# The same commit gives the same package, to the byte. The dates are those of the commit, not the
# author's, which a rebase keeps.
find_date() {
	git -C "$TOP" log -1 --format="$1"
}

# write_changelog SOURCE VERSION [WHAT]: the entry for the current commit
write_changelog() {
	cat <<-EOF
		$1 ($2) unstable; urgency=medium

		  * ${3:+$3; }$(find_date %h) of the project.

		 -- $DEBFULLNAME <$DEBEMAIL>  $(find_date %cD)
	EOF
}

# write_control SOURCE PACKAGE: the control file of a source package of its own, with the paragraph
# of PACKAGE in packages/debian/control
write_control() {
	sed "s/@MAINTAINER@/$DEBFULLNAME <$DEBEMAIL>/" "$TOP/packages/$1/control"
	echo
	awk -v RS= -v name="$2" '$0 ~ "^Package: " name "\n"' "$TOP/packages/debian/control"
}

# run_buildpackage FOLDER ARG...: call it in a subshell, as it changes the folder
run_buildpackage() {
	cd "$1" && SOURCE_DATE_EPOCH=$(find_date %ct) pp dpkg-buildpackage --no-check-builddeps \
		--unsigned-source --unsigned-changes --no-pre-clean "${@:2}"
}

# build_package FOLDER LOG ARG...: runs dpkg-buildpackage
build_package() {
	need dh debhelper
	logged "$2" "dpkg-buildpackage failed" run_buildpackage "$1" "${@:3}"
}

# publish FOLDER: moves its packages to build/packages, where they replace older ones
publish() {
	local deb name
	mkdir -p "$PACKAGES"
	for deb in "$1"/*.deb; do
		name=$(dpkg-deb --field "$deb" Package)
		rm -f "$PACKAGES/$name"_*.deb
		mv "$deb" "$PACKAGES"
		step "$PACKAGES/${deb##*/}"
	done
}

# publish_source FOLDER: the same for its source packages
publish_source() {
	local dsc name
	for dsc in "$1"/*.dsc; do
		name=${dsc##*/}
		name=${name%%_*}
		rm -f "$PACKAGES/$name"_*.{dsc,tar.*}
		(cd "$1" && mv "$name"_*.{dsc,tar.*} "$PACKAGES")
		step "$PACKAGES/${dsc##*/}"
	done
}
