# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
# shellcheck disable=SC2034 # the variables are for those who source it
# Sourced by the programs here.

# shellcheck source=../scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../scripts/lib.sh"

PACKAGES=$BUILD/packages
# Of whoever builds; Debian's own variables.
export DEBFULLNAME=${DEBFULLNAME:-pmu-hybrid} DEBEMAIL=${DEBEMAIL:-pmu-hybrid@packages.invalid}

# With each commit a higher version, so that apt upgrades.
find_revision() {
	git -C "$TOP" rev-list --count HEAD ||
		die "a package's version counts the commits of $TOP, which is no git repository;" \
			"clone it"
}

# The same commit gives the same package, to the byte. Dates are those of the commit: after a rebase
# the author's are others.
find_date() {
	git -C "$TOP" log -1 --format="$1"
}

# write_changelog SOURCE VERSION [WHAT]: the entry of today's commit
write_changelog() {
	cat <<-EOF
		$1 ($2) unstable; urgency=medium

		  * ${3:+$3; }$(find_date %h) of the project.

		 -- $DEBFULLNAME <$DEBEMAIL>  $(find_date %cD)
	EOF
}

# write_control SOURCE PACKAGE: the control file of a source of its own; what the package is,
# packages/debian says
write_control() {
	sed "s/@MAINTAINER@/$DEBFULLNAME <$DEBEMAIL>/" "$TOP/packages/$1/control"
	echo
	awk -v RS= -v name="$2" '$0 ~ "^Package: " name "\n"' "$TOP/packages/debian/control"
}

# run_buildpackage FOLDER ARG...: in a shell of its own
run_buildpackage() {
	cd "$1" && SOURCE_DATE_EPOCH=$(find_date %ct) pp dpkg-buildpackage --no-check-builddeps \
		--unsigned-source --unsigned-changes --no-pre-clean "${@:2}"
}

# build_package FOLDER LOG ARG...: by dpkg-buildpackage
build_package() {
	need dh debhelper
	logged "$2" "dpkg-buildpackage failed" run_buildpackage "$1" "${@:3}"
}

# publish FOLDER: its packages take the place of older ones of these names
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

# publish_source FOLDER: its source packages take the place of older ones of these names
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
