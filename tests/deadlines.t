#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Claim: all programs read VPMU_TIMEOUT_FACTOR alike, refuse a wrong value with one error, and have
# no parsers of their own. No program of ours gives timeout(1), or a wait of Python, a bare number.
set -euo pipefail
# shellcheck source=tap.sh
. "$(dirname "$0")/tap.sh"

# value | 100 seconds multiplied by it, or nothing if it is refused
VALUES='
|100
1|100
2|200
007|700
1000|100000
0.5|50
.5|50
2.25|225
0|
0.0|
-1|
+1|
1001|
2.|
.|
1e1|
0x2|
1_0|
 2|
2 |
2 3|
nan|
inf|
\062|
two|
'
# Files that may read the variable: both parsers, testbed/run, which passes it on, and this test.
READERS='scripts/lib.sh testbed/host.py testbed/run tests/deadlines.t'

by_shell() {
	bash -c '. "$1/scripts/lib.sh" && scale_timeout 100' shell "$TOP"
}

by_python() {
	"$PYTHON" -c 'import sys, host
try:
    print(f"{host.scale_timeout(100):g}")
except host.HostError as error:
    sys.exit(f"python: error: {error}")'
}

# understands PARSER: it gives what the table says
understands() {
	local value wanted
	while IFS='|' read -r value wanted; do
		export VPMU_TIMEOUT_FACTOR=$value
		if [ -n "$wanted" ]; then
			[ "$("$1")" = "$wanted" ] ||
				{ echo "'$value': expected $wanted, got $("$1")"; return 1; }
		else
			fails_with "VPMU_TIMEOUT_FACTOR is '$value'; give a number above 0,\
 at most 1000, such as 2 or 0.5" "$1"
		fi
	done < <(sed '1d;$d' <<<"$VALUES")
}

# Finds Python and C that read the environment, and shell and makefiles that expand the variable.
nobody_else_reads() {
	local found
	found=$(git -C "$TOP" grep -lE \
		'(environ|getenv).*VPMU_TIMEOUT_FACTOR|[$][({]+VPMU_TIMEOUT_FACTOR' -- ':!docs' |
		sort | xargs)
	[ "$found" = "$READERS" ] || { echo "expected $READERS, got $found"; return 1; }
}

# Deadlines that no factor reaches: a number for timeout(1) or as `timeout=`, and a number or
# constant for a wait of Python. Our own functions with a parameter `timeout` scale it, so they may
# have constants, and numbers as its default.
UNSCALED='(^|[^-_[:alnum:]])timeout( +-[^ ]+)* +[.0-9]'
UNSCALED+='|\.(wait|settimeout|communicate)\((timeout=)?[A-Z0-9]|[(,] *timeout=[.0-9]'
BAD_LINES='timeout 60 make
timeout -k 1 LIMIT make
run("timeout 3 cat")
process.wait(5)
ended.wait(GRACE)
process.communicate(timeout=WAIT)
sock.settimeout(TIMEOUT)
subprocess.run(["make"], timeout=60)'
GOOD_LINES='timeout -k GRACE LIMIT make
testbed/run --timeout 1800 -- true
status 124 as timeout(1) has it
process.wait(scaled(WAIT))
def run(script, timeout=1800):
vm.wait_for_console("PASS", timeout=START)'

find_unscaled() {
	grep -nE "$UNSCALED" "$@" | grep -vE '^[^ ]* *def '
}

bad_lines_are_found() {
	diff <(echo "$BAD_LINES") \
		<(printf '%s\n' "$BAD_LINES" "$GOOD_LINES" | find_unscaled | cut -d : -f 2-)
}

# The programs of tests/qemu that run in the emulated host get their TIMEOUT scaled.
all_are_scaled() {
	local files
	cd "$TOP"
	mapfile -t files < <(git ls-files .ci bench guests packages scripts testbed tests \
		':!*.md' ':!tests/deadlines.t' ':!tests/qemu/*.py')
	[ ${#files[@]} -gt 100 ]
	! find_unscaled "${files[@]}"
}

# refuses CMD...: CMD refuses the value before it does anything
refuses() {
	local said
	said=$(VPMU_TIMEOUT_FACTOR=many "$@" 2>&1) && return 1
	echo "got: $said"
	[ "$(wc -l <<<"$said")" = 1 ]
	grep -qxE "[a-z./]+: error: VPMU_TIMEOUT_FACTOR is 'many'; give .*" <<<"$said"
}

PYTHON=$("$TOP/scripts/venv")/bin/python
check "scripts/lib.sh" understands by_shell
check "testbed/host.py" understands by_python
check "no other parser" nobody_else_reads
check "each deadline is scaled" all_are_scaled
check "deadlines that are not scaled are found" bad_lines_are_found
check "tests/demo/demo.py refuses" refuses "$PYTHON" "$TOP/tests/demo/demo.py"
check "testbed/run refuses" refuses "$TOP/testbed/run" -- true
check "tests/run refuses" refuses "$TOP/tests/run" deadlines
finish
