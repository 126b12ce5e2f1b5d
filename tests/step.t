#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Claim: each step of a make run prints how far the run is, and a table at the end has the times of
# all steps. On a toy Makefile.
set -euo pipefail
# shellcheck source=tap.sh
. "$(dirname "$0")/tap.sh"

PROJECT=$TMP/project

# The toy Makefile has the head of the real one.
make_project() {
	mkdir -p "$PROJECT"
	cp -r "$TOP/scripts" "$TOP/upstream.conf" "$PROJECT"
	mkdir -p "$PROJECT/qemu" "$PROJECT/linux"
	sed '/^\.PHONY/,$d' "$TOP/Makefile" >"$PROJECT/Makefile"
	cat >>"$PROJECT/Makefile" <<'END'
.PHONY: all one two three bad single
all: one two three
	@scripts/step --table
one two:
	$(STEP) 'step $@' bash -c '. scripts/lib.sh; step "inside $@"; read -r <gate-$@'
three: one two
	$(STEP) 'step three' bash -c 'for ((i = 0; i < 200000; i++)); do :; done'
bad:
	$(STEP) 'step bad' bash -c 'echo words >&2; exit 7'
single:
	$(STEP) 'step single' make -f sub.mk
END
	printf 'all:\n\t@echo sub-make\n' >"$PROJECT/sub.mk"
	mkfifo "$PROJECT/gate-one" "$PROJECT/gate-two"
}

# Neither step ends before both have begun.
two_at_a_time() {
	local run
	timeout "$(scale_timeout 60)" make --no-print-directory -C "$PROJECT" \
		all >"$TMP/stdout" 2>"$TMP/stderr" &
	run=$!
	# a write to a gate waits until a step reads it
	# shellcheck disable=SC2016 # the other shell's
	timeout "$(scale_timeout 60)" bash -c 'echo go >"$1/gate-two"; echo go >"$1/gate-one"' \
		bash "$PROJECT"
	wait "$run"
	cat "$TMP/stdout" "$TMP/stderr"
	grep -qE '^==> \[1/3, [0-9]+ s\] step (one|two)$' "$TMP/stderr"
	grep -qE '^==> \[2/3, [0-9]+ s\] step (one|two)$' "$TMP/stderr"
	grep -qE '^==> \[3/3, [0-9]+ s\] step three$' "$TMP/stderr"
	grep -qE '^==> \[[12]/3, [0-9]+ s\] inside one$' "$TMP/stderr"
}

# The table of the last run has a row for each step and one for all, with the CPU time of the steps'
# programs.
table() {
	[ "$(awk 'NR > 1 { print $(NF - 2) }' "$TMP/stdout" | sort | xargs)" = 'all one three two' ]
	awk '$2 == "three" { found = $4 >= 0 && $3 >= 0 } END { exit !found }' "$TMP/stdout"
	cmp "$TMP/stdout" "$PROJECT/build/results/times"
	[ "$(awk -F '\t' '$1 == "step three" { print ($3 > 0) }' "$PROJECT"/build/steps/*/times)" \
		= 1 ]
}

fails() {
	if make --no-print-directory -C "$PROJECT" bad >"$TMP/stdout" 2>"$TMP/stderr"; then
		return 1
	fi
	cat "$TMP/stderr"
	grep -qx words "$TMP/stderr"
	grep -q 'Error 7' "$TMP/stderr"
}

# A make that a step runs does not get the flags of the outer make.
own_make() {
	make --no-print-directory -C "$PROJECT" single >"$TMP/stdout" 2>"$TMP/stderr"
	cat "$TMP/stderr"
	grep -qx sub-make "$TMP/stdout"
	[ "$(grep -c warning "$TMP/stderr")" = 0 ]
}

alone() {
	[ "$(env -u VPMU_RUN "$PROJECT/scripts/step" name echo words)" = words ]
	# shellcheck disable=SC2016 # the other shell's
	env -u VPMU_RUN bash -c '. "$1"; step plain' bash "$PROJECT/scripts/lib.sh" 2>"$TMP/stderr"
	grep -qx '==> plain' "$TMP/stderr"
}

unset VPMU_RUN VPMU_STEP VPMU_START VPMU_GOALS MAKEFLAGS MAKELEVEL
make_project
check 'steps are numbered, and two run at a time' two_at_a_time
check 'the table has all steps and their CPU time' table
check 'a step that fails, fails the run' fails
check 'a make that a step runs does not get our flags' own_make
check 'outside a make run, step only runs its command' alone
finish
