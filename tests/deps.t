#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Claim: scripts/deps lists for each purpose the packages that its programs need, together with
# those of the purposes before it, and no others.
set -euo pipefail
# shellcheck source=tap.sh
. "$(dirname "$0")/tap.sh"

# Runs scripts/deps as a user other than root, on a machine with nothing installed.
missing() {
	PATH=$TMP/bin:$PATH "$TOP/scripts/deps" "$@" 2>&1 |
		sed -n 's/^deps: error: packages missing; .*--no-install-recommends //p' |
		tr ' ' '\n' || true
}

cumulative() {
	missing demo >"$TMP/demo"
	missing check >"$TMP/check"
	missing full >"$TMP/full"
	missing >"$TMP/default"
	cmp "$TMP/full" "$TMP/default"
	[ "$(sort "$TMP/full" | uniq -d)" = '' ]
	cmp <(head -n "$(wc -l <"$TMP/demo")" "$TMP/check") "$TMP/demo"
	cmp <(head -n "$(wc -l <"$TMP/check")" "$TMP/full") "$TMP/check"
	grep -qx gcc-aarch64-linux-gnu "$TMP/demo"
}

# Packages that only some tests need are a large part of the download.
demo_is_small() {
	local full='coccinelle|ocaml-nox|gcc-mingw-w64-x86-64|libgtk-3-dev'
	! grep -xE "$full|clang|lld|sparse|python3-sphinx|shellcheck|lintian" "$TMP/demo" || return
	! grep -xE "$full" "$TMP/check" || return
	grep -qx coccinelle "$TMP/full"
}

# asks_for FOLDER...: the packages that programs there name when something is missing
asks_for() {
	git -C "$TOP" grep -hoE '^[[:space:]]*need [a-z0-9_-]+ [a-z0-9-]+' -- "$@" \
		':!*.py' ':!*.md' |
		awk '{ print $3 }' | sort -u
}

# Each Debian has dpkg itself.
names_needed() {
	local package
	[ "$(asks_for scripts testbed | wc -l)" -gt 10 ]
	while read -r package; do
		[ "$package" = dpkg ] || grep -qx "$package" "$TMP/full" ||
			{ echo "a program needs $package, which is not in scripts/deps"; return 1; }
	done < <(asks_for .)
	while read -r package; do
		[[ $package =~ ^(dpkg|rsync)$ ]] || grep -qx "$package" "$TMP/demo" ||
			{ echo "scripts or testbed need $package, which the demo lacks"; return 1; }
	done < <(asks_for scripts testbed)
}

mkdir "$TMP/bin"
printf '#!/bin/sh\nexit 1\n' >"$TMP/bin/dpkg-query"
printf '#!/bin/sh\necho 1000\n' >"$TMP/bin/id"
chmod +x "$TMP/bin"/*

check 'a purpose has the packages of those before it' cumulative
check 'the demo needs no package of tests' demo_is_small
check 'the packages that programs need are listed' names_needed
check 'an unknown purpose is one error' fails_with \
	"unknown purpose 'test'; one of: demo check full" "$TOP/scripts/deps" test
finish
