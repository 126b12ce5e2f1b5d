#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Claim: the source package of pmu-hybrid-check is complete: unpacked elsewhere, it builds and
# passes its unit tests, and its package has the same files as ours. tests/libvirt-package.t tests
# that of libvirt-pmu-hybrid.
#
# It is built for this machine, whatever that is.
set -euo pipefail
# shellcheck source=tap.sh
. "$(dirname "$0")/tap.sh"

NAME=pmu-hybrid-check

builds() {
	"$TOP/packages/source"
	[ -s "$(find_dsc)" ]
}

find_dsc() {
	echo "$BUILD/packages/$NAME"_*.dsc
}

# In a folder of its own, so that nothing of the project is beside it
unpacks() {
	dpkg-source --extract "$(find_dsc)" "$TMP/source"
	grep -qx 'Architecture: arm64' "$TMP/source/debian/control"
	sed -i 's/^Architecture: arm64$/Architecture: any/' "$TMP/source/debian/control"
}

# Meson is not installed here, but in the venv.
rebuilds() {
	(cd "$TMP/source" && PATH=$BUILD/venv/bin:$PATH DEB_BUILD_OPTIONS=noautodbgsym \
		dpkg-buildpackage --build=binary --no-check-builddeps \
		--unsigned-changes) >"$TMP/log" 2>&1 || {
		tail -n 30 "$TMP/log"
		return 1
	}
	grep -qE '^Ok: +2 *$' "$TMP/log" || { grep -E '^[A-Z][A-Za-z ]+: ' "$TMP/log"; return 1; }
}

# For each library, Build-Depends must name the package that has its .pc file. This machine's dpkg
# knows that package.
names_libraries() {
	local library package
	while read -r library; do
		package=$(dpkg-query --search "*/pkgconfig/$library.pc" | cut -d : -f 1)
		grep -E '^Build-Depends:' "$TMP/source/debian/control" | grep -qw -- "$package" ||
			{ echo "$library is in $package"; return 1; }
	done < <(grep -oE "dependency\('[^']*" "$TMP/source/tools/$NAME/meson.build" |
		cut -d "'" -f 2)
}

same_files() {
	local file
	dpkg-deb --extract "$TMP/$NAME"_*.deb "$TMP/root"
	while read -r file; do
		[ -e "$TMP/root/$file" ] || [ -e "$TMP/root/$file.gz" ] ||
			{ echo "no $file"; return 1; }
	done < <(grep -v '^#' "$TOP/packages/debian/$NAME.install")
	[ -e "$TMP/root/usr/share/doc/$NAME/check.md" ] ||
		[ -e "$TMP/root/usr/share/doc/$NAME/check.md.gz" ]
	"$TMP/root/usr/bin/$NAME" --version
}

check 'the source package is made' builds
check 'lintian finds no fault with it' "$TOP/packages/lint" "$(find_dsc)"
check 'dpkg-source unpacks it' unpacks
check 'it names the packages of all libraries' names_libraries
check 'it builds, and its unit tests pass' rebuilds
check 'its package has the files of ours' same_files
finish
