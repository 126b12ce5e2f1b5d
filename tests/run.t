#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Claim: tests/run counts the results that tests print, reports everything that goes wrong as a
# failure, and names the logs of each failure. On toy tests; run-order.t tests what runs at a time.
set -euo pipefail
# shellcheck source=toy-table.sh
. "$(dirname "$0")/toy-table.sh"

WAIT=$(scale_timeout 60)

all_passed() {
	tap one 1..2 'ok 1 - a' 'ok 2 - b'
	tap sub/two 'ok 1 - c' 1..1
	run_ends 0 '3 passed, 0 failed, 0 skipped'
	grep -qx 'ok 2 - b' "$P/build/results/one.tap"
	grep -qx 'ok 1 - c' "$P/build/results/sub-two.tap"
}

one_failed() {
	toy bad 'echo 1..3' 'echo "ok 1 - a"' 'echo "not ok 2 - the frobnicator"' \
		'echo "# expected 1, got 2"' 'echo why >&2' \
		'echo "ok 3 - c"' 'exit 1'
	tap good 1..1 'ok 1'
	run_ends 1 '3 passed, 1 failed, 0 skipped'
	says 'bad: 2 - the frobnicator'
	says '# expected 1, got 2'
	says 'TAP: build/results/bad.tap'
	says 'again: tests/run bad'
	says 'FAILED bad: 2 - the frobnicator'
	grep -qx why "$P/build/logs/bad.log"
}

