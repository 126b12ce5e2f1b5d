#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Claim: the UEFI guest boots through Debian's firmware with ACPI as Windows does, says READY once
# all vCPUs are calibrated, keeps timing, and stops with a visible error in each phase where Windows
# would die. It runs under the emulator itself, without KVM: the emulated PMU always counts, so the
# guest itself causes each fault of its counter. The emulator's clock counts instructions, so
# that a busy build machine does not change what the guest measures. Runs still differ a little: the
# emulator's main loop moves this clock, too (testbed/exact-turns.c).
set -euo pipefail
# shellcheck source=tap.sh
. "$(dirname "$0")/tap.sh"

EMULATOR=$ARTIFACTS/emulator/qemu-system-aarch64
GUEST=$ARTIFACTS/guests-uefi
CLOCK=(-icount "shift=3,sleep=off" -seed 1 -rtc "base=2025-01-01,clock=vm")
# All cases together take 50 s alone on the machine.
TIMEOUT=$(scale_timeout 300)
DISK=(-device "virtio-blk-pci,drive=disk")
PASSES='PASS: [0-9]+ intervals, none without cycles'
BOOTS='acpi loader winlike kernel'
LIVES="$BOOTS READY delta"

# name | parameters | last line, as a regular expression | first words of the lines before it | CPU,
# number of vCPUs, options of the machine
CASES="
passes on 4 vCPUs|seconds=1 every=10|$PASSES|$LIVES|max 4
passes on a Cortex-A72|seconds=1 every=10|$PASSES|$LIVES|cortex-a72 1
reboots twice as Windows does in setup|seconds=1 every=10 reboots=2|$PASSES|
	$BOOTS reboot $BOOTS reboot $LIVES|max 2
stops in the loader without a PMU||STOP: no PMU vcpu=0 pmuver=0x0||max,pmu=off 2
stops in the loader if the counter stands still|fault=loader|
	STOP: divide by zero vcpu=0 loader stall=firmware short=0 long=0 held=[0-9]+ frequency=0|
	acpi|max 2
lives with a wrong clock if the counter stops between the stalls|fault=clock seconds=1 every=10|
	$PASSES|$LIVES|max 2
stops in the kernel phase if the counter stands still|fault=still every=10|
	STOP: divide by zero vcpu=1 cntvct=[0-9]+ pmccntr_before=(0x[0-9a-f]+) pmccntr_after=\1|
	$LIVES|max 2
fails in the kernel phase if the counter goes back|fault=back every=10|
	FAIL: PMCCNTR_EL0 went back vcpu=1 .*|$LIVES|max 2
fails without DBG2|acpi=no_dbg2|FAIL: the firmware has no ACPI table DBG2||max 2
fails without GTDT|acpi=no_gtdt|FAIL: the firmware has no ACPI table GTDT||max 2
fails without a MADT|acpi=no_madt|FAIL: the firmware has no ACPI table APIC||max 2
fails if the MADT has no CPU|acpi=no_cpu|FAIL: the MADT has no enabled GICC||max 2
fails if a structure of the MADT has length 0|acpi=length|
	FAIL: a structure of the MADT has length 0||max 2
fails if the first GICC is not that of the boot CPU|acpi=order|
	FAIL: the first GICC of the MADT has MPIDR 0x[0-9a-f]*1, the boot CPU has 0x[0-9a-f]*0||
	max 2
fails if the PMU has no interrupt|acpi=no_interrupt|
	FAIL: GICC 0 of the MADT has PMU interrupt 0; Windows expects 23||max 2
fails if the last CPU has another PMU interrupt|acpi=last_interrupt|
	FAIL: GICC 3 of the MADT has PMU interrupt 24; Windows expects 23||max 4
fails without ACPI||FAIL: the firmware has no ACPI tables; start the VM with ACPI||max 2 acpi=off
fails if it has to listen without a network card|listen=22|
	FAIL: the firmware has no TCP; it needs a network card, .*|acpi loader|max 2
fails with an unknown parameter|second=1|
	FAIL: unknown parameter in \"second=1 *\"; write NAME=VALUE with a name of
	 seconds,interval_us,every,switches,reboots,fault,acpi,listen||max 1
"

# boot CPU VCPUS [OPTION]: prints the guest's output; does not change the image or the variables
boot() {
	exec timeout --foreground "$TIMEOUT" "$EMULATOR" -M "virt,gic-version=3${3:+,$3}" \
		-cpu "$1" -smp "$2" -m 512 "${CLOCK[@]}" -nodefaults -display none -serial stdio \
		-drive "if=pflash,format=raw,readonly=on,file=$GUEST/AAVMF_CODE.fd" \
		-drive "if=pflash,format=raw,snapshot=on,file=$GUEST/AAVMF_VARS.fd" \
		-drive "if=none,id=disk,format=raw,snapshot=on,file=$IMAGE" \
		"${DISK[@]}" </dev/null 2>&1
}

