#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Claim: tests/run --full keeps the verdict of a row that passed. No failure, interruption or other
# way to run a row leaves a wrong verdict. On toy tests; ledger-inputs.t tests what a row depends
# on.
set -euo pipefail
# shellcheck source=toy-ledger.sh
. "$(dirname "$0")/toy-ledger.sh"

WAIT=$(scale_timeout 30)
ONE_TO_FIX='1 left: the same command again, after you fixed what failed'

kept() {
	passes one
	passes two
	runs 0 '2 of 2 done: complete' one two
	runs 0 '2 of 2 done: complete'
	says '2 of 2 rows have passed with these contents, 0 to run'
	SET=full passes three
	runs 0 '3 of 3 done: complete' three
	# The core set is run each time.
	run_ends 0 '2 passed, 0 failed, 0 skipped'
}

# ledger_says REGEX: uses a file, as grep -q would close a pipe early and so end the writer
ledger_says() {
	"$P/tests/run" --ledger >"$TMP/ledger" || { echo "the ledger was not printed"; return 2; }
	grep -qE -- "$1" "$TMP/ledger"
}

failed() {
	passes one
	toy two "echo two >>$RAN" 'echo 1..1' 'echo not ok 1'
	runs 1 "1 of 2 done, $ONE_TO_FIX" one two
	says 'two: 1'
	runs 1 "1 of 2 done, $ONE_TO_FIX" two
	ledger_says '^two +FAILED '
	passes two
	runs 0 '2 of 2 done: complete' two
	ledger_says '^two +passed ' && ! grep -q FAILED "$TMP/ledger"
}

# A verdict no longer holds if one of its skips is no longer allowed.
skips() {
	tap one 1..2 'ok 1' 'ok 2 # SKIP no board'
	echo 'one | * | there is none' >"$P/tests/allowed-skips"
	run_ends 0 '1 of 1 done: complete' --full
	rm "$P/tests/allowed-skips"
	run_ends 1 "0 of 1 done, $ONE_TO_FIX" --full
}

killed() {
	local pid
	passes one
	SET='core alone' passes two "echo \$\$ >$TMP/pid" \
		"while [ -e $TMP/wait ]; do sleep 0.1; done"
	touch "$TMP/wait"
	rm -f "$TMP/pid"
	"$P/tests/run" --full >"$TMP/run" 2>&1 &
	pid=$!
	timeout "$WAIT" sh -c "until test -s $TMP/pid; do sleep 0.1; done"
	kill -KILL "$pid"
	rm "$TMP/wait"
	wait "$pid" || true
	timeout "$WAIT" sh -c "while test -e /proc/$(cat "$TMP/pid"); do sleep 0.1; done"
	"$P/tests/run" --ledger >"$TMP/run"
	cat "$TMP/run"
	grep -qE '^one +passed ' "$TMP/run"
	grep -qxE 'two +-' "$TMP/run"
	runs 0 '2 of 2 done: complete' two
}

# refused_for THING LINE...: a row with these lines has no verdict, because the thing changed
refused_for() {
	local thing=$1
	shift
	passes one "$@"
	runs 3 '0 of 1 done, 1 left: the same command again' one
	says "one: no verdict, for $thing changed while it ran"
}

# If a file changes meanwhile, it is unknown which contents ran.
changed_meanwhile() {
	echo 1 >"$P/data"
	refused_for data "cat $P/data" "echo 2 >$P/new" "mv $P/new $P/data"
	passes one "cat $P/data"
	runs 0 '1 of 1 done: complete' one
}

vanished_meanwhile() {
	echo 1 >"$P/data"
	refused_for data "cat $P/data" "rm $P/data"
}

listed_meanwhile() {
	mkdir -p "$P/folder"
	touch "$P/folder/old"
	refused_for folder/ "ls $P/folder" "touch $P/folder/new"
}

amended_meanwhile() {
	SET='core history' refused_for '(history)' \
		"git -C $P $IDENTITY commit -q --allow-empty --amend -m other"
}

# A commit costs only the verdicts of rows that run meanwhile.
committed_meanwhile() {
	echo 1 >"$P/data"
	git -C "$P" add data
	passes commits "git -C $P $IDENTITY commit -qam other"
	passes reads "git -C $P log -1"
	JOBS=1 runs 3 '1 of 2 done, 1 left: the same command again' commits reads
	says 'commits: no verdict, for .git changed while it ran'
}

# The row itself may replace an artifact; if something else does, it is unknown which one ran.
artifact_replaced() {
	local image=$P/build/artifacts/image
	mkdir -p "${image%/*}"
	echo 1 >"$image"
	passes reads "cat $image" "touch $TMP/read" "until [ -e $TMP/done ]; do sleep 0.1; done"
	passes builds "until [ -e $TMP/read ]; do sleep 0.1; done" "echo 2 >$image.new" \
		"mv $image.new $image" "cat $image" "touch $TMP/done"
	JOBS=2 runs 3 '1 of 2 done, 1 left: the same command again' reads builds
	says 'reads: no verdict, for build/artifacts/image changed while it ran'
	runs 0 '2 of 2 done: complete' reads
}

