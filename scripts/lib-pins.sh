# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
# Sourced, after lib.sh, by programs that download packages which upstream.conf pins. Suites drop
# versions: trixie-backports has one Linux at a time. If the pinned version is gone, another point
# release of the same upstream series takes its place, with a warning.

# list_served CONF deb|dsc PACKAGE: the versions of a package file (deb) or a source package (dsc)
# in apt's lists, newest first
list_served() {
	local -A index=([deb]=Packages [dsc]=Sources)
	APT_CONFIG=$1 apt-cache madison "$3" |
		awk -F ' *[|] *' -v index_name="${index[$2]}" \
		'$3 ~ " " index_name "$" { print $2 }' | sort -u -V -r
}

# upstream_version VERSION: without Debian's epoch and revision, and without the suffix of sources
# that leave out files (+ds)
upstream_version() {
	local version=${1#*:}
	version=${version%-*}
	echo "${version%%+*}"
}

# upstream_series VERSION: 7.3 of 7.3.4-1~bpo13+1
upstream_series() {
	upstream_version "$1" | grep -oE '^[0-9]+\.[0-9]+'
}

# list_candidates CONF KIND PACKAGE VERSION: VERSION if it is served, then other packages of the
# same release, then the other releases of its series; each newest first
list_candidates() {
	local served version series release
	served=$(list_served "$1" "$2" "$3")
	series=$(upstream_series "$4")
	release=$(upstream_version "$4")
	while read -r version; do
		if [ "$version" = "$4" ]; then
			echo "1 $version"
		elif [[ $version = *~rc* ]]; then
			continue
		elif [ "$(upstream_version "$version")" = "$release" ]; then
			echo "2 $version"
		elif [ "$(upstream_series "$version")" = "$series" ]; then
			echo "3 $version"
		fi
	done <<<"$served" | sort -s -k 1,1 | cut -d ' ' -f 2
}

# served_digest CONF KIND PACKAGE VERSION: the digest in apt's signed lists
served_digest() {
	case $2 in
	deb) APT_CONFIG=$1 apt-cache show "$3=$4" | awk '$1 == "SHA256:" { print $2; exit }' ;;
	dsc) APT_CONFIG=$1 apt-cache showsrc --only-source "$3" | awk -v version="$4" '
		$1 == "Version:" { here = $2 == version }
		here && NF == 3 && length($1) == 64 && $3 ~ /[.]dsc$/ { print $1; exit }' ;;
	esac
}

# warn_substitute NAME PINNED TAKEN SUITE DIGEST VARIABLE=VALUE...: the variables pin what was taken
warn_substitute() {
	local name=$1 pinned=$2 taken=$3 suite=$4 digest=$5
	shift 5
	{
		echo "${0##*/}: WARNING: $name $taken is taken in place of $pinned," \
			"which upstream.conf pins and $suite does not serve any more."
		echo "  sha256: $digest"
		echo "  It is of the same upstream series, and nothing here was tested with it." \
			"To pin it, set in upstream.conf: $*"
	} >&2
}

# list_bases NAME KIND: the folders of NAME/bases whose package is served, each with the version and
# the suite
list_bases() {
	local name=$1 kind=$2 base pins prefix=${1^^}
	for pins in "$TOP/$name"/bases/*/pins; do
		[ -e "$pins" ] || continue
		base=$(basename "$(dirname "$pins")")
		(
			# shellcheck source=/dev/null
			. "$pins"
			package=${prefix}_PACKAGE version=${prefix}_PACKAGE_VERSION \
				suite=${prefix}_SUITE
			conf=$("$TOP/scripts/apt-root" conf "$(dpkg --print-architecture)" \
				"${!suite}" 2>/dev/null) || exit
			found=$(list_candidates "$conf" "$kind" "${!package}" "${!version}" |
				sed -n 1p)
			[ -z "$found" ] ||
				printf '  %s in upstream.conf, for %s\n' \
					"${prefix}_BASE=$base" "$found of ${!suite}"
		)
	done
}

# list_packages_served CONF KIND PACKAGE: all versions of the package that the suite has. If its
# name has a version (linux-source-7.3), also those of other versions
list_packages_served() {
	local conf=$1 kind=$2 package=$3 stem=${3%%[0-9]*} name version
	{
		echo "$package"
		[ "$stem" = "$package" ] || APT_CONFIG=$conf apt-cache pkgnames "$stem" |
			grep -E "^${stem}[0-9.]+\$" || true
	} | sort -u | while read -r name; do
		list_served "$conf" "$kind" "$name" | while read -r version; do
			echo "  $name $version"
		done
	done
}

# not_served CONF KIND PACKAGE VERSION SUITE: prints that error, and what the suite serves
not_served() {
	echo "$5 does not serve $3 $4, nor another release of $(upstream_series "$4"); it serves:"
	list_packages_served "$1" "$2" "$3"
}

# take_served CONF PACKAGE VERSION SUITE VARIABLE: prints the version of a package file to take:
# VERSION, which VARIABLE of upstream.conf pins, or the one in its place if it is not served; dies
# if there is none
take_served() {
	local conf=$1 package=$2 pinned=$3 suite=$4 variable=$5 taken
	taken=$(list_candidates "$conf" deb "$package" "$pinned" | sed -n 1p)
	[ -n "$taken" ] || die "$(not_served "$conf" deb "$package" "$pinned" "$suite")
Set $variable in upstream.conf, or name a mirror or an archive that has it: DEBIAN_MIRROR=URL"
	[ "$taken" = "$pinned" ] ||
		warn_substitute "$package" "$pinned" "$taken" "$suite" \
		"$(served_digest "$conf" deb "$package" "$taken")" "$variable=$taken"
	echo "$taken"
}
