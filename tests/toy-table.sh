# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
# Sourced by tests of tests/run: a project with nothing but tests/run and a table of toys, in
# TMP/project.

# shellcheck source=tap.sh
. "$(dirname "${BASH_SOURCE[0]}")/tap.sh"

P=$TMP/project
unset ONLY JOBS

make_project() {
	rm -rf "$P"
	mkdir -p "$P/tests" "$P/testbed" "$P/scripts" "$P/build"
	cp -r "$TOP/tests/run" "$TOP/tests/runner" "$P/tests"
	cp "$TOP"/testbed/{host.py,kernels} "$P/testbed"
	cp "$TOP"/scripts/{lib.sh,venv} "$P/scripts"
	cp "$TOP/upstream.conf" "$P"
	ln -s "$BUILD/venv" "$P/build"
	: >"$P/tests/table"
}

before_each() {
	make_project
}

# row NAME PROGRAM [SET [NEEDS]]: a line of the table, if it has none of that name
row() {
	grep -q "^$1 |" "$P/tests/table" || printf '%s | %s | 1 | %s | %s\n\tit is a toy\n' "$1" \
		"${3:-core}" "${4-}" "$2" >>"$P/tests/table"
}

# toy NAME LINE...: a row, and its program of these shell lines
toy() {
	local name=$1 file=$P/tests/$1.t
	shift
	row "$name" "tests/$name.t" "${SET-}"
	mkdir -p "$(dirname "$file")"
	printf '%s\n' '#!/bin/sh' "$@" >"$file"
	chmod +x "$file"
}

# tap NAME LINE...: a row whose program prints these lines
tap() {
	local name=$1
	shift
	toy "$name" "cat <<'EOT'" "$@" EOT
}

# run_ends STATUS LAST-LINE [ARGUMENT...]: tests/run ends so
run_ends() {
	local status=0
	"$P/tests/run" "${@:3}" >"$TMP/run" 2>&1 || status=$?
	cat "$TMP/run"
	[ "$status" = "$1" ]
	[ "$(tail -n 1 "$TMP/run")" = "$2" ]
}

says() {
	grep -qF -- "$1" "$TMP/run"
}
