#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Claim: scripts/deps lists for each purpose the packages that its programs need, together with
# those of the purposes before it, and no others. scripts/venv installs Python packages likewise:
# those of a later purpose into the same venv.
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

# A project with nothing but scripts/venv, and a stand-in for Python: its pip adds what it is to
# install to a list in the venv.
make_project() {
	rm -rf "$P"
	mkdir -p "$P/scripts"
	cp "$TOP/scripts/lib.sh" "$P/scripts"
	cp "$TOP/upstream.conf" "$P"
	sed "s|^PYTHON=.*|PYTHON=$P/python|" "$TOP/scripts/venv" >"$P/scripts/venv"
	cat >"$P/python" <<-'END'
		#!/bin/sh
		case "$*" in
		"-m venv "*)
			mkdir -p "$3/bin" "$3/lib/python3.0/site-packages"
			cp "$0" "$3/bin/python"
			echo new >>"${0%/*}/made"
			;;
		"-m pip install "*)
			for file; do :; done
			grep -v '^#' "$file" >>"${0%/bin/*}/list"
			;;
		esac
	END
	chmod +x "$P/python" "$P/scripts/venv"
}

ALL=(avocado-framework avocado-framework-plugin-result-html matplotlib meson pycotap qemu-qmp ruff)

# installed NAME...: the venv has exactly these packages
installed() {
	diff <(sed 's/==.*//' "$P/build/venv/list" | sort -u) <(printf '%s\n' "$@")
}

python_packages() {
	make_project
	[ "$("$P/scripts/venv")" = "$P/build/venv" ]
	installed matplotlib meson pycotap
	touch "$P/build/venv/same"
	"$P/scripts/venv" check
	installed "${ALL[@]}"
	rm "$P/build/venv/list"
	"$P/scripts/venv" demo
	"$P/scripts/venv" check
	[ -e "$P/build/venv/same" ]
	[ ! -e "$P/build/venv/list" ]
}

# Packages that are no longer pinned go, too.
python_packages_anew() {
	local pin
	for pin in PYPI_DEMO_MESON PYPI_CHECK_RUFF; do
		make_project
		"$P/scripts/venv" check
		touch "$P/build/venv/old"
		sed -i "s/^$pin=.*/$pin=0/" "$P/upstream.conf"
		"$P/scripts/venv" check
		[ ! -e "$P/build/venv/old" ]
		installed "${ALL[@]}"
		grep -qE '^(meson|ruff)==0$' "$P/build/venv/list"
	done
}

# Two make targets may do so.
python_packages_at_once() {
	local first
	make_project
	# time for the other one to get there, if no lock stops it
	sed -i '/mkdir/i sleep 1' "$P/python"
	"$P/scripts/venv" check &
	first=$!
	"$P/scripts/venv"
	wait "$first"
	installed "${ALL[@]}"
	[ "$(wc -l <"$P/made")" = 1 ]
}

P=$TMP/project
mkdir "$TMP/bin"
printf '#!/bin/sh\nexit 1\n' >"$TMP/bin/dpkg-query"
printf '#!/bin/sh\necho 1000\n' >"$TMP/bin/id"
chmod +x "$TMP/bin"/*

check 'a purpose has the packages of those before it' cumulative
check 'the demo needs no package of tests' demo_is_small
check 'the packages that programs need are listed' names_needed
check 'an unknown purpose is one error' fails_with \
	"unknown purpose 'test'; one of: demo check full" "$TOP/scripts/deps" test
check 'Python packages of tests are added when a test needs them' python_packages
check 'Python packages are installed anew if a pin changes' python_packages_anew
check 'Python packages for two purposes can be installed at a time' python_packages_at_once
check 'an unknown purpose of Python packages is one error' fails_with \
	"unknown purpose 'test'; one of: demo check" "$P/scripts/venv" test
finish
