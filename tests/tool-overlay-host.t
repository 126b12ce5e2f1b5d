#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Claim: on an emulated host with an unmodified kernel and Debian's QEMU, a guest's counters stand
# still on some CPUs. With the overlay that pmu-hybrid-check --overlay writes there they count on
# all CPUs. The tool asks KVM for the numbers of event counters on the right CPUs.
set -euo pipefail
# shellcheck source=tap.sh
. "$(dirname "$0")/tap.sh"

TOOL=$ARTIFACTS/pmu-hybrid-check
QEMU=/usr/bin/qemu-system-aarch64

# on_host TOPOLOGY CMD...: with the stock kernel
on_host() {
	local topology=$1
	shift
	"$TOP/testbed/run" --kernel stock --topology "$topology" --file "$TOOL" \
		--file "$TOP/tests/tool/moves" --file "$ARTIFACTS/guests/winlike.bin" -- "$@"
}

# with_overlay TOPOLOGY CMD...: the same with the device tree that apply_overlay has made
with_overlay() {
	VPMU_TREE=$TMP/$1.dtb on_host "$@"
}

stands_still() {
	! on_host biglittle ./moves "$QEMU" -cpu host >said || return 1
	cat said
	# KVM took the PMU of CPUs 0-1
	grep -qE '^the VM ended on CPU 2: STOP: divide by zero vcpu=[01] ' said
}

writes_overlay() {
	on_host "$1" ./pmu-hybrid-check --overlay >"$1.dts"
	sed -n '3,6p' "$1.dts"
	[ "$(grep -cE "^ \* /pmu-(little|mid|big): cpu@[0-9] cpu@[0-9]; [0-9]+ event counters$" \
		"$1.dts")" = "$2" ]
	# each number is there as often as there are PMUs: all are the same
	[ "$(grep -oE '[0-9]+ event counters' "$1.dts" | sort | uniq -c | awk '{ print $1 }')" = \
		"$2" ]
	! grep -q 'CHECK FIRST' "$1.dts"
}

apply_overlay() {
	dtc -q -@ -I dts -O dtb -o "$1.dtbo" "$1.dts"
	fdtoverlay -i "$ARTIFACTS/$1.dtb" -o "$1.dtb" "$1.dtbo"
	"$TOP/tests/tool/boards.py" found "$1.dtb" | tee found
	diff -u - found <<-EOF
		arm,armv8-pmuv3 at /interrupt-controller@8000000
		  PPI 7 flags 0x4 on all CPUs
	EOF
}

# Linux makes no PMU of a disabled node.
has_one_pmu() {
	with_overlay "$1" ./pmu-hybrid-check | tee said
	[ "$(grep -E '^[a-z]+ +pmu ' said)" = "ok       pmu      armv8_pmuv3 on CPUs $2" ]
	grep -qE '^ok +kernel ' said
}

counts_everywhere() {
	with_overlay "$1" ./moves "$QEMU" -cpu host | tee said
	[ "$(grep -c '^both vCPUs counted on CPU ' said)" = $(($2 + 1)) ]
}

refuses_a_second() {
	fails_with "there is one PMU node already, /pmu-all-cpus" with_overlay biglittle \
		./pmu-hybrid-check --overlay
}

# refuses_unlike TOPOLOGY REASON
refuses_unlike() {
	fails_with "no overlay for this host: $2" \
		"$TOP/testbed/run" --kernel unlike --topology "$1" --file "$TOOL" -- \
		./pmu-hybrid-check --overlay
}

says_what_it_could_not_ask() {
	local status=0 unknown='the numbers of event counters are unknown'
	on_host biglittle sh -c 'cp pmu-hybrid-check /tmp &&
		setpriv --reuid=1000 --clear-groups /tmp/pmu-hybrid-check --overlay' >said 2>err ||
		status=$?
	cat said err
	[ "$status" = 2 ]
	grep -qF "CHECK FIRST: $unknown (/dev/kvm: Permission denied)" said
	grep -qxF "pmu-hybrid-check: $unknown: /dev/kvm: Permission denied;\
 the overlay says what to check" err
}

need dtc device-tree-compiler
cd "$TMP"
check "two PMU nodes: a guest's counter stands still on some CPUs" stands_still
check "an overlay for two PMU nodes" writes_overlay biglittle 2
check "the overlay leaves one of two PMU nodes" apply_overlay biglittle
check "Linux then has one PMU" has_one_pmu biglittle 0-3
check "a guest's counter then counts on all CPUs" counts_everywhere biglittle 4
check "a host that has the overlay gets no second one" refuses_a_second
check "an overlay for three PMU nodes" writes_overlay tricluster 3
check "the overlay leaves one of three PMU nodes" apply_overlay tricluster
check "a guest's counter then counts on all CPUs of three kinds" counts_everywhere \
	tricluster 6
check "PMUs with different numbers of event counters" refuses_unlike unlike-counters \
	"the kinds of core have different numbers of event counters, which one PMU cannot\
 have: /pmu-little has 4, /pmu-big has 6"
check "PMUs that are not PMUv3" refuses_unlike unlike-alien \
	"Linux has the PMUs vpmu_alien_little on CPUs 0-1, vpmu_alien_big on CPUs 2-3"
check "a user who may not use KVM" says_what_it_could_not_ask
finish
