#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Claim: tests/run runs the rows of tests/table that it is to run, as the table has them, and
# refuses a table that is wrong or incomplete.
set -euo pipefail
# shellcheck source=toy-table.sh
. "$(dirname "$0")/toy-table.sh"

selection() {
	tap one 1..1 'ok 1'
	tap sub/two 1..1 'not ok 1'
	ONLY=one run_ends 0 '1 passed, 0 failed, 0 skipped'
	ONLY=none run_ends 2 'run: error: ONLY=none matches no row; there are: one sub/two'
	ONLY='(' run_ends 2 "run: error: ONLY=( is no regular expression (missing ), unterminated\
 subpattern at position 0); use a part of a row's name"
	run_ends 0 '1 passed, 0 failed, 0 skipped' one
	run_ends 0 '1 passed, 0 failed, 0 skipped' "$P/tests/one.t"
	run_ends 1 '0 passed, 1 failed, 0 skipped' sub/two
	run_ends 2 "run: error: no row 'three' in tests/table; name rows like one,\
 or their programs" three
	run_ends 2 'tests/run: error: unrecognized arguments: --fast' --fast
}

full() {
	tap one 1..1 'ok 1'
	SET=full tap slow 1..1 'ok 1'
	run_ends 0 '1 passed, 0 failed, 0 skipped'
	run_ends 0 '1 passed, 0 failed, 0 skipped' slow
}

# Arguments reach the program. A variable before it is set, unless the environment has it.
arguments() {
	row args "TOY=1 tests/args.t \"two words\" 'a|b'"
	# shellcheck disable=SC2016 # the toy's own variables
	toy args 'echo 1..1' \
		'[ "$#-$1-$2-$TOY" = "2-two words-a|b-${WANTED:-1}" ] || printf "not "' 'echo ok 1'
	run_ends 0 '1 passed, 0 failed, 0 skipped'
	TOY=2 WANTED=2 run_ends 0 '1 passed, 0 failed, 0 skipped'
}

# table_error TEXT LINE...: a table of these lines is refused
table_error() {
	local text=$1
	shift
	printf '%s\n' "$@" >"$P/tests/table"
	run_ends 2 "run: error: $text"
}

wrong_table() {
	tap one 1..1 'ok 1'
	table_error 'no row of tests/table names tests/one.t; add one, or delete the program'
	table_error "tests/table:1: two: there is no program 'tests/two.t'; fix the path or delete\
 the row" 'two | core | 1 | | tests/two.t'
	table_error "tests/table:3: there are two rows 'one'; rename one" \
		'one | core | 1 | | tests/one.t' $'\tclaim' 'one | core | 1 | | tests/one.t' \
		$'\tclaim'
	table_error "tests/table:1: 'one | core' has 2 columns;\
 a row is NAME | SET | SECONDS | NEEDS | COMMAND" 'one | core'
	table_error "tests/table:1: 'One' is no name; use lower case, digits, '-' and '/'" \
		'One | core | 1 | | tests/one.t'
	table_error "tests/table:1: one: 'slow' is no set; give core or full,\
 then what holds of alone, untraced, history" 'one | slow | 1 | | tests/one.t'
	table_error "tests/table:1: one: 'long' is no number of seconds;\
 give about how long it takes on two idle cores" 'one | core | long | | tests/one.t'
	table_error "tests/table:1: one needs 'moon', but no line 'make moon = ...'\
 says what that is made of" 'one | core | 1 | moon | tests/one.t'
	table_error "tests/table:1: one claims nothing; say what passing proves in an indented line\
 below the row, or as 'Claim: ...' in the head of tests/one.t" 'one | core | 1 | | tests/one.t'
	table_error "tests/table:1: this indented line follows no row; it is to be a row's claim" \
		$'\tclaim'
}

claims() {
	tap one 1..1 'ok 1'
	tap two 1..1 'ok 1'
	sed -i '2i # Claim: it is\n# the first\n#\n# Nothing of it.' "$P/tests/one.t"
	printf '%s\n' 'one | core | 5 | | tests/one.t' 'two | full alone | 7 | | tests/two.t now' \
		$'\tit is' $'\tthe second' >"$P/tests/table"
	"$P/tests/run" --list >"$TMP/list"
	diff - "$TMP/list" <<-'END'
		one: it is the first
		    core, 5 s: tests/one.t
		two: it is the second
		    full, alone, 7 s: tests/two.t now
	END
}

needs() {
	printf '%s\n' 'make sun = tests/table' 'make moon = tests/table' >"$P/tests/table"
	printf 'sun moon:\n\t@echo made $@ >>made\n' >"$P/Makefile"
	row one tests/one.t core sun
	tap one 1..1 'ok 1'
	tap two 1..1 'ok 1'
	run_ends 0 '2 passed, 0 failed, 0 skipped'
	[ ! -e "$P/made" ]
	run_ends 0 '1 passed, 0 failed, 0 skipped' --build two
	[ ! -e "$P/made" ]
	run_ends 0 '2 passed, 0 failed, 0 skipped' --build
	[ "$(cat "$P/made")" = 'made sun' ]
	printf 'sun moon:\n\tfalse\n' >"$P/Makefile"
	run_ends 2 'run: error: make sun failed, which the rows need; see above' --build
}

# Neither strace nor LeakSanitizer works in a program that strace runs.
traced_by_themselves() {
	local program
	cd "$TOP"
	grep -lE 'build-tool["] --native|fsanitize[=]|toy-ledger[.]sh"' tests/*.t >"$TMP/programs"
	[ "$(wc -l <"$TMP/programs")" -gt 5 ]
	while read -r program; do
		awk -F ' *[|] *' -v program="$program" '
			!/^[#\t]/ && index($5 " ", program " ") && $2 !~ /untraced/ {
				print $1 ": " program " cannot be traced"
			}' tests/table
	done <"$TMP/programs" | tee "$TMP/traced"
	[ ! -s "$TMP/traced" ]
}

check 'a wrong row is an error, as is a program without a row' wrong_table
check 'the list has the claims of rows, or of their programs' claims
check 'ONLY and arguments select rows' selection
check 'a row of the full set runs by name only' full
check 'arguments and environment are the row'"'"'s' arguments
check 'what selected rows need is built first' needs
check 'rows of tests/table that cannot be traced are marked' traced_by_themselves
finish