# fails_as TEXT COUNTS [LINE...]: the test program named bad, which prints these lines, fails the
# run, and the report says TEXT
fails_as() {
	[ $# = 2 ] || tap bad "${@:3}"
	run_ends 1 "$2"
	says "$1"
}

no_test() {
	tap bad 1..0
	fails_as 'ran no test' '0 passed, 1 failed, 0 skipped'
	toy bad 'exit 0'
	fails_as 'ran no test' '0 passed, 1 failed, 0 skipped'
}

died() {
	toy bad 'echo 1..1' 'echo "ok 1"' 'echo last words >&2' 'exit 3'
	fails_as 'exit status 3' '1 passed, 1 failed, 0 skipped'
	says 'last words'
	# shellcheck disable=SC2016 # the toy's own process
	toy bad 'echo 1..1' 'echo "ok 1"' 'kill -SEGV $$'
	fails_as 'signal 11 (SIGSEGV)' '1 passed, 1 failed, 0 skipped'
}

bailed_out() {
	tap bad 1..2 'ok 1' 'Bail out! no disk'
	tap later 1..1 'ok 1'
	fails_as 'bailed out: no disk' '2 passed, 1 failed, 0 skipped'
}

not_executable() {
	tap bad 1..1 'ok 1'
	chmod -x "$P/tests/bad.t"
	fails_as 'ran no test' '0 passed, 1 failed, 0 skipped'
	says 'cannot run tests/bad.t: Permission denied'
}

# The toys print nothing, so that it does not matter how far they got.
ran_too_long() {
	toy bad 'sleep infinity'
	VPMU_TIMEOUT_FACTOR='' VPMU_TEST_TIME_LIMIT=1 fails_as 'ran longer than 1 s' \
		'0 passed, 2 failed, 0 skipped'
	VPMU_TIMEOUT_FACTOR=1.5 VPMU_TEST_TIME_LIMIT=2 fails_as 'ran longer than 3 s' \
		'0 passed, 2 failed, 0 skipped'
}

skips() {
	tap bad 1..3 'ok 1 - fine' 'ok 2 - on hardware # SKIP no board' 'ok 3 - silent # SKIP'
	fails_as 'does not allow: no board' '1 passed, 2 failed, 0 skipped'
	says '3 - silent: skipped without a reason'
	tap bad 1..2 'ok 1 - fine' 'ok 2 - on hardware # SKIP no board'
	echo 'bad | on * | needs a board' >"$P/tests/allowed-skips"
	run_ends 0 '1 passed, 0 failed, 1 skipped'
	says 'bad: 2 - on hardware: no board'
	echo 'bad | off * | needs a board' >"$P/tests/allowed-skips"
	fails_as 'does not allow: no board' '1 passed, 1 failed, 0 skipped'
	# A failed test does not pass because it is a skip.
	tap bad 1..1 'not ok 1 - on hardware # SKIP no board'
	echo 'bad | * | needs a board' >"$P/tests/allowed-skips"
	run_ends 1 '0 passed, 1 failed, 0 skipped'
}

skips_all() {
	tap bad '1..0 # SKIP no board'
	fails_as 'does not allow: no board' '0 passed, 1 failed, 0 skipped'
	echo 'bad | * | needs a board' >"$P/tests/allowed-skips"
	run_ends 0 '0 passed, 0 failed, 1 skipped'
}

bad_list() {
	tap good 1..1 'ok 1'
	echo 'good | *' >"$P/tests/allowed-skips"
	run_ends 2 "run: error: tests/allowed-skips:1: 'good | *' is not ROW | TEST | REASON;\
 give all three"
	echo 'gone | * | no board' >"$P/tests/allowed-skips"
	run_ends 2 'run: error: tests/allowed-skips:1: there is no row gone; delete the line'
}

# meets NAME OTHER LINE...: a test that waits until the other one has started, and fails if it does
# not; then these shell lines
meets() {
	toy "$1" "touch $TMP/$1" 'echo 1..1' \
		"wait='until test -e $TMP/$2; do sleep 0.1; done'" \
		"timeout $WAIT sh -c \"\$wait\" || printf 'not '" 'echo ok 1' "${@:3}"
}

together() {
	meets one two
	meets two one
	run_ends 0 '2 passed, 0 failed, 0 skipped'
	rm "$TMP/one" "$TMP/two"
	meets two three
	meets three one
	JOBS=3 run_ends 0 '3 passed, 0 failed, 0 skipped'
	JOBS=all run_ends 2 'run: error: JOBS=all; give a number from 1'
}

# The second row wants the others to have ended. Without the mark it has to end before the third can
# start, because the first waits for the third, and two rows run at a time.
alone() {
	rm -f "$TMP"/{one,three}*
	meets one three "touch $TMP/one-ended"
	SET='core alone' toy two 'echo 1..1' \
		"test -e $TMP/one-ended && test -e $TMP/three-ended || printf 'not '" 'echo ok 1'
	meets three one "touch $TMP/three-ended"
	run_ends 0 '3 passed, 0 failed, 0 skipped'
	rm "$TMP"/{one,three}*
	sed -i 's/core alone/core/' "$P/tests/table"
	run_ends 1 '2 passed, 1 failed, 0 skipped'
}

# When the run has ended, the test's own trap must have run, and its child must be gone.
interrupted() {
	local pid status=0
	toy slow "trap 'kill \$child; wait \$child; touch $TMP/cleaned; exit 1' TERM" \
		'sleep infinity & child=$!' "echo \$child >$TMP/child" 'wait'
	rm -f "$TMP/cleaned" "$TMP/child"
	"$P/tests/run" >"$TMP/run" 2>&1 &
	pid=$!
	timeout "$WAIT" sh -c "until test -s $TMP/child; do sleep 0.1; done"
	kill -TERM "$pid"
	wait "$pid" || status=$?
	echo "status $status, child $(cat "$TMP/child")"
	[ "$status" = 143 ]
	[ -e "$TMP/cleaned" ]
	[ ! -e "/proc/$(cat "$TMP/child")" ]
}

check 'passed tests are counted, their TAP is kept' all_passed
check 'a failed test is shown with its diagnostics, its logs and the command that reruns it' \
	one_failed
check 'a program without a plan fails' fails_as 'printed no plan' \
	'1 passed, 1 failed, 0 skipped' 'ok 1'
check 'a program that ends before its plan fails' fails_as \
	'Too few tests run (expected 3, got 2)' '2 passed, 1 failed, 0 skipped' 1..3 'ok 1' 'ok 2'
check 'a program that prints a number twice fails' fails_as 'Duplicate test numbers' \
	'2 passed, 1 failed, 0 skipped' 1..2 'ok 1' 'ok 1'
check 'a program that runs no test fails' no_test
check 'a program that dies fails, and its last words are shown' died
check 'a bail-out fails, and the other programs run' bailed_out
check 'TODO fails' fails_as 'TODO is not allowed' '0 passed, 2 failed, 0 skipped' \
	1..2 'not ok 1 - a # TODO some day' 'ok 2 - b # TODO works already'
check 'a program that cannot be run fails' not_executable
check 'a program that hangs is ended and fails' ran_too_long
check 'a skip needs a reason and a line in allowed-skips' skips
check 'a skip of a whole program needs both, too' skips_all
check 'a wrong line in allowed-skips is an error' bad_list
check 'programs run together: two, or as many as JOBS says' together
check 'a row that is marked alone runs alone' alone
check 'an interrupted run ends its test, which cleans up' interrupted
finish
