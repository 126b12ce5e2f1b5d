#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Claim: testbed/run passes on what its command says and nothing else, each host is fresh and has KVM and its topology's PMUs, and
# whatever goes wrong ends with one error, the console log's path, a status of its own, and no process or file left behind.
# The same holds for --exact, whose host is another one.
# Boots about thirty hosts; where the kernel does not matter, the stock one.
set -euo pipefail
# shellcheck source=../scripts/lib.sh
. "$(dirname "$0")/../scripts/lib.sh"
# shellcheck source=tap.sh
. "$(dirname "$0")/tap.sh"

RUN=$TOP/testbed/run
TMP=$(mktemp -d)
trap 'rm -rf "$TMP"' EXIT
# All that a run leaves would be found here, and by this word on the command line of its processes.
export TMPDIR=$TMP/tmpdir
MARK=vpmu.test=$$
WAIT=$(scale_timeout 120)

run() {
	"$RUN" --kernel stock --append "$MARK" "$@"
}

# exact [OPTION]... WORD...: the exact host runs testbed-exact with WORDs
exact() {
	local -a options=()
	while [[ $1 = --* ]]; do
		options+=("$1" "$2")
		shift 2
	done
	run --exact --file "$TMP/testbed-exact" "${options[@]}" -- testbed-exact "$@"
}

# expect WANTED GOT WHAT
expect() {
	[ "$1" = "$2" ] || { printf '%s: expected <%s>, got <%s>\n' "$3" "$1" "$2"; return 1; }
}

# refused STATUS TEXT CMD...: one error with TEXT in it and nothing on stdout; past the boot, it also names a log that exists
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

passes_streams() {
	local status=0
	run -- sh -c 'cat; echo error >&2; exit 7' >"$TMP/stdout" 2>"$TMP/stderr" <<<input || status=$?
	expect 7 "$status" status && expect input "$(cat "$TMP/stdout")" stdout && expect error "$(cat "$TMP/stderr")" stderr
}

# 255 is also ssh's word for a lost connection.
passes_255() {
	local status=0
	run -- sh -c 'exit 255' || status=$?
	expect 255 "$status" status
}

passes_arguments() {
	local -a words=("a  b" "it's" "\"\$HOME\"" "*" "" $'two\nlines' "back\\slash" "--" "-c" ";reboot")
	run -- printf '%s\0' "${words[@]}" >"$TMP/stdout"
	printf '%s\0' "${words[@]}" | cmp - "$TMP/stdout"
}

passes_factor() {
	VPMU_TIMEOUT_FACTOR=2.5 run -- printenv VPMU_TIMEOUT_FACTOR >"$TMP/stdout"
	expect 2.5 "$(cat "$TMP/stdout")" "VPMU_TIMEOUT_FACTOR in the host"
}

copies_files() {
	mkdir -p "$TMP/folder/deep"
	printf '#!/bin/sh\necho ran\n' >"$TMP/program"
	echo text >"$TMP/folder/deep/data"
	chmod 755 "$TMP/program"
	chmod 640 "$TMP/folder/deep/data"
	ln -sf program "$TMP/link"
	run --file "$TMP/program" --file "$TMP/folder" --file "$TMP/link" -- \
		sh -c './program && ./link && stat -c "%a %U %F %n" program link folder/deep/data && cat folder/deep/data' >"$TMP/stdout"
	diff - "$TMP/stdout" <<-EOF
		ran
		ran
		755 root regular file program
		755 root regular file link
		640 root regular file folder/deep/data
		text
	EOF
}

# has_pmus TOPOLOGY "NAME CPUS, ..." [OPTION]...
has_pmus() {
	local topology=$1 wanted=$2
	shift 2
	run --topology "$topology" --file "$TMP/testbed-kvm" "$@" -- \
		sh -c 'cd /sys/bus/event_source/devices && grep -H . */cpus | sed "s,/cpus:, ,"; ~/testbed-kvm' >"$TMP/stdout"
	expect "$wanted, kvm api=12 pmu=yes" "$(paste -sd, "$TMP/stdout" | sed 's/,/, /g')" "PMUs and KVM"
}

