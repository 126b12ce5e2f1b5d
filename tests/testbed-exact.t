#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Claim: testbed/run --exact passes on the output of its command and nothing else; its host has KVM
# and its topology's PMUs; each kind of failure gives one error with the console log's path and a
# status of its own, and leaves no process or file behind.
set -euo pipefail
# shellcheck source=testbed.sh
. "$(dirname "$0")/testbed.sh"

# exact [OPTION]... WORD...: the exact host runs testbed-exact with WORDs
exact() {
	local -a options=()
	while [[ $1 = --* ]]; do
		options+=("$1" "$2")
		shift 2
	done
	run --exact --file "$TMP/testbed-exact" "${options[@]}" -- testbed-exact "$@"
}

passes_streams() {
	local status=0
	exact streams >"$TMP/stdout" 2>"$TMP/stderr" <<<input || status=$?
	expect 7 "$status" status && expect error "$(cat "$TMP/stderr")" stderr || return
	perl -e 'print pack("C*", map { $_ & 255 } 0 .. 199999)' | cmp - "$TMP/stdout"
}

copies_files() {
	mkdir -p "$TMP/tree/deep"
	echo text >"$TMP/tree/deep/data"
	chmod 640 "$TMP/tree/deep/data"
	ln -sf "$TMP/tree/deep/data" "$TMP/data-link"
	exact --file "$TMP/tree" --file "$TMP/data-link" modes tree/deep/data data-link \
		testbed-exact >"$TMP/stdout"
	printf '100640 0 5 %s\n' tree/deep/data data-link >"$TMP/wanted"
	echo "100755 0 $(stat -c %s "$TMP/testbed-exact") testbed-exact" >>"$TMP/wanted"
	diff "$TMP/wanted" "$TMP/stdout"
}

# The command's output is still passed on.
report_is_noticed() {
	local status=0
	exact report >"$TMP/stdout" 2>"$TMP/stderr" || status=$?
	cat "$TMP/stderr"
	expect 123 "$status" status && expect output "$(cat "$TMP/stdout")" stdout || return
	grep -F "the kernel reported a bug; 'testbed-exact' ended with status 0" "$TMP/stderr"
}

# The main loop must not wait for CPUs that it has stopped itself, testbed/exact-turns.c.
ends_when_switched_off() {
	exits 7 exact --log "$TMP/console" streams >/dev/null </dev/null || return
	grep -F 'reboot: Power down' "$TMP/console" && ! grep -F 'exact-turns:' "$TMP/console"
}

keeps_its_limits() {
	VPMU_TIMEOUT_FACTOR=2 exits 7 exact --log "$TMP/scaled" streams >"$TMP/stdout" </dev/null
	grep -F 'Kernel command line: ' "$TMP/scaled" >"$TMP/line"
	expect rcupdate.rcu_cpu_stall_timeout=120 "$(limits "$TMP/line")" "limits of its kernel"
}

# misused TEXT OPTION...: one error with TEXT, and no host
misused() {
	local text=$1
	shift
	exits 2 "$RUN" "$@" >"$TMP/out" 2>"$TMP/stderr" </dev/null || return
	cat "$TMP/stderr"
	expect 1 "$(grep -c 'error: ' "$TMP/stderr")" "number of errors" &&
		grep -qF -- "$text" "$TMP/stderr"
}

aarch64-linux-gnu-gcc -O2 -Wall -Werror -static -o "$TMP/testbed-exact" "$TOP/tests/testbed-exact.c"

check "stdin is empty, stdout, stderr and exit status pass" passes_streams
check "arguments pass unchanged" passes_arguments exact arguments
check "files, folders and modes are copied" copies_files
check "a command that a signal ends" exits 143 exact signal
check "a command that is missing" exits 127 run --exact -- none
check "KVM" exits 0 run --exact --file "$TMP/testbed-kvm" -- testbed-kvm
check "the emulator ends as the host is switched off" ends_when_switched_off
check "its kernel's clock is its own: no factor scales its limits" keeps_its_limits
check "a panic while the command runs" refused 123 "sysrq triggered crash" exact crash
check "a report of the kernel that is no panic" report_is_noticed
check "a panic at boot" refused 122 "Unable to mount root fs" exact --append rdinit=/nonexistent \
	streams
check "a host that never boots" refused 122 "did not boot within its deadline of" \
	env VPMU_IMAGE="$TMP/bogus-image" "$RUN" --exact --append "$MARK" --boot-timeout 3 -- none
check "a host without KVM" refused 122 "the host lacks: /dev/kvm" exact --append kvm-arm.mode=none \
	streams
check "a host without PMUs" refused 122 "the host lacks: PMUs (0 of 2)" \
	exact --append initcall_blacklist=armv8_pmu_driver_init streams
check "a host that lacks CPUs" refused 122 "the host lacks: CPUs (3 of 4)" exact \
	--append maxcpus=3 streams
check "a command that does not end" refused 124 "'testbed-exact' did not end within its deadline" \
	exact --timeout 3 loop
check "a file that does not exist" refused 125 "$TMP/none, which is to be copied, does not exist" \
	run --exact --file "$TMP/none" -- none
check "a device as a file" refused 125 "/dev/null cannot be copied" run --exact \
	--file /dev/null -- none
check "without a command" misused "has no login shell" --exact
check "with a disk" misused "runs without a disk" --exact --disk "$TMP/none" -- none
check "no process and no file is left behind" nothing_left
finish
