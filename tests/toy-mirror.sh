# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
# Sourced by tests of what is downloaded: a copy of the scripts in PROJECT, toy packages, and a
# folder as mirror.

# shellcheck source=tap.sh
. "$(dirname "${BASH_SOURCE[0]}")/tap.sh"

MIRROR=$TMP/mirror
POOL=$MIRROR/pool
PROJECT=$TMP/project
ARCH=$(dpkg --print-architecture)

# put_deb PACKAGE VERSION: the binary package of what is in TMP/deb
put_deb() {
	mkdir -p "$TMP/deb/DEBIAN" "$POOL"
	printf '%s\n' "Package: $1" "Version: $2" 'Architecture: all' \
		'Maintainer: toy <toy@localhost>' 'Description: toy' \
		>"$TMP/deb/DEBIAN/control"
	dpkg-deb --build --root-owner-group "$TMP/deb" "$POOL" >/dev/null
}

# put_linux PACKAGE VERSION: a package of what is in TMP/PACKAGE, with a file that says its version
put_linux() {
	local package=$1 version=$2 root=$TMP/deb
	rm -rf "$root"
	mkdir -p "$root/usr/src" "$TMP/$package"
	echo "$version" >"$TMP/$package/version"
	tar -C "$TMP" -cJf "$root/usr/src/$package.tar.xz" "$package"
	put_deb "$package" "$version"
}

# put_qemu VERSION: a source package, likewise
put_qemu() {
	local version=$1 upstream root
	upstream=${version#*:} upstream=${upstream%-*}
	root=$TMP/qemu-$upstream
	mkdir -p "$root/debian/source" "$POOL"
	echo "$version" >"$root/version"
	tar -C "$TMP" --exclude=debian -cJf "$POOL/qemu_$upstream.orig.tar.xz" "qemu-$upstream"
	echo '3.0 (quilt)' >"$root/debian/source/format"
	printf '%s\n' "qemu ($version) toy; urgency=low" '' '  * toy' '' \
		' -- toy <toy@localhost>  Sat, 01 Jan 2000 00:00:00 +0000' >"$root/debian/changelog"
	printf '%s\n' 'Source: qemu' 'Maintainer: toy <toy@localhost>' '' \
		'Package: qemu' 'Architecture: all' 'Description: toy' >"$root/debian/control"
	(cd "$POOL" && dpkg-source --build "$root" >/dev/null)
}

# publish SUITE: the suite serves what is in the pool, and nothing else
publish() {
	local suite=$MIRROR/dists/$1 file arch
	rm -rf "$suite"
	mkdir -p "$suite/main/source"
	for arch in "$ARCH" arm64; do
		mkdir -p "$suite/main/binary-$arch"
		(cd "$MIRROR" && dpkg-scanpackages --multiversion \
			pool >"$suite/main/binary-$arch/Packages" 2>/dev/null)
	done
	(cd "$MIRROR" && dpkg-scansources pool >"$suite/main/source/Sources" 2>/dev/null)
	{
		printf '%s\n' 'Origin: Debian' "Suite: $1" "Codename: $1" \
			"Architectures: $ARCH arm64 all" 'Components: main' \
			'Date: Sat, 01 Jan 2000 00:00:00 UTC' 'SHA256:'
		(cd "$suite" && for file in main/*/*; do
			echo " $(sha256sum <"$file" | cut -d' ' -f1) $(stat -c %s "$file") $file"
		done)
	} >"$suite/Release"
}

# The mirror's lists have no signature: apt must accept that here. All else is apt as it is.
# with_mirror PROGRAM ARG...: PROGRAM of the copy
with_mirror() {
	PATH=$TMP/bin:$PATH DEBIAN_MIRROR=file:$MIRROR VPMU_CACHE=$TMP/cache \
		"$PROJECT/$1" "${@:2}"
}

trees() {
	with_mirror scripts/trees "$@"
}

# pin VARIABLE=VALUE...
pin() {
	local setting
	for setting in "$@"; do
		sed -i "s|^${setting%%=*}=.*|$setting|" "$PROJECT/upstream.conf"
		grep -qxF "$setting" "$PROJECT/upstream.conf"
	done
}

digest_of() {
	sha256sum <"$1" | cut -d' ' -f1
}

# expect_words TEXT...: each is in what the last command printed
expect_words() {
	local text
	cat "$TMP/err"
	for text in "$@"; do
		tr '\n' ' ' <"$TMP/err" | grep -qF -- "$text"
	done
}

expect_without() {
	[ "$(grep -cF -- "$1" "$TMP/err")" = 0 ]
}

mkdir -p "$PROJECT" "$TMP/bin"
cp -r "$TOP/scripts" "$TOP/upstream.conf" "$PROJECT"
cat >"$TMP/bin/apt-get" <<'END'
#!/bin/sh
exec /usr/bin/apt-get -o Acquire::AllowInsecureRepositories=true \
	-o APT::Get::AllowUnauthenticated=true "$@"
END
chmod +x "$TMP/bin/apt-get"
pin LINUX_BASE= QEMU_BASE=
unset LINUX_TREE QEMU_TREE