kernel_is() {
	local got
	got=$("$RUN" --kernel "$1" -- sh -c 'uname -r && cat /proc/sys/kernel/panic_on_warn')
	expect "$LINUX_VERSION-$1 1" "${got//$'\n'/ }" "release and panic_on_warn"
}

hosts_are_fresh() {
	local before
	before=$(sha256sum "$ARTIFACTS/rootfs.img")
	run -- sh -c 'echo changed >/etc/hostname && sync' && run -- grep -x vpmu-host /etc/hostname || return
	expect "$before" "$(sha256sum "$ARTIFACTS/rootfs.img")" "digest of the image"
}

# Each waits in the host until the other one runs, too.
parallel_runs() {
	local name status=0
	mkfifo "$TMP/a" "$TMP/b"
	run -- sh -c 'echo; cat >/dev/null; cat /proc/sys/kernel/random/boot_id' <"$TMP/a" >"$TMP/boot-id-a" &
	run -- sh -c 'echo; cat >/dev/null; cat /proc/sys/kernel/random/boot_id' <"$TMP/b" >"$TMP/boot-id-b" &
	exec 7>"$TMP/a" 8>"$TMP/b"
	for name in a b; do
		wait_for test -s "$TMP/boot-id-$name" || status=1
	done
	exec 7>&- 8>&-
	wait
	head "$TMP/boot-id-a" "$TMP/boot-id-b"
	# an empty line and two boot ids
	[ "$status" = 0 ] && expect 3 "$(sort -u "$TMP/boot-id-a" "$TMP/boot-id-b" | wc -l)" "different lines"
}

# wait_for CMD...: until CMD succeeds, or a deadline
wait_for() {
	local end=$((SECONDS + WAIT))
	until "$@"; do
		[ "$SECONDS" -lt "$end" ] || { echo "waited in vain for: $*"; return 1; }
		sleep 0.1
	done
}

# is_booting PID: the kernel of this testbed/run's host; what its log begins with is there before the emulator is. PIDs come again.
is_booting() {
	find "$BUILD/logs" -name "host-stock-*-$1.log" -newer "$TMP/stdout" -exec grep -l 'Booting Linux' {} + | grep -q .
}

# ended_by SIGNAL STATUS WHEN: SIGNAL during the boot or while the command runs
ended_by() {
	local signal=$1 wanted=$2 when=$3 status=0 pid
	: >"$TMP/stdout"
	# not the function: the signal is for the program itself
	"$RUN" --kernel stock --append "$MARK" -- sh -c 'echo started; sleep 1000' >"$TMP/stdout" 2>"$TMP/stderr" </dev/null &
	pid=$!
	if [ "$when" = boot ]; then
		# Not earlier: a QEMU that is ended while it opens its disks leaves a temporary file, which no handler of ours could know.
		wait_for is_booting "$pid" || return
	else
		wait_for grep -q started "$TMP/stdout" || return
	fi
	kill "-$signal" "$pid"
	wait "$pid" || status=$?
	expect "$wanted" "$status" status && wait_for nothing_left >/dev/null && nothing_left
}

# On a terminal, as a person has it.
gives_shell() {
	local status=0
	script -qec "$RUN --kernel stock --append $MARK" /dev/null <<<$'test -t 0 && exit 9\n' >"$TMP/stdout" || status=$?
	expect 9 "$status" "exit status of the shell" || { cat "$TMP/stdout"; return 1; }
}

names_missing_artifacts() {
	mkdir -p "$TMP/project"
	cp -r "$TOP/testbed" "$TMP/project"
	refused 125 "build/artifacts/Image-stock is missing; run 'testbed/build-kernel stock'" "$TMP/project/testbed/run" --kernel stock -- true
}

