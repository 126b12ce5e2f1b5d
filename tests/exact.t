#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Claim: a program in the exact host and its kernel print the same bytes in each run, times
# included, whatever else the build machine does. How: each program runs twice; during the second
# run two loops keep the build machine busy, and tests/exact-late.c delays the emulator's threads.
#
#   tests/exact.t [GROUP]     the programs of a group below; core, if none is given
set -euo pipefail
# shellcheck source=tap.sh
. "$(dirname "$0")/tap.sh"

# Group, and arguments of tests/kernel/run; the bench has such a test of its own
PROGRAMS='
	core moves all
	calls attributes all
	calls random all COUNT=500
	calls reset all
	calls restore all
	calls restore nested --append kvm-arm.mode=nested
	calls unchanged all
	calls view all
	counts counting all
	counts counting default_pmu --kernel stock
	counts moves many --topology tricluster
	counts taken all
	counts unlike overlap --topology unlike-overlap
	interrupts overflow wraparound --append kvm-arm.wfi_trap_policy=notrap
	interrupts wrap all
	storm nested all --append kvm-arm.mode=nested
	storm storm exact SEED=1 STORM_SECONDS=2
'

# run_program NAME ARGUMENT...: leaves TMP/NAME, what it printed, and TMP/NAME.log, the console's
# lines
run_program() {
	local name=$1
	shift
	"$TOP/tests/kernel/run" "$@" --log "$TMP/console" >"$TMP/$name"
	# the first line is the emulator's command line, which names files of this run
	tail -n +2 "$TMP/console" >"$TMP/$name.log"
	rm "$TMP/console"
	[ -s "$TMP/$name" ] && [ -s "$TMP/$name.log" ]
}

same_in_each_run() {
	local -a loops=()
	run_program idle "$@"
	for _ in 1 2; do
		while :; do :; done &
		loops+=($!)
	done
	# expanded now: the trap runs when the local variable is gone
	# shellcheck disable=SC2064
	trap "kill ${loops[*]}" EXIT
	EMULATOR_PRELOAD=$TMP/late.so run_program busy "$@"
	diff "$TMP/idle" "$TMP/busy"
	diff "$TMP/idle.log" "$TMP/busy.log"
}

# Another build of the emulator may call other functions, and a library then does nothing.
replaces_functions() {
	local function functions
	nm -D --undefined-only "$ARTIFACTS/emulator/qemu-system-aarch64.bin" >"$TMP/calls"
	functions=$(nm -D --defined-only "$1" | awk '$2 == "T" { print $3 }')
	[ -n "$functions" ] || { echo "$1 replaces no function"; return 1; }
	for function in $functions; do
		grep -qE " U $function(@|$)" "$TMP/calls" ||
			{ echo "the emulator does not call $function()"; return 1; }
	done
}

leave_none_out() {
	local program missing=0
	while read -r program; do
		grep -qE "^	[a-z]+ $program " <<<"$PROGRAMS" ||
			{ echo "no group has $program"; missing=1; }
	done < <(sed -nE 's|.* tests/kernel/run ([a-z]+) .*|\1|p' "$TOP/tests/table" | sort -u)
	[ "$missing" = 0 ]
}

gcc -O2 -Wall -Wextra -Werror -shared -fPIC -o "$TMP/late.so" "$TOP/tests/exact-late.c"
group=${1-core}
while read -r of words; do
	[ "$of" = "$group" ] || continue
	read -ra arguments <<<"$words"
	check "$words" same_in_each_run "${arguments[@]}"
done <<<"$PROGRAMS"
[ "$COUNT" -gt 0 ] || die "there is no group '$group'; see tests/exact.t"
check "the groups have all programs that rows of the table run" leave_none_out
check "the emulator calls all functions that exact-turns.c replaces" replaces_functions \
	"$ARTIFACTS/exact-turns.so"
check "the emulator calls all functions that exact-late.c replaces" replaces_functions \
	"$TMP/late.so"
finish
