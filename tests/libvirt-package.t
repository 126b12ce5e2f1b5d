#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Claim: libvirt-pmu-hybrid builds, also from its own source package. When dpkg installs it into a
# toy root, libvirt's list of Arm features gets pmu-hybrid, and keeps it in each upgrade of libvirt.
# When the package is removed, the list is the distribution's again.
#
# The libvirt there is two packages of one file each: the list of the emulated host's Debian, or one
# with added names; and what AppArmor lets domains do, as Debian 12 and 13 have it.
set -euo pipefail
# shellcheck source=tap.sh
. "$(dirname "$0")/tap.sh"

NAME=libvirt-pmu-hybrid
LIST=usr/share/libvirt/cpu_map/arm_features.xml
PROFILE=etc/apparmor.d/abstractions/libvirt-qemu
LOCAL=etc/apparmor.d/local/abstractions/libvirt-qemu
PATCH=$(grep '^sed .* | patch ' "$TOP/docs/libvirt.md")

# The features of a list, without comments and empty lines.
list_features() {
	sed -n "s|^ *<feature name='\(.*\)'/>$|\1|p" "$1"
}

# make_toy PACKAGE VERSION FILE TARGET: a package that has FILE as /TARGET
make_toy() {
	local root=$TMP/$1-$2
	mkdir -p "$root/DEBIAN" "$root/${4%/*}"
	cp "$3" "$root/$4"
	printf '%s\n' "Package: $1" "Version: $2" 'Architecture: all' \
		'Maintainer: toy <toy@packages.invalid>' \
		'Description: toy' >"$root/DEBIAN/control"
	[[ $4 != etc/* ]] || echo "/$4" >"$root/DEBIAN/conffiles"
	dpkg-deb --build --root-owner-group "$root" "$TMP/$1-$2.deb" >/dev/null
}

# Stand-ins that record what systemd is asked for. For them virtqemud is active, libvirtd is not.
make_stand_ins() {
	local name
	mkdir "$TMP/bin"
	for name in systemctl deb-systemd-invoke; do
		printf '#!/bin/sh\necho "%s $*" >>"%s"\n' "$name" "$TMP/asked" >"$TMP/bin/$name"
	done
	# shellcheck disable=SC2016 # the stand-in's parameters
	echo '[ "$3" = virtqemud.service ]' >>"$TMP/bin/systemctl"
	printf '#!/bin/sh\necho "virt_use_usb --> off"\n' >"$TMP/bin/getsebool"
	chmod +x "$TMP/bin"/*
}

toy_dpkg() {
	PATH=$TMP/bin:$PATH fakeroot dpkg --root="$TMP/root" \
		--force-script-chrootless,not-root,unsafe-io "$@" 2>&1
}

list_files() {
	(cd "$TMP/root" && find . -path ./var -prune -o -type f -exec sha256sum {} + | sort)
}

before_each() {
	rm -rf "$TMP/root" "$TMP/asked"
	mkdir -p "$TMP/root/var/lib/dpkg/info" "$TMP/root/var/lib/dpkg/updates" \
		"$TMP/root/var/log" "$TMP/root/run/systemd/system"
	touch "$TMP/root/var/lib/dpkg/status" "$TMP/root/var/lib/dpkg/available" "$TMP/asked"
	toy_dpkg --install "$TMP/libvirt-common-1.deb"
}

# has_all OLD NEW: NEW is XML and has what OLD has, in the same order, and pmu-hybrid once
has_all() {
	python3 -c 'import sys, xml.etree.ElementTree as ET; ET.parse(sys.argv[1])' "$2"
	diff <(list_features "$1" | grep -vx pmu-hybrid) <(list_features "$2" | grep -vx pmu-hybrid)
	[ "$(list_features "$2" | grep -cx pmu-hybrid)" = 1 ]
}

# expect_list FILE: the toy's list has all of FILE, and all may read it
expect_list() {
	has_all "$1" "$TMP/root/$LIST"
	[ "$(stat -c %a "$TMP/root/$LIST")" = 644 ]
}

restarts() {
	grep -c '^deb-systemd-invoke restart virtqemud.service$' "$TMP/asked" || true
}

builds() {
	"$TOP/packages/libvirt"
	[ -s "$(echo "$BUILD/packages/$NAME"_*_all.deb)" ]
}

rebuilds() {
	local source=$TMP/source
	dpkg-source --extract "$BUILD/packages/$NAME"_*.dsc "$source"
	(cd "$source" && dpkg-buildpackage --build=binary --no-check-builddeps --unsigned-changes)
	cmp "$TMP/${DEB##*/}" "$DEB"
}

installs() {
	toy_dpkg --install "$DEB"
	expect_list "$TMP/list"
	cmp "$TMP/root/$LIST.distrib" "$TMP/list"
	grep -q '^/sys/bus/event_source/devices/ r,$' \
		"$TMP/root/etc/apparmor.d/abstractions/libvirt-qemu.d/$NAME"
}

as_the_patch() {
	patch_applies list
	toy_dpkg --install "$DEB"
	diff "$TMP/list.d/arm_features.xml" \
		<(grep -v ' made of arm_features.xml.distrib by the package ' "$TMP/root/$LIST")
}

upgraded() {
	toy_dpkg --install "$DEB"
	toy_dpkg --install "$TMP/libvirt-common-$1.deb"
	expect_list "$TMP/$2"
	cmp "$TMP/root/$LIST.distrib" "$TMP/$2"
	[ "$(toy_dpkg --audit)" = "" ]
}

no_need_to_restart() {
	toy_dpkg --install "$DEB"
	[ "$(restarts)" = 1 ]
	toy_dpkg --install "$TMP/libvirt-common-1.deb" "$DEB"
	[ "$(restarts)" = 1 ]
	toy_dpkg --install "$TMP/libvirt-common-2.deb"
	[ "$(restarts)" = 2 ]
	! grep -q 'restart libvirtd' "$TMP/asked"
}

unreadable() {
	toy_dpkg --install "$DEB"
	toy_dpkg --install "$TMP/libvirt-common-4.deb" >"$TMP/said"
	cat "$TMP/said"
	grep -q "^$NAME: warning: .* does not end with one </cpus>, .* by <qemu:commandline>\$" \
		"$TMP/said"
	cmp "$TMP/root/$LIST" "$TMP/unreadable"
	toy_dpkg --install "$TMP/libvirt-common-1.deb"
	expect_list "$TMP/list"
}

hints() {
	toy_dpkg --install "$DEB" >"$TMP/said"
	grep -q "setsebool -P virt_use_usb on" "$TMP/said"
	sed -i 's/off/on/' "$TMP/bin/getsebool"
	toy_dpkg --install "$DEB" >"$TMP/said"
	! grep -q setsebool "$TMP/said"
}

# goes ACTION VERSION [DEB]: ACTION leaves the root as if the package had never been there. With DEB
# an upgrade to it was interrupted after the unpacking.
goes() {
	local before
	toy_dpkg --install "$TMP/libvirt-common-$2.deb"
	before=$(list_files)
	toy_dpkg --install "$TMP/libvirt-common-1.deb" "$DEB"
	toy_dpkg --install "$TMP/libvirt-common-$2.deb"
	[ $# = 2 ] || toy_dpkg --unpack "$3"
	toy_dpkg "$1" "$NAME"
	[ "$1" != --remove ] || toy_dpkg --purge "$NAME"
	diff <(echo "$before") <(list_files)
	[ -z "$(dpkg-divert --root "$TMP/root" --list)" ]
	[ -z "$(find "$TMP/root" -name '*pmu-hybrid*')" ]
}

# as_dpkg PROGRAM ARG...: runs a program of the root as dpkg does
as_dpkg() {
	DPKG_ROOT=$TMP/root PATH=$TMP/bin:$PATH fakeroot "$TMP/root/$1" "${@:2}"
}

# The script dies before each of the programs that it runs.
interrupted() {
	local program
	for program in awk chmod dpkg-divert ln cmp mv; do
		before_each
		# shellcheck disable=SC2016 # the stand-in's parent
		printf '#!/bin/sh\nkill -9 $PPID\n' >"$TMP/bin/$program"
		chmod +x "$TMP/bin/$program"
		if toy_dpkg --install "$DEB"; then return 1; fi
		rm "$TMP/bin/$program"
		cmp "$TMP/root/$LIST" "$TMP/list"
		toy_dpkg --configure "$NAME"
		expect_list "$TMP/list"
	done
}

# What dpkg runs if a removal fails, and after an interrupted one
removal_fails() {
	toy_dpkg --install "$DEB"
	for _ in once twice; do
		as_dpkg "var/lib/dpkg/info/$NAME.postrm" remove
		cmp "$TMP/root/$LIST" "$TMP/list"
	done
	as_dpkg "var/lib/dpkg/info/$NAME.postinst" abort-remove
	expect_list "$TMP/list"
}

# expect_rules SOURCE: domains have this package's rules by SOURCE, Debian 12's or 13's, alone
expect_rules() {
	local file found=()
	for file in "$LOCAL" "$PROFILE"; do
		! grep -q '^ *include if exists <abstractions/libvirt-qemu.d>' "$TMP/root/$file" ||
			found+=("$file")
	done
	[ "${found[*]}" = "$1" ] || { echo "the rules are included by: ${found[*]}"; return 1; }
}

# Debian 12's libvirt does not include the folder with the rules, and makes LOCAL itself.
rules_included() {
	mkdir -p "$TMP/root/${LOCAL%/*}"
	echo '# a rule of the administrator' | tee "$TMP/local" >"$TMP/root/$LOCAL"
	toy_dpkg --install "$DEB"
	cmp "$TMP/root/$LOCAL" "$TMP/local"
	toy_dpkg --install "$TMP/libvirt-daemon-system-9.deb"
	expect_rules "$LOCAL"
	toy_dpkg --install "$DEB"
	[ "$(grep -c pmu-hybrid "$TMP/root/$LOCAL")" = 1 ]
	printf '# a rule without an end of line' >"$TMP/root/$LOCAL"
	toy_dpkg --install "$DEB"
	expect_rules "$LOCAL"
	cp "$TMP/local" "$TMP/root/$LOCAL"
	toy_dpkg --install "$TMP/libvirt-daemon-system-11.deb"
	expect_rules "$PROFILE"
	cmp "$TMP/root/$LOCAL" "$TMP/local"
	toy_dpkg --install "$TMP/libvirt-daemon-system-9.deb"
	expect_rules "$LOCAL"
	toy_dpkg --purge "$NAME"
	cmp "$TMP/root/$LOCAL" "$TMP/local"
}

without_libvirt() {
	toy_dpkg --install "$DEB"
	toy_dpkg --purge --force-depends libvirt-common
	[ ! -e "$TMP/root/$LIST" ]
	toy_dpkg --purge "$NAME"
	[ -z "$(find "$TMP/root" -path "$TMP/root/var" -prune -o -name '*arm_features*' -print)" ]
}

# patch_applies LIST: the page's command adds the name to a copy in LIST.d, and no other file to it
patch_applies() {
	install -D "$TMP/$1" "$TMP/$1.d/arm_features.xml"
	(cd "$TOP" && eval "${PATCH/\/usr\/share\/libvirt\/cpu_map/$TMP/$1.d}")
	has_all "$TMP/$1" "$TMP/$1.d/arm_features.xml"
	[ -z "$(find "$TMP/$1.d" -type f ! -name 'arm_features.xml*')" ]
}

make_lists() {
	local others
	debugfs -R "dump /$LIST $TMP/list" "$ARTIFACTS/rootfs.img" 2>/dev/null
	[ -s "$TMP/list" ] || die "the emulated host's system has no /$LIST; run 'make host'"
	# names of others: after the last one, before the first one
	sed "s|^</cpus>|  <!-- Memory tagging -->\n  <feature name='mte'/>\n\n&|" \
		"$TMP/list" >"$TMP/grown-end"
	others="<feature name='pmu'/>\n  <feature name='kvm-steal-time'/>"
	sed "s|^<cpus>|&\n\n  <!-- Debug -->\n  $others|" "$TMP/list" >"$TMP/grown-start"
	sed "s|^</cpus>|  <feature name='pmu-hybrid'/>\n&|" "$TMP/list" >"$TMP/has-it"
	sed "/^<\/cpus>/d" "$TMP/list" >"$TMP/unreadable"
	make_toy libvirt-common 1 "$TMP/list" "$LIST"
	make_toy libvirt-common 2 "$TMP/grown-end" "$LIST"
	make_toy libvirt-common 3 "$TMP/has-it" "$LIST"
	make_toy libvirt-common 4 "$TMP/unreadable" "$LIST"
	make_toy libvirt-common 5 "$TMP/grown-start" "$LIST"
}

make_profiles() {
	echo '  #include <local/abstractions/libvirt-qemu>' >"$TMP/profile"
	make_toy libvirt-daemon-system 9 "$TMP/profile" "$PROFILE"
	echo '  include if exists <abstractions/libvirt-qemu.d>' >>"$TMP/profile"
	make_toy libvirt-daemon-system 11 "$TMP/profile" "$PROFILE"
}

need debugfs e2fsprogs
need fakeroot fakeroot
need patch patch
make_lists
make_profiles
make_stand_ins
check 'the package builds' builds
DEB=$(echo "$BUILD/packages/$NAME"_*_all.deb)
check 'its source package builds the same, to the byte' rebuilds
check 'lintian finds no fault with either' "$TOP/packages/lint" "$DEB" \
	"$BUILD/packages/$NAME"_*.dsc
check 'installed, it adds pmu-hybrid to the list, and brings the AppArmor rule' \
	installs
check 'the list is the one that the patch for libvirt makes' as_the_patch
check 'an upgrade of libvirt whose list has grown at its end' upgraded 2 grown-end
check 'an upgrade of libvirt whose list has grown at its start' upgraded 5 grown-start
check 'an upgrade to a libvirt that knows pmu-hybrid' upgraded 3 has-it
check 'an upgrade to an unreadable list gives a warning, and the next one repairs it' unreadable
check 'the daemon that runs is restarted when the list has changed, and only then' \
	no_need_to_restart
check 'with SELinux it says which boolean is off' hints
check 'removed and purged, it leaves nothing' goes --remove 1
check 'purged at once after an upgrade of libvirt, it leaves nothing' goes --purge 2
check 'purged after an upgrade that was interrupted, it leaves nothing' goes --purge 1 "$DEB"
check 'interrupted anywhere, it leaves the old list, and can be repeated' interrupted
check 'a removal that fails, or is done twice, keeps a list' removal_fails
check "libvirt's AppArmor profiles include the rules once, on Debian 12 and 13" rules_included
check 'if libvirt is removed by force, the list goes, too' without_libvirt
check 'the patch applies to a list that has grown at its end' patch_applies grown-end
check 'the patch applies to a list that has grown at its start' patch_applies grown-start
finish
