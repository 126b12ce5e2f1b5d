#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Claim: the bare-metal guests say what they find, and a harness can tell their pass, failure, stop
# and hang apart. Under the emulator itself, without KVM: its emulated PMU always counts, so that
# winlike must pass.
set -euo pipefail
# shellcheck source=tap.sh
. "$(dirname "$0")/tap.sh"

EMULATOR=$ARTIFACTS/emulator/qemu-system-aarch64
# The slowest case takes 3 s alone on the machine.
TIMEOUT=$(scale_timeout 300)
# Seconds of silence after which a guest hangs; a verdict takes it half of one. A machine that is
# too slow for a verdict in this time fails no test by it: none is expected.
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

# What follows from how the loader calibrates: 125 times the difference of what 9 ms and 1 ms count
# is the frequency, and only 0 of that is deadly. A counter that stops at a point is what a move to
# another cluster is on a stock kernel, one that starts there a move back.
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
stops in the short one: a huge frequency|at=short action=stop|
	short=$N long=0 .* frequency=18446744073[0-9]{9} .* clock=wrong|$WRONG
stops between: a huge frequency|at=between action=stop|
	short=$N long=0 .* frequency=18446744073[0-9]{9} .* clock=wrong|$WRONG
stops early in the long one: an eighth|at=early action=stop|
	short=$N long=$N .* frequency=1[0-9]{8} rate=1[0-9]{9} .* clock=wrong|$WRONG
stops late in the long one: seven eighths|at=late action=stop|
	short=$N long=$N .* frequency=8[0-9]{8} rate=1[0-9]{9} .* clock=right|$RIGHT
stops afterwards: time stands still|at=end action=stop|
	short=$N long=$N .* frequency=1[0-9]{9} rate=1[0-9]{9} elapsed_ms=0 clock=right|$RIGHT
starts before the stalls|at=setup action=start|short=$N long=$N .* clock=right|$RIGHT
starts in the short one: a sixteenth more|at=short action=start|
	short=$N long=$N .* frequency=10[0-9]{8} rate=1[0-9]{9} .* clock=right|$RIGHT
starts between: an eighth more|at=between action=start|
	short=0 long=$N .* frequency=11[0-9]{8} rate=1[0-9]{9} .* clock=right|$RIGHT
starts early in the long one: seven eighths|at=early action=start|
	short=0 long=$N .* frequency=8[0-9]{8} rate=1[0-9]{9} .* clock=right|$RIGHT
starts late in the long one: an eighth|at=late action=start|
	short=0 long=$N .* frequency=1[0-9]{8} rate=1[0-9]{9} .* clock=wrong|$WRONG
starts afterwards|at=end action=start||$ZERO
"

UART=(-serial stdio)
VIRTIO=(-chardev "stdio,id=output,signal=off" -global virtio-mmio.force-legacy=false
	-device virtio-serial-device -device "virtconsole,chardev=output")
OUTPUT=("${UART[@]}")

# start_guest GUEST BOOTARGS "MACHINE cpu=CPU smp=N" [OPTION]...: takes the place of the shell
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

# calibrates BOOTARGS LINE EXPECTED: by a clock of instructions, so that the counts are the same
# each time
calibrates() {
	local output wanted=$3
	[ -z "$2" ] || wanted="loader stall=cntvct $2"$'\n'$3
	output=$(run_guest winlike "until=loader $1" "virt cpu=max smp=1" -icount shift=6) || true
	printf 'expected %s; got:\n%s\n' "$wanted" "$output"
	[[ $output =~ ^$wanted$ ]]
}

# prints_as_kernel BOOTARGS EXPECTED: its lines without the numbers that differ from run to run
prints_as_kernel() {
	run_guest winlike "until=kernel $1" "virt cpu=max smp=2" -icount shift=6 |
		sed -E 's/ .* (clock|zero)=/ \1=/; s/^(winlike) .*/\1/' | sort | uniq -c |
		sed 's/^ *//' | diff <(echo "$2") -
}

# The loader's point where somebody moves its vCPU: it waits for a character, takes it, and goes on.
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
	# more than 128: the time is over
	[ "${first%$'\r'}" = "canary verdict=hang" ]
	[ "$status" -gt 128 ]
}

# The clock of this guest is its instructions, a microsecond each, so that ten seconds of it are
# short.
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

# All that it prints; a busy machine may make its vCPUs wait.
WHOLE_LINES='
waiting: .*
loader stall=cntvct short=[0-9]+ long=[0-9]+ held=[0-9]+ frequency=[0-9]+ rate=[1-9][0-9]*
	 elapsed_ms=[0-9]+ clock=(right|wrong)
kernel vcpu=[0-3] switches=20 cycles=[1-9][0-9]* zero=0 user_zero=0
winlike vcpus=4 cntfrq=[0-9]+ seconds=1 interval_us=5000
PASS: .*
delta vcpu=[0-3] cntvct=[0-9]+ cycles=[1-9][0-9]* ticks=[1-9][0-9]*
'

# Each line whole and well formed: vCPUs print at the same time.
prints_whole_lines() {
	run_guest winlike "seconds=1 interval_us=5000" "virt cpu=max smp=4" >"$TMP/console" || true
	! grep -vxE -f <(rows "$WHOLE_LINES") "$TMP/console" || return
	[ "$(grep -o '^delta vcpu=.' "$TMP/console" | sort -u | wc -l)" = 4 ]
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
check "winlike reboots as often as it is told to, and each time all is as at first" \
	prints_as_kernel "reboots=3 switches=2" "$pass
8 kernel zero=0 user_zero=0
4 loader clock=right
1 reboot 1 of 3
1 reboot 2 of 3
1 reboot 3 of 3
4 winlike"
check "threads that are charged with no cycles are counted, and nothing stops" \
	prints_as_kernel "at=kernel action=stop switches=10" "$pass
1 kernel zero=0 user_zero=0
1 kernel zero=5 user_zero=5
1 loader clock=right
1 winlike"
check "winlike holds where it is told to until something is typed" holds
check "canary hangs" hangs
check "a guest that waits for its vCPUs says so, and waits on" says_that_it_waits
check "winlike's lines are whole, from each vCPU, on the UART" prints_whole_lines
OUTPUT=("${VIRTIO[@]}")
check "winlike's lines are whole, from each vCPU, on the virtio console" prints_whole_lines
finish
