#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Claim: testbed/run passes on the output of its command and nothing else; each host is fresh and
# has KVM and its topology's PMUs; each kind of failure gives one error with the console log's path
# and a status of its own, and leaves no process or file behind. Boots about thirty hosts, with the
# stock kernel where the kernel does not matter.
set -euo pipefail
# shellcheck source=testbed.sh
. "$(dirname "$0")/testbed.sh"

WAIT=$(scale_timeout 120)

passes_streams() {
	local status=0
	run -- sh -c 'cat; echo error >&2; exit 7' >"$TMP/stdout" 2>"$TMP/stderr" <<<input ||
		status=$?
	expect 7 "$status" status && expect input "$(cat "$TMP/stdout")" stdout &&
		expect error "$(cat "$TMP/stderr")" stderr
}

passes_factor() {
	VPMU_TIMEOUT_FACTOR=2.5 run -- sh -c 'printenv VPMU_TIMEOUT_FACTOR; cat /proc/cmdline' \
		>"$TMP/stdout"
	expect 2.5 "$(head -n 1 "$TMP/stdout")" "VPMU_TIMEOUT_FACTOR in the host"
	expect "rcupdate.rcu_cpu_stall_timeout=300 sysctl.kernel.hung_task_timeout_secs=300\
 sysctl.kernel.watchdog_thresh=25" "$(limits "$TMP/stdout")" "limits of the host's kernel"
}

copies_files() {
	mkdir -p "$TMP/folder/deep"
	printf '#!/bin/sh\necho ran\n' >"$TMP/program"
	echo text >"$TMP/folder/deep/data"
	chmod 755 "$TMP/program"
	chmod 640 "$TMP/folder/deep/data"
	ln -sf program "$TMP/link"
	run --file "$TMP/program" --file "$TMP/folder" --file "$TMP/link" -- \
		sh -c './program && ./link && stat -c "%a %U %F %n" program link folder/deep/data &&
			cat folder/deep/data' >"$TMP/stdout"
	diff - "$TMP/stdout" <<-EOF
		ran
		ran
		755 root regular file program
		755 root regular file link
		640 root regular file folder/deep/data
		text
	EOF
}

# has_pmus TOPOLOGY "NAME CPUS, ..." [OPTION]...: KVM makes no vCPU with a PMU on a CPU that has
# none, and CPU 0 has one
has_pmus() {
	local topology=$1 wanted=$2
	shift 2
	run --topology "$topology" --file "$TMP/testbed-kvm" "$@" -- \
		sh -c 'cd /sys/bus/event_source/devices && grep -H . */cpus | sed "s,/cpus:, ,"
			taskset -c 0 ~/testbed-kvm' >"$TMP/stdout"
	expect "$wanted, kvm api=12 pmu=yes" "$(paste -sd, "$TMP/stdout" | sed 's/,/, /g')" \
		"PMUs and KVM"
}

kernel_is() {
	local got version
	version=$(tree_version linux)
	got=$("$RUN" --kernel "$1" -- sh -c 'uname -r && cat /proc/sys/kernel/panic_on_warn')
	expect "$version-$1 1" "${got//$'\n'/ }" "release and panic_on_warn"
}

hosts_are_fresh() {
	local before
	before=$(sha256sum "$ARTIFACTS/rootfs.img")
	run -- sh -c 'echo changed >/etc/hostname && sync' &&
		run -- grep -x vpmu-host /etc/hostname || return
	expect "$before" "$(sha256sum "$ARTIFACTS/rootfs.img")" "digest of the image"
}

# Else no verdict of a test on the host would hold in another checkout.
system_is_shared() {
	VPMU_BUILD=$TMP/build "$TOP/testbed/rootfs" &&
		cmp "$TMP/build/artifacts/rootfs.img" "$ARTIFACTS/rootfs.img" &&
		diff -r "$TMP/build/artifacts/ssh" "$ARTIFACTS/ssh" || return
	rm -r "$TMP/build"
}

# KVM's debugfs has a folder for each VM, named after its process. The open files of that process
# show what it holds.
holds_hooks() {
	# shellcheck disable=SC2016 # the host's variables
	run -- sh -c 'cd /sys/kernel/debug/kvm
		for vm in *-*; do ls -l /proc/"${vm%-*}"/fd; done' >"$TMP/stdout" || return
	expect 1 "$(grep -c 'anon_inode:kvm-vm' "$TMP/stdout")" VMs &&
		expect 1 "$(grep -c 'anon_inode:\[perf_event\]' "$TMP/stdout")" events
}

# Each waits in the host until the other one runs, too.
parallel_runs() {
	local name status=0
	mkfifo "$TMP/a" "$TMP/b"
	for name in a b; do
		run -- sh -c 'echo; cat >/dev/null; cat /proc/sys/kernel/random/boot_id' \
			<"$TMP/$name" >"$TMP/boot-id-$name" &
	done
	exec 7>"$TMP/a" 8>"$TMP/b"
	for name in a b; do
		wait_for test -s "$TMP/boot-id-$name" || status=1
	done
	exec 7>&- 8>&-
	wait
	head "$TMP/boot-id-a" "$TMP/boot-id-b"
	# an empty line and two boot ids
	[ "$status" = 0 ] && expect 3 "$(sort -u "$TMP/boot-id-a" "$TMP/boot-id-b" | wc -l)" \
		"different lines"
}

