#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Claim: VPMU_TIMEOUT_FACTOR is understood alike by all who read it, a value that is no factor is
# refused with one error, and nobody reads it by a parser of his own.
set -euo pipefail
# shellcheck source=tap.sh
. "$(dirname "$0")/tap.sh"

# what is set | 100 seconds by it, or nothing where it is refused
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
# Who may name the variable: both parsers, who hands it on, and this test.
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

# understands PARSER: all of the table
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

# Python's read of the environment, and a shell's or a makefile's of the variable
nobody_else_reads() {
	local found
	found=$(git -C "$TOP" grep -lE \
		'(environ|getenv).*VPMU_TIMEOUT_FACTOR|[$][({]+VPMU_TIMEOUT_FACTOR' -- ':!docs' |
		sort | xargs)
	[ "$found" = "$READERS" ] || { echo "expected $READERS, got $found"; return 1; }
}

# refuses CMD...: before it does anything
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
check "tests/demo/demo.py refuses" refuses "$PYTHON" "$TOP/tests/demo/demo.py"
check "testbed/run refuses" refuses "$TOP/testbed/run" -- true
check "tests/run refuses" refuses "$TOP/tests/run" deadlines
finish