# Lines of the guest alone: the firmware's are before its first one.
guest_lines() {
	tr -d '\r' | grep -E '^(acpi|loader|winlike|kernel|reboot|READY|delta|PASS:|STOP:|FAIL:)'
}

set_parameters() {
	IMAGE=$TMP/winlike.img
	cp --sparse=always "$GUEST/winlike.img" "$IMAGE"
	"$TOP/guests/uefi/set-parameters" "$IMAGE" "$1"
}

# has_line REGEX: the guest printed such a line
has_line() {
	grep -qxE "$1" "$TMP/lines" || {
		echo "expected a line $1"
		return 1
	}
}

# check_lines VCPUS PARAMETERS: the lines are well formed and come from each vCPU; the PMU's
# interrupt is that of ACPI
check_lines() {
	local vcpu stall clock=right
	[[ $2 != *fault=clock* ]] || clock=wrong
	has_line 'acpi pmu_interrupt=23'
	for stall in firmware cntvct; do
		has_line "loader stall=$stall short=[0-9]+ long=[0-9]+ held=[0-9]+ frequency=[0-9]+\
 rate=[1-9][0-9]* elapsed_ms=[0-9]+ clock=$clock"
	done
	has_line "winlike vcpus=$1 cntfrq=[0-9]+ seconds=1 interval_us=10000 every=10"
	for ((vcpu = 0; vcpu < $1; vcpu++)); do
		has_line "kernel vcpu=$vcpu switches=20 cycles=[1-9][0-9]* zero=0 user_zero=0"
		has_line "delta vcpu=$vcpu cntvct=[0-9]+ cycles=[1-9][0-9]* ticks=[1-9][0-9]*"
	done
	! grep '^delta' "$TMP/lines" |
		grep -vxE 'delta vcpu=[0-9]+ cntvct=[0-9]+ cycles=[1-9][0-9]* ticks=[1-9][0-9]*'
}

check_end() {
	local parameters=$1 expected=$2 before=$3 cpu=$4 vcpus=$5 option=${6-}
	[ -z "$parameters" ] || set_parameters "$parameters"
	(boot "$cpu" "$vcpus" "$option") >"$TMP/console" || echo "QEMU ended with status $?"
	tail -n 5 "$TMP/console"
	guest_lines <"$TMP/console" >"$TMP/lines"
	echo "expected before the last line: $before; and as last line: $expected"
	tail -n 1 "$TMP/lines" | grep -qxE "$expected"
	[ "$(sed '$d' "$TMP/lines" | cut -d ' ' -f 1 | uniq | xargs)" = "$before" ]
	[[ $expected != "$PASSES" ]] || check_lines "$vcpus" "$parameters"
}

# The image as it is built gives no verdict, and lines of each vCPU without end.
check_for_ever() {
	local line pid seen=
	exec 3< <(boot max 2)
	pid=$!
	while read -r -u 3 line; do
		echo "$line"
		case ${line%$'\r'} in
		READY) seen=ready ;;
		'delta vcpu=0 '*) seen+=0 ;;
		'delta vcpu=1 '*) seen+=1 ;;
		'PASS:'* | 'STOP:'* | 'FAIL:'*) seen= ;;
		esac
		[[ $seen != ready*0*1*0* ]] || break
	done
	kill "$pid"
	[[ $seen = ready*0*1*0* ]]
}

# virt-install attaches a disk for Windows by USB; the firmware finds the loader on any disk.
check_usb() {
	DISK=(-device qemu-xhci -device "usb-storage,drive=disk")
	check_end "seconds=1 every=10" "$PASSES" "$LIVES" max 2
}

# The same program gives the same bits, at any time and in any place.
check_reproducible() {
	TZ=Asia/Tokyo "$TOP/guests/uefi/build" --image "$TMP/again.img"
	cmp "$GUEST/winlike.img" "$TMP/again.img"
}

[ -x "$EMULATOR" ] || die "$EMULATOR not found; run 'make host'"
"$TOP/guests/uefi/build"
IMAGE=$GUEST/winlike.img
while IFS='|' read -r name parameters expected before machine; do
	read -r cpu vcpus option <<<"$machine"
	check "$name" check_end "$parameters" "$expected" "$before" "$cpu" "$vcpus" \
		"$option"
done < <(rows "$CASES")
check "runs for ever without parameters" check_for_ever
check "boots from a USB disk" check_usb
check "the image is reproducible" check_reproducible
finish