budget() {
	passes short
	passes long
	passes alone
	sed -i 's/^long | core | 1 /long | core | 100 /; s/^alone | core /alone | full alone /' \
		"$P/tests/table"
	BUDGET=50s runs 3 '2 of 3 done, 1 left: the same command again' short alone
	BUDGET=50s runs 3 '2 of 3 done, 1 left: the same command again'
	says 'nothing fits BUDGET=50s: long is expected to take 100 s'
	BUDGET=2m runs 0 '3 of 3 done: complete' long
	# It uses the time that the row took.
	echo '# more' >>"$P/tests/long.t"
	BUDGET=50 runs 0 '3 of 3 done: complete' long
	BUDGET=soon run_ends 2 "run: error: BUDGET=soon; give a number of seconds,\
 or one of minutes as 25m, or of hours as 2h" --full
}

force() {
	passes one
	passes two
	runs 0 '2 of 2 done: complete' one two
	FORCE=1 runs 0 '2 of 2 done: complete' one two
	FORCE=1 ONLY=one runs 0 '2 of 2 done: complete' one
	FORCE=1 BUDGET=9m run_ends 2 "run: error: FORCE=1 with BUDGET= would run the same rows each\
 time; give ONLY= or name rows" --full
	# A row that passed fails now: its old verdict must go.
	touch "$TMP/broken"
	toy one "[ ! -e $TMP/broken ] || printf 'not '" 'echo ok 1' 'echo 1..1'
	rm "$TMP/broken"
	run_ends 0 '2 of 2 done: complete' --full
	touch "$TMP/broken"
	FORCE=1 run_ends 1 "1 of 2 done, $ONE_TO_FIX" --full
}

needs() {
	echo 'make image = sources/*' >"$P/tests/table"
	cat >"$P/Makefile" <<-END
		image:
			mkdir -p build/artifacts
			cat sources/a >build/artifacts/image
			echo made >>$TMP/made
	END
	sed -i '2,$s/^/\t/' "$P/Makefile"
	mkdir "$P/sources"
	echo 1 >"$P/sources/a"
	row one tests/one.t core image
	passes one "cat $P/build/artifacts/image"
	run_ends 0 '1 of 1 done: complete' --full --build
	run_ends 0 '1 of 1 done: complete' --full --build
	rm "$P/build/artifacts/image"
	run_ends 0 '1 of 1 done: complete' --full --build
	[ "$(grep -c made "$TMP/made")" = 1 ]
	# The image that is there was made of other sources, and must not count as the one that
	# passed.
	echo 2 >"$P/sources/a"
	run_ends 0 '1 of 1 done: complete' --full --build
	echo 1 >"$P/sources/a"
	run_ends 0 '1 of 1 done: complete' --full --build
	[ "$(grep -c made "$TMP/made")" = 3 ]
	[ "$(grep -c one "$RAN")" = 2 ]
}

environment() {
	passes one
	runs 0 '1 of 1 done: complete' one
	SEED=5 runs 0 '1 of 1 done: complete' one
	runs 0 '1 of 1 done: complete'
	echo 1 >"$TMP/image"
	VPMU_IMAGE=$TMP/image runs 0 '1 of 1 done: complete' one
	VPMU_IMAGE=$TMP/image runs 0 '1 of 1 done: complete'
	echo 2 >"$TMP/image"
	VPMU_IMAGE=$TMP/image runs 0 '1 of 1 done: complete' one
	sed -i 's,tests/one.t$,tests/one.t argument,' "$P/tests/table"
	runs 0 '1 of 1 done: complete' one
}

printed() {
	passes one
	passes two
	run_ends 3 '1 of 2 done, 1 left: the same command again' --full one
	"$P/tests/run" --ledger >"$TMP/run"
	cat "$TMP/run"
	grep -qE '^one +passed +[0-9.]+  20[0-9T:+-]+  [0-9a-f]{16}$' "$TMP/run"
	grep -qxE 'two +-' "$TMP/run"
	echo '# more' >>"$P/tests/one.t"
	ledger_says '^one +changed '
}

check 'a row that passed runs again only by make check' kept
check 'a row that failed has no verdict' failed
check 'a row loses its verdict if a skip is no longer allowed' skips
check 'a killed run keeps verdicts of rows that ended, and the next run does the rest' killed
check 'a row has no verdict if its files changed while it ran' changed_meanwhile
check 'nor if a file that it read has vanished' vanished_meanwhile
check 'nor if a folder that it listed has another file' listed_meanwhile
check 'nor if a row about the history finds it amended' amended_meanwhile
check 'a commit costs no verdict of a row that runs later' committed_meanwhile
check 'a row has no verdict if another one replaced an artifact that it used' artifact_replaced
check 'BUDGET runs what fits, and the next one goes on' budget
check 'FORCE also runs rows that have passed' force
check 'what a row needs is built only if the row runs' needs
check 'other arguments and other seeds have verdicts of their own' environment
check 'the ledger shows which rows passed, failed and changed' printed
finish
