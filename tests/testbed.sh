# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
# Sourced by the tests of testbed/run: functions that run hosts and judge how they end.

# shellcheck source=tap.sh
. "$(dirname "${BASH_SOURCE[0]}")/tap.sh"

RUN=$TOP/testbed/run
# nothing_left finds files of a run in this folder, and its processes by MARK on their command
# lines.
export TMPDIR=$TMP/tmpdir
MARK=vpmu.test=$$

mkdir -p "$TMPDIR"
aarch64-linux-gnu-gcc -O2 -Wall -Werror -static -o "$TMP/testbed-kvm" "$TOP/tests/testbed-kvm.c"
head -c 1M /dev/zero >"$TMP/bogus-image"

run() {
	"$RUN" --kernel stock --append "$MARK" "$@"
}

# exits STATUS CMD...
exits() {
	local wanted=$1 status=0
	shift
	"$@" || status=$?
	expect "$wanted" "$status" status
}

# passes_arguments CMD...: CMD prints its arguments, each with a NUL behind it
passes_arguments() {
	local -a words=("a  b" "it's" "\"\$HOME\"" "*" "" $'two\nlines' "back\\slash" "--" "-c" \
		";reboot")
	"$@" "${words[@]}" >"$TMP/stdout"
	printf '%s\0' "${words[@]}" | cmp - "$TMP/stdout"
}

# limits FILE: the limits for hangs in a kernel's command line
limits() {
	grep -oE '[^ ]*(_timeout|_thresh)[^ ]*' "$1" | xargs
}

# expect WANTED GOT WHAT
expect() {
	[ "$1" = "$2" ] || { printf '%s: expected <%s>, got <%s>\n' "$3" "$1" "$2"; return 1; }
}

# refused STATUS TEXT CMD...: CMD ends with STATUS, prints one error with TEXT and nothing on
# stdout; unless STATUS is 125, the error names a log that exists
refused() {
	local wanted=$1 text=$2 status=0 log
	shift 2
	"$@" >"$TMP/stdout" 2>"$TMP/stderr" </dev/null || status=$?
	cat "$TMP/stderr"
	expect "$wanted" "$status" status || return
	expect "" "$(cat "$TMP/stdout")" stdout || return
	expect 1 "$(grep -c 'error: ' "$TMP/stderr")" "number of errors" || return
	grep -qF -- "$text" "$TMP/stderr" || { echo "not said: $text"; return 1; }
	[ "$wanted" = 125 ] && return
	log=$(sed -n 's/.*console log: //p' "$TMP/stderr")
	[ -s "$log" ] || { echo "the log does not exist: $log"; return 1; }
}

nothing_left() {
	local processes files
	processes=$(pgrep -f -- "$MARK" || true)
	files=$(find "$TMPDIR" -mindepth 1)
	expect "" "$processes" "processes left" && expect "" "$files" "files left"
}
