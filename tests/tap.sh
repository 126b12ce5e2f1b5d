# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
# Prints TAP for tests written in shell. TMP is the test's own folder. A test may define before_each
# and nothing_left.

# shellcheck source=../scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../scripts/lib.sh"

TMP=$(mktemp -d)
trap 'rm -rf "$TMP"' EXIT
COUNT=0
FAILED=0

before_each() {
	:
}

# Fails when a command that failed has left something behind.
nothing_left() {
	:
}

# fails_with TEXT CMD...: CMD fails with one error, which holds TEXT, and leaves nothing behind
fails_with() {
	local text=$1
	shift
	if "$@" >"$TMP/err" 2>&1; then
		echo "succeeded: $*"
		return 1
	fi
	cat "$TMP/err"
	[ "$(grep -c '^[a-z-]*: error:' "$TMP/err")" = 1 ]
	grep -qF -- "$text" "$TMP/err"
	nothing_left
}

# result ok|"not ok" NAME
result() {
	COUNT=$((COUNT + 1))
	echo "$1 $COUNT - $2"
	[ "$1" = ok ] || FAILED=1
}

# check NAME CMD...: runs one test, which passes if CMD ends with 0. If CMD is a function, each of
# its lines has to succeed.
check() {
	local name=$1 status
	shift
	# Not as a condition: that would switch set -e off.
	set +e
	(
		set -e
		before_each
		"$@"
	) >"$TMP/out" 2>&1
	status=$?
	set -e
	if [ "$status" -eq 0 ]; then
		result ok "$name"
	else
		result "not ok" "$name"
		sed 's/^/# /' "$TMP/out"
	fi
}

# For test programs that use GLib, which otherwise draws a seed in each run
GLIB_SEED=R02S00000000000000000000000000000001

# has_seed FILE: the TAP in FILE is of such a program, with that seed
has_seed() {
	grep -qx "# random seed: $GLIB_SEED" "$1" ||
		{ echo "expected the random seed $GLIB_SEED, got: $(grep seed "$1")"; return 1; }
}

# rows TABLE: its rows without comments, one a line; a line that begins with a tab continues the row
# before it
rows() {
	sed '/^#/d' <<<"$1" | sed -z 's/\n\t//g; s/^\n*//; s/\n*$/\n/'
}

# skip NAME REASON: a test that cannot run here; tests/allowed-skips has to name it
skip() {
	result ok "$1 # SKIP $2"
}

# Prints the plan, and ends with the exit status.
finish() {
	echo "1..$COUNT"
	exit "$FAILED"
}