exact_passes_streams() {
	local status=0
	exact streams >"$TMP/stdout" 2>"$TMP/stderr" <<<input || status=$?
	expect 7 "$status" status && expect error "$(cat "$TMP/stderr")" stderr || return
	perl -e 'print pack("C*", map { $_ & 255 } 0 .. 199999)' | cmp - "$TMP/stdout"
}

exact_passes_arguments() {
	local -a words=("a  b" "it's" "\"\$HOME\"" "*" "" $'two\nlines' "back\\slash" "--" "-c" ";reboot")
	exact arguments "${words[@]}" >"$TMP/stdout"
	printf '%s\0' "${words[@]}" | cmp - "$TMP/stdout"
}

# exits STATUS CMD...
exits() {
	local wanted=$1 status=0
	shift
	"$@" || status=$?
	expect "$wanted" "$status" status
}

exact_copies_files() {
	mkdir -p "$TMP/tree/deep"
	echo text >"$TMP/tree/deep/data"
	chmod 640 "$TMP/tree/deep/data"
	ln -sf "$TMP/tree/deep/data" "$TMP/data-link"
	exact --file "$TMP/tree" --file "$TMP/data-link" modes tree/deep/data data-link testbed-exact >"$TMP/stdout"
	printf '100640 0 5 %s\n' tree/deep/data data-link >"$TMP/wanted"
	echo "100755 0 $(stat -c %s "$TMP/testbed-exact") testbed-exact" >>"$TMP/wanted"
	diff "$TMP/wanted" "$TMP/stdout"
}

# What the command printed is passed on even so.
exact_report_is_noticed() {
	local status=0
	exact report >"$TMP/stdout" 2>"$TMP/stderr" || status=$?
	cat "$TMP/stderr"
	expect 123 "$status" status && expect output "$(cat "$TMP/stdout")" stdout || return
	grep -F "the kernel reported a bug; 'testbed-exact' ended with status 0" "$TMP/stderr"
}

# misused TEXT OPTION...: one error with TEXT, and no host
misused() {
	local text=$1
	shift
	exits 2 "$RUN" "$@" >"$TMP/out" 2>"$TMP/stderr" </dev/null || return
	cat "$TMP/stderr"
	expect 1 "$(grep -c 'error: ' "$TMP/stderr")" "number of errors" && grep -qF -- "$text" "$TMP/stderr"
}

mkdir -p "$TMPDIR"
aarch64-linux-gnu-gcc -O2 -Wall -Werror -static -o "$TMP/testbed-kvm" "$TOP/tests/testbed-kvm.c"
aarch64-linux-gnu-gcc -O2 -Wall -Werror -static -o "$TMP/testbed-exact" "$TOP/tests/testbed-exact.c"
head -c 1M /dev/zero >"$TMP/bogus-image"

check "stdin, stdout, stderr and exit status pass" passes_streams
check "exit status 255 passes" passes_255
check "arguments pass unchanged" passes_arguments
check "the factor of deadlines passes" passes_factor
check "files, folders and modes are copied" copies_files
check "biglittle has two PMUs" has_pmus biglittle "armv8_cortex_a53 0-1, armv8_cortex_a72 2-3"
check "tricluster has three PMUs" has_pmus tricluster "armv8_cortex_a55 0-1, armv8_cortex_a78 2-3, armv8_cortex_x1 4-5"
check "homogeneous has one PMU" has_pmus homogeneous "armv8_cortex_a72 0-3"
check "biglittle counting instructions" has_pmus biglittle "armv8_cortex_a53 0-1, armv8_cortex_a72 2-3" --icount
check "stock kernel, where a warning is a panic" kernel_is stock
check "patched kernel, where a warning is a panic" kernel_is patched
check "each host starts from the same image" hosts_are_fresh
check "parallel runs do not collide" parallel_runs
check "login shell on a terminal" gives_shell
# By the emulator's end: a deadline has another status.
check "a panic while the command runs" refused 123 "sysrq triggered crash" run -- sh -c 'echo c >/proc/sysrq-trigger; sleep 1000'
# Printed by a thread of the kernel, after all that is before it: long after the command has ended. The variable is the host's.
# shellcheck disable=SC2016
check "a report of the kernel that is no panic" refused 123 "the kernel reported a bug; 'sh' ended with status 0" \
	run -- sh -c 'for i in $(seq 300); do echo "not yet: $i" >/dev/kmsg; done; echo "BUG: not one" >/dev/kmsg'
