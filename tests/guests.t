#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Claim: the bare-metal guests say what they find, and a harness can tell their pass, failure, stop and hang apart.
# Under the emulator itself, without KVM: its emulated PMU always counts, so that winlike must pass.
set -euo pipefail
# shellcheck source=../scripts/lib.sh
. "$(dirname "$0")/../scripts/lib.sh"

EMULATOR=$ARTIFACTS/emulator/qemu-system-aarch64
# The slowest case takes 3 s alone on the machine.
TIMEOUT=$(scale_timeout 300)
# Seconds of silence after which a guest hangs; a verdict takes it half of one. A machine that is too slow for a verdict in this time
# fails no test by it: none is expected.
SILENCE=10

#name | guest | bootargs | verdict line, as a regular expression | machine and CPU
CASES='
winlike passes on 4 vCPUs|winlike|seconds=1 interval_us=50000|PASS: [0-9]+ deltas, none zero|virt cpu=max smp=4
winlike passes when entered at EL2|winlike|seconds=1 interval_us=50000|PASS: [0-9]+ deltas, none zero|virt,virtualization=on cpu=max smp=2
winlike stops without a PMU|winlike||STOP: no PMU vcpu=0 pmuver=0x0|virt cpu=max,pmu=off smp=2
winlike refuses an unknown parameter|winlike|second=1|FAIL: unknown parameter in "second=1"; write NAME=VALUE with a name of seconds,interval_us|virt cpu=max smp=1
winlike refuses a number out of range|winlike|seconds=3601|FAIL: parameter seconds must be a number from 0 to 3600|virt cpu=max smp=1
canary refuses an unknown choice|canary|verdict=maybe|FAIL: parameter verdict must be one of pass,fail,hang,trap,wait|virt cpu=max smp=1
canary passes|canary|verdict=pass|PASS: as asked for|virt cpu=max smp=1
canary fails|canary|verdict=fail|FAIL: as asked for|virt cpu=max smp=1
canary reports an undefined PMU register|canary|verdict=trap|FAIL: .*read of PMMIR_EL1 is undefined.* vcpu=0 .*|virt cpu=cortex-a72 smp=1
'

FAILED=0
COUNT=0

UART=(-serial stdio)
VIRTIO=(-chardev "stdio,id=output,signal=off" -global virtio-mmio.force-legacy=false
	-device virtio-serial-device -device "virtconsole,chardev=output")
OUTPUT=("${UART[@]}")

# start_guest GUEST BOOTARGS "MACHINE cpu=CPU smp=N" [OPTION]...: takes the place of the shell
start_guest() {
	local guest=$1 bootargs=$2 machine cpu smp
	read -r machine cpu smp <<<"$3"
	shift 3
	exec timeout "$TIMEOUT" "$EMULATOR" -M "$machine,gic-version=3" -cpu "${cpu#cpu=}" -smp "${smp#smp=}" -m 256 -nodefaults \
		-display none "${OUTPUT[@]}" -kernel "$ARTIFACTS/guests/$guest.bin" -append "$bootargs" "$@" </dev/null 2>&1
}

# run_guest ARGUMENT OF start_guest...: the guest's output; status 124 when it did not end
run_guest() {
	(start_guest "$@") | tr -d '\r'
}

# report OK NAME DIAGNOSIS
report() {
	COUNT=$((COUNT + 1))
	if [ "$1" = yes ]; then
		echo "ok $COUNT - $2"
	else
		echo "not ok $COUNT - $2"
		printf '%s\n' "$3" | sed 's/^/# /'
		FAILED=1
	fi
}

check_verdict() {
	local name=$1 guest=$2 bootargs=$3 expected=$4 machine=$5 output status=0
	output=$(run_guest "$guest" "$bootargs" "$machine") || status=$?
	if [ "$status" = 0 ] && tail -n 1 <<<"$output" | grep -qxE "$expected"; then
		report yes "$name"
	else
		report no "$name" "expected last line $expected; got status $status and:
$(tail -n 5 <<<"$output")"
	fi
}

# Its first line, then silence: neither a verdict nor an end of the emulator
check_hang() {
	local first='' more='' pid status=0
	exec 3< <(start_guest canary verdict=hang "virt cpu=max smp=1")
	pid=$!
	read -r -u 3 first || true
	read -r -t "$SILENCE" -u 3 more || status=$?
	kill "$pid" || status="$status, and the emulator ended"
	exec 3<&-
	# more than 128: the time is over
	if [ "${first%$'\r'}" = "canary verdict=hang" ] && [[ $status =~ ^[0-9]+$ ]] && [ "$status" -gt 128 ]; then
		report yes "canary hangs"
	else
		report no "canary hangs" "expected its first line and then nothing; got '$first', '$more', status $status"
	fi
}

# The clock of this guest is its instructions, a microsecond each, so that ten seconds of it are short.
check_wait() {
	local name="a guest that waits for its vCPUs says so, and waits on" line pid said=0
	exec 3< <(start_guest canary verdict=wait "virt cpu=max smp=1" -icount shift=10)
	pid=$!
	while [ "$said" -lt 3 ] && read -r -u 3 line; do
		[ "${line%$'\r'}" != "waiting: 0 of 1 vCPUs did what none does" ] || said=$((said + 1))
	done
	kill "$pid" || true
	exec 3<&-
	if [ "$said" = 3 ]; then
		report yes "$name"
	else
		report no "$name" "expected three lines, got $said; the last was '$line'"
	fi
}

# Each line whole and well formed: vCPUs print at the same time.
check_lines() {
	local name="winlike's lines are whole, from each vCPU, on the $1" output bad
	output=$(run_guest winlike "seconds=1 interval_us=5000" "virt cpu=max smp=4") || true
	# a busy machine may make them wait
	bad=$(grep -vxE 'waiting: .*|winlike vcpus=4 cntfrq=[0-9]+ seconds=1 interval_us=5000|PASS: .*|delta vcpu=[0-3] cntvct=[0-9]+ cycles=[1-9][0-9]* ticks=[1-9][0-9]*' \
		<<<"$output" || true)
	[ "$(grep -o '^delta vcpu=.' <<<"$output" | sort -u | wc -l)" = 4 ] || bad+=" (not all 4 vCPUs printed)"
	if [ -z "$bad" ]; then
		report yes "$name"
	else
		report no "$name" "$bad"
	fi
}

main() {
	local name guest bootargs expected machine
	[ -x "$EMULATOR" ] || die "$EMULATOR not found; run 'make host'"
	make -s -C "$TOP/guests" >&2
	echo "1..$(($(grep -c '|' <<<"$CASES") + 4))"
	while IFS='|' read -r name guest bootargs expected machine; do
		[ -z "$name" ] || check_verdict "$name" "$guest" "$bootargs" "$expected" "$machine"
	done <<<"$CASES"
	check_hang
	check_wait
	check_lines UART
	OUTPUT=("${VIRTIO[@]}")
	check_lines "virtio console"
	return "$FAILED"
}

main
