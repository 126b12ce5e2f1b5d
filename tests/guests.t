#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Claim: the bare-metal guests say what they find, and a harness can tell their pass, failure, stop
# and hang apart. They run under the emulator itself, without KVM: the emulated PMU always counts,
# so winlike must pass. The initrd of the Debian guest is the same each time it is made.
set -euo pipefail
# shellcheck source=tap.sh
. "$(dirname "$0")/tap.sh"

EMULATOR=$ARTIFACTS/emulator/qemu-system-aarch64
# The slowest case takes 3 s alone on the machine.
TIMEOUT=$(scale_timeout 300)
# A guest that prints nothing for so many seconds hangs; a verdict takes half a second. A machine
# that is too slow fails no test: the test of the hang expects no verdict.
SILENCE=10

#name | guest | bootargs | verdict line, as a regular expression | machine and CPU
CASES='
winlike passes on 4 vCPUs|winlike|seconds=1 interval_us=50000|PASS: [0-9]+ deltas, none zero|
	virt cpu=max smp=4
winlike passes when entered at EL2|winlike|seconds=1 interval_us=50000|
	PASS: [0-9]+ deltas, none zero|virt,virtualization=on cpu=max smp=2
winlike charges threads and stops before it divides|winlike|until=kernel|
	PASS: threads ran on 4 vCPUs|virt cpu=max smp=4
winlike stops without a PMU|winlike||STOP: no PMU vcpu=0 pmuver=0x0|virt cpu=max,pmu=off smp=2
winlike refuses an unknown parameter|winlike|second=1|
	FAIL: unknown parameter in "second=1"; write NAME=VALUE with a name of
	 seconds,interval_us,until,switches,reboots,at,action,lc,user|virt cpu=max smp=1
winlike refuses a number out of range|winlike|seconds=3601|
	FAIL: parameter seconds must be a number from 0 to 3600|virt cpu=max smp=1
canary refuses an unknown choice|canary|verdict=maybe|
	FAIL: parameter verdict must be one of pass,fail,hang,trap,wait|virt cpu=max smp=1
canary passes|canary|verdict=pass|PASS: as asked for|virt cpu=max smp=1
canary fails|canary|verdict=fail|FAIL: as asked for|virt cpu=max smp=1
canary reports an undefined PMU register|canary|verdict=trap|
	FAIL: .*read of PMMIR_EL1 is undefined.* vcpu=0 .*|virt cpu=cortex-a72 smp=1
'

# The loader counts during 1 ms and during 9 ms; 125 times the difference is the frequency, and only
# a frequency of 0 stops it. On a stock kernel a move to another cluster stops the counter, and a
# move back starts it: here the guest itself does that at a given point.
#name | bootargs | the loader's line, after its first two words | last line
RIGHT='PASS: calibrated, the clock is right'
WRONG='PASS: calibrated, the clock is wrong'
ZERO='STOP: divide by zero vcpu=0 loader stall=cntvct short=0 long=0 held=[0-9]+ frequency=0'
N='[1-9][0-9]*'
CALIBRATIONS="
a counter that always counts||short=$N long=$N .* rate=$N elapsed_ms=$N clock=right|$RIGHT
the same, overflow of 32 bits|lc=off|short=$N long=$N .* clock=right|$RIGHT
the same, PMUSERENR_EL0.{CR, ER}|user=cr_er|short=$N long=$N .* clock=right|$RIGHT
stops before the stalls|at=setup action=stop||$ZERO
stops in the short stall: a huge frequency|at=short action=stop|
	short=$N long=0 .* frequency=18446744073[0-9]{9} .* clock=wrong|$WRONG
stops between the stalls: a huge frequency|at=between action=stop|
	short=$N long=0 .* frequency=18446744073[0-9]{9} .* clock=wrong|$WRONG
stops early in the long stall: an eighth of the frequency|at=early action=stop|
	short=$N long=$N .* frequency=1[0-9]{8} rate=1[0-9]{9} .* clock=wrong|$WRONG
stops late in the long stall: seven eighths of the frequency|at=late action=stop|
	short=$N long=$N .* frequency=8[0-9]{8} rate=1[0-9]{9} .* clock=right|$RIGHT