# wait_for CMD...: until CMD succeeds, or a deadline
wait_for() {
	local end=$((SECONDS + WAIT))
	until "$@"; do
		[ "$SECONDS" -lt "$end" ] || { echo "waited in vain for: $*"; return 1; }
		sleep 0.1
	done
}

# is_booting PID: the host of this testbed/run has begun to boot. The start of its log is older than
# the emulator, and an older log may have the same PID.
is_booting() {
	find "$BUILD/logs" -name "host-stock-*-$1.log" -newer "$TMP/stdout" -exec grep -l \
		'Booting Linux' {} + | grep -q .
}

# ended_by SIGNAL STATUS WHEN: SIGNAL during the boot or while the command runs
ended_by() {
	local signal=$1 wanted=$2 when=$3 status=0 pid
	: >"$TMP/stdout"
	# not the function: the signal is for the program itself
	"$RUN" --kernel stock --append "$MARK" -- \
		sh -c 'echo started; sleep 1000' >"$TMP/stdout" 2>"$TMP/stderr" </dev/null &
	pid=$!
	if [ "$when" = boot ]; then
		# Not earlier: a QEMU that is ended while it opens its disks leaves a temporary
		# file, which no handler of ours could know.
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
	script -qec "$RUN --kernel stock --append $MARK" \
		/dev/null <<<$'test -t 0 && exit 9\n' >"$TMP/stdout" || status=$?
	expect 9 "$status" "exit status of the shell" || { cat "$TMP/stdout"; return 1; }
}

names_missing_artifacts() {
	mkdir -p "$TMP/project"
	cp -r "$TOP/testbed" "$TMP/project"
	refused 125 "build/artifacts/Image-stock is missing; run 'testbed/build-kernel stock'" \
		"$TMP/project/testbed/run" --kernel stock -- true
}

check "stdin, stdout, stderr and exit status pass" passes_streams
# 255 is also ssh's word for a lost connection.
check "exit status 255 passes" exits 255 run -- sh -c 'exit 255'
check "arguments pass unchanged" passes_arguments run -- printf '%s\0'
check "the factor of deadlines passes" passes_factor
check "files, folders and modes are copied" copies_files
check "biglittle has two PMUs" has_pmus biglittle "armv8_cortex_a53 0-1, armv8_cortex_a72 2-3"
check "tricluster has three PMUs" has_pmus tricluster \
	"armv8_cortex_a55 0-1, armv8_cortex_a78 2-3, armv8_cortex_x1 4-5"
check "homogeneous has one PMU" has_pmus homogeneous "armv8_cortex_a72 0-3"
check "biglittle has two PMUs also with --icount" has_pmus biglittle \
	"armv8_cortex_a53 0-1, armv8_cortex_a72 2-3" --icount
check "stock kernel, where a warning is a panic" kernel_is stock
check "patched kernel, where a warning is a panic" kernel_is patched
check "each host starts from the same image" hosts_are_fresh
check "another checkout has the same system and keys" system_is_shared
check "KVM's and perf's hooks in the scheduler stay enabled" holds_hooks
check "parallel runs do not collide" parallel_runs
check "login shell on a terminal" gives_shell
# The end of the emulator gives status 123; a deadline has another one.
check "a panic while the command runs" refused 123 "sysrq triggered crash" run -- \
	sh -c 'echo c >/proc/sysrq-trigger; sleep 1000'
# A kernel thread prints this after all lines before it, long after the command has ended. The
# variable is the host's.
# shellcheck disable=SC2016
check "a report of the kernel that is no panic" refused 123 \
	"the kernel reported a bug; 'sh' ended with status 0" \
	run -- sh -c 'for i in $(seq 300); do echo "not yet: $i" >/dev/kmsg; done
		echo "BUG: not one" >/dev/kmsg'
check "a panic at boot" refused 122 "Requested init /nonexistent failed" run \
	--append init=/nonexistent -- true
check "a host that never boots" refused 122 "did not boot within its deadline of" \
	env VPMU_IMAGE="$TMP/bogus-image" "$RUN" --append "$MARK" --boot-timeout 3 -- true
check "a device tree that does not exist" refused 125 \
	"the device tree to boot with is '$TMP/none' (VPMU_TREE), which does not exist" \
	env VPMU_TREE="$TMP/none" "$RUN" -- true
check "a host without KVM" refused 122 "the host lacks: /dev/kvm" run --append kvm-arm.mode=none \
	-- true
check "a host on which nothing holds the hooks" refused 122 \
	"the host lacks: hooks that stay, see the messages above" \
	run --append init=/usr/bin/bash \
	--append '-- -c "rm /usr/sbin/vpmu-keep-hooks; exec /usr/sbin/vpmu-init"' -- true
check "a host without PMUs" refused 122 "the host lacks: PMUs (0 of 2)" run \
	--append initcall_blacklist=armv8_pmu_driver_init -- true
check "a host that lacks CPUs" refused 122 "the host lacks: CPUs (3 of 4)" run --append maxcpus=3 \
	-- true
check "a command that does not end" refused 124 "'sleep' did not end within its deadline" run \
	--timeout 3 -- sleep 1000
check "SIGINT while the command runs" ended_by INT 130 command
check "SIGINT during the boot" ended_by INT 130 boot
check "SIGTERM while the command runs" ended_by TERM 143 command
check "SIGKILL while the command runs" ended_by KILL 137 command
check "missing artifacts" names_missing_artifacts
check "a file that does not exist" refused 125 "$TMP/none, which is to be copied, does not exist" \
	run --file "$TMP/none" -- true
check "no process and no file is left behind" nothing_left
finish