check "a panic at boot" refused 122 "Requested init /nonexistent failed" run --append init=/nonexistent -- true
check "a host that never boots" refused 122 "did not boot within its deadline of" \
	env VPMU_IMAGE="$TMP/bogus-image" "$RUN" --append "$MARK" --boot-timeout 3 -- true
check "a device tree that does not exist" refused 125 "the device tree to boot with is '$TMP/none' (VPMU_TREE), which does not exist" \
	env VPMU_TREE="$TMP/none" "$RUN" -- true
check "a host without KVM" refused 122 "the host lacks: /dev/kvm" run --append kvm-arm.mode=none -- true
check "a host without PMUs" refused 122 "the host lacks: PMUs (0 of 2)" run --append initcall_blacklist=armv8_pmu_driver_init -- true
check "a host that lacks CPUs" refused 122 "the host lacks: CPUs (3 of 4)" run --append maxcpus=3 -- true
check "a command that does not end" refused 124 "'sleep' did not end within its deadline" run --timeout 3 -- sleep 1000
check "SIGINT while the command runs" ended_by INT 130 command
check "SIGINT during the boot" ended_by INT 130 boot
check "SIGTERM while the command runs" ended_by TERM 143 command
check "SIGKILL while the command runs" ended_by KILL 137 command
check "missing artifacts" names_missing_artifacts
check "a file that does not exist" refused 125 "$TMP/none, which is to be copied, does not exist" run --file "$TMP/none" -- true
check "exact: stdin is empty, stdout, stderr and exit status pass" exact_passes_streams
check "exact: arguments pass unchanged" exact_passes_arguments
check "exact: files, folders and modes are copied" exact_copies_files
check "exact: a command that a signal ends" exits 143 exact signal
check "exact: a command that is missing" exits 127 run --exact -- none
check "exact: KVM" exits 0 run --exact --file "$TMP/testbed-kvm" -- testbed-kvm
check "exact: a panic while the command runs" refused 123 "sysrq triggered crash" exact crash
check "exact: a report of the kernel that is no panic" exact_report_is_noticed
check "exact: a panic at boot" refused 122 "Unable to mount root fs" exact --append rdinit=/nonexistent streams
check "exact: a host that never boots" refused 122 "did not boot within its deadline of" \
	env VPMU_IMAGE="$TMP/bogus-image" "$RUN" --exact --append "$MARK" --boot-timeout 3 -- none
check "exact: a host without KVM" refused 122 "the host lacks: /dev/kvm" exact --append kvm-arm.mode=none streams
check "exact: a host without PMUs" refused 122 "the host lacks: PMUs (0 of 2)" \
	exact --append initcall_blacklist=armv8_pmu_driver_init streams
check "exact: a host that lacks CPUs" refused 122 "the host lacks: CPUs (3 of 4)" exact --append maxcpus=3 streams
check "exact: a command that does not end" refused 124 "'testbed-exact' did not end within its deadline" exact --timeout 3 loop
check "exact: a file that does not exist" refused 125 "$TMP/none, which is to be copied, does not exist" run --exact --file "$TMP/none" -- none
check "exact: a device as a file" refused 125 "/dev/null is not to be copied" run --exact --file /dev/null -- none
check "exact: without a command" misused "has no login shell" --exact
check "exact: with a disk" misused "runs without a disk" --exact --disk "$TMP/none" -- none
check "no process and no file is left behind" nothing_left
finish