stops after the stalls: time stands still|at=end action=stop|
	short=$N long=$N .* frequency=1[0-9]{9} rate=1[0-9]{9} elapsed_ms=0 clock=right|$RIGHT
starts before the stalls|at=setup action=start|short=$N long=$N .* clock=right|$RIGHT
starts in the short stall: a sixteenth more|at=short action=start|
	short=$N long=$N .* frequency=10[0-9]{8} rate=1[0-9]{9} .* clock=right|$RIGHT
starts between the stalls: an eighth more|at=between action=start|
	short=0 long=$N .* frequency=11[0-9]{8} rate=1[0-9]{9} .* clock=right|$RIGHT
starts early in the long stall: seven eighths of the frequency|at=early action=start|
	short=0 long=$N .* frequency=8[0-9]{8} rate=1[0-9]{9} .* clock=right|$RIGHT
starts late in the long stall: an eighth of the frequency|at=late action=start|
	short=0 long=$N .* frequency=1[0-9]{8} rate=1[0-9]{9} .* clock=wrong|$WRONG
starts after the stalls|at=end action=start||$ZERO
"

UART=(-serial stdio)
VIRTIO=(-chardev "stdio,id=output,signal=off" -global virtio-mmio.force-legacy=false
	-device virtio-serial-device -device "virtconsole,chardev=output")
OUTPUT=("${UART[@]}")

# start_guest GUEST BOOTARGS "MACHINE cpu=CPU smp=N" [OPTION]...: replaces the shell
start_guest() {
	local guest=$1 bootargs=$2 machine cpu smp
	read -r machine cpu smp <<<"$3"
	shift 3
	exec timeout --foreground "$TIMEOUT" "$EMULATOR" -M "$machine,gic-version=3" \
		-cpu "${cpu#cpu=}" -smp "${smp#smp=}" -m 256 -nodefaults -display none \
		"${OUTPUT[@]}" -kernel "$ARTIFACTS/guests/$guest.bin" -append "$bootargs" "$@" 2>&1
}

# run_guest ARGUMENT OF start_guest...: the guest's output; status 124 when it did not end
run_guest() {
	(start_guest "$@" </dev/null) | tr -d '\r'
}

# ends_with EXPECTED ARGUMENT OF start_guest...
ends_with() {
	local status=0
	run_guest "${@:2}" >"$TMP/console" || status=$?
	echo "expected last line $1; got status $status and:"
	tail -n 5 "$TMP/console"
	[ "$status" = 0 ]
	tail -n 1 "$TMP/console" | grep -qxE "$1"
}

# calibrates BOOTARGS LINE EXPECTED: the guest's clock counts instructions, so the counts are the
# same each time
calibrates() {
	local output wanted=$3
	[ -z "$2" ] || wanted="loader stall=cntvct $2"$'\n'$3
	output=$(run_guest winlike "until=loader $1" "virt cpu=max smp=1" -icount shift=6) || true
	printf 'expected %s; got:\n%s\n' "$wanted" "$output"
	[[ $output =~ ^$wanted$ ]]
}

# prints_as_kernel BOOTARGS EXPECTED: EXPECTED are its lines, counted, without the numbers that
# differ from run to run
prints_as_kernel() {
	run_guest winlike "until=kernel $1" "virt cpu=max smp=2" -icount shift=6 |
		sed -E 's/ .* (clock|zero)=/ \1=/; s/^(winlike) .*/\1/' | sort | uniq -c |
		sed 's/^ *//' | diff <(echo "$2") -
}

# At a given point the loader waits for a character, so that somebody can move its vCPU first.
holds() {
	local line output='' wanted
	mkfifo "$TMP/typed"
	exec 4<>"$TMP/typed"
	exec 3< <(start_guest winlike "until=loader at=between" "virt cpu=max smp=1" <&4)
	while read -r -u 3 line; do
		line=${line%$'\r'}
		output+=$line$'\n'
		[ "$line" != "hold between" ] || echo x >&4
	done
	exec 3<&- 4<&-
	echo "$output"
	wanted="hold between"$'\n'"loader stall=cntvct short=$N long=$N .*"$'\n'
	wanted+="PASS: calibrated, the clock is [a-z]+"$'\n'
	[[ $output =~ ^$wanted$ ]]
}

