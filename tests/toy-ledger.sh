# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
# Sourced by tests of verdicts: makes toy-table.sh's project a git repository with a cache of its
# own.

# shellcheck source=toy-table.sh
. "$(dirname "${BASH_SOURCE[0]}")/toy-table.sh"

export VPMU_CACHE=$TMP/cache
# Python is to write and read bytecode, as it does by default.
unset BUDGET FORCE SEED PYTHONDONTWRITEBYTECODE PYTHONPYCACHEPREFIX
RAN=$TMP/ran

IDENTITY='-c user.name=tester -c user.email=tester@localhost'

commit() {
	# shellcheck disable=SC2086 # several words
	git -C "$1" $IDENTITY commit -qam toy "${@:2}"
}

before_each() {
	make_project
	rm -rf "$VPMU_CACHE" "$RAN"
	git -C "$P" init -q
	commit "$P" --allow-empty
	printf "%s\n" /build/ __pycache__/ >"$P/.gitignore"
}

# passes NAME LINE...: a row that passes if these shell lines do, and writes its name to RAN
passes() {
	local name=$1
	shift
	toy "$name" "echo $name >>$RAN" "$@" 'echo 1..1' 'echo ok 1'
}

# runs STATUS LAST-LINE NAME...: a full run ends so, and runs exactly these rows
runs() {
	local status=$1 last=$2
	shift 2
	rm -f "$RAN"
	touch "$RAN"
	run_ends "$status" "$last" --full
	diff <(sort "$RAN") <(printf '%s\n' "$@" | sed '/^$/d' | sort)
}