# Its first line, then silence: neither a verdict nor an end of the emulator
hangs() {
	local first='' more='' pid status=0
	exec 3< <(start_guest canary verdict=hang "virt cpu=max smp=1" </dev/null)
	pid=$!
	read -r -u 3 first || true
	read -r -t "$SILENCE" -u 3 more || status=$?
	kill "$pid" || { echo "the emulator ended"; return 1; }
	echo "expected its first line and then nothing; got '$first', '$more', status $status"
	# more than 128: read has timed out
	[ "${first%$'\r'}" = "canary verdict=hang" ]
	[ "$status" -gt 128 ]
}

# The guest's clock counts instructions, a microsecond each, so that its ten seconds are short.
says_that_it_waits() {
	local line pid said=0
	exec 3< <(start_guest canary verdict=wait "virt cpu=max smp=1" -icount shift=10 </dev/null)
	pid=$!
	while [ "$said" -lt 3 ] && read -r -u 3 line; do
		[ "${line%$'\r'}" != "waiting: 0 of 1 vCPUs did what none does" ] ||
			said=$((said + 1))
	done
	kill "$pid" || true
	echo "expected three lines, got $said; the last was '$line'"
	[ "$said" = 3 ]
}

# All lines that winlike may print; on a busy machine its vCPUs may wait.
WHOLE_LINES='
waiting: .*
loader stall=cntvct short=[0-9]+ long=[0-9]+ held=[0-9]+ frequency=[0-9]+ rate=[1-9][0-9]*
	 elapsed_ms=[0-9]+ clock=(right|wrong)
kernel vcpu=[0-3] switches=20 cycles=[1-9][0-9]* zero=0 user_zero=0
winlike vcpus=4 cntfrq=[0-9]+ seconds=1 interval_us=5000
PASS: .*
delta vcpu=[0-3] cntvct=[0-9]+ cycles=[1-9][0-9]* ticks=[1-9][0-9]*
'

# Each line is whole and well formed, although vCPUs print at the same time.
prints_whole_lines() {
	run_guest winlike "seconds=1 interval_us=5000" "virt cpu=max smp=4" >"$TMP/console" || true
	! grep -vxE -f <(rows "$WHOLE_LINES") "$TMP/console" || return
	[ "$(grep -o '^delta vcpu=.' "$TMP/console" | sort -u | wc -l)" = 4 ]
}

# Else verdicts of the tests that boot it would not hold in another checkout.
same_debian() {
	local name
	for name in one two; do
		VPMU_BUILD=$TMP/$name "$TOP/guests/linux/build"
	done
	cmp "$TMP"/{one,two}/artifacts/guests-linux/initrd
	rm -r "$TMP/one" "$TMP/two"
}

pass="1 PASS: threads ran on 2 vCPUs"
[ -x "$EMULATOR" ] || die "$EMULATOR not found; run 'make host'"
make -s -C "$TOP/guests" >&2
while IFS='|' read -r name guest bootargs expected machine; do
	check "$name" ends_with "$expected" "$guest" "$bootargs" "$machine"
done < <(rows "$CASES")
while IFS='|' read -r name bootargs line expected; do
	check "calibration: $name" calibrates "$bootargs" "$line" "$expected"
done < <(rows "$CALIBRATIONS")
check "winlike reboots as often as told, and behaves the same each time" \
	prints_as_kernel "reboots=3 switches=2" "$pass
8 kernel zero=0 user_zero=0
4 loader clock=right
1 reboot 1 of 3
1 reboot 2 of 3
1 reboot 3 of 3
4 winlike"
check "threads that are charged with 0 cycles are counted, and the guest goes on" \
	prints_as_kernel "at=kernel action=stop switches=10" "$pass
1 kernel zero=0 user_zero=0
1 kernel zero=5 user_zero=5
1 loader clock=right
1 winlike"
check "winlike waits at the given point until a character comes" holds
check "canary hangs" hangs
check "a guest that waits for its vCPUs says so, and waits on" says_that_it_waits
check "winlike's lines are whole, from each vCPU, on the UART" prints_whole_lines
check "the initrd of the Debian guest is the same each time it is made" same_debian
OUTPUT=("${VIRTIO[@]}")
check "winlike's lines are whole, from each vCPU, on the virtio console" prints_whole_lines
finish
