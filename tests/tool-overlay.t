#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Claim: for each board of tests/tool/boards.tsv pmu-hybrid-check --overlay writes an overlay that
# compiles without a warning and leaves one PMU node with the interrupts that the table says, with
# and without labels in the board's tree; or one reason why one PMU is wrong.
#
# After a change of a text, run tests/tool-overlay.t --update, and read the difference.
set -euo pipefail
# shellcheck source=tap.sh
. "$(dirname "$0")/tap.sh"

BOARDS=$TOP/tests/tool/boards.py
TEXTS=$TOP/tests/tool/overlays.expected
# Whole texts: PPI with partitions, SPIs, PPI shared, no node; options of dtc, -@ for labels
SHOWN="rockchip,rk3588:-@ nvidia,tegra186:-@ nvidia,tegra186: qcom,sm8350: mediatek,mt6797:"

# name | board | changes of its tree | what the error says
REFUSALS='
Apple|rockchip,rk3588|&pmu0 { compatible = "apple,icestorm-pmu"; };|
	apple,icestorm-pmu is Apple'"'"'s own and no PMUv3
one PMU|rockchip,rk3588|/delete-node/ &pmu1; &pmu0 { interrupts = <1 7 4 0>; };|
	there is one PMU node already, /pmu-0
an overlay that is applied already|rockchip,rk3588|
	&pmu0 { status = "disabled"; }; &pmu1 { compatible = "arm,armv8-pmuv3"; };|
	there is one PMU node already, /pmu-1
different PPIs|rockchip,rk3588|&pmu1 { interrupts = <1 8 4 &part1>; };|
	/pmu-0 and /pmu-1 have different PPIs
a PPI and SPIs|nvidia,tegra186|
	&pmu0 { interrupts = <1 7 4>; /delete-property/ interrupt-affinity; };|
	/pmu-0 and /pmu-1 have interrupts of different kinds
different controllers|nvidia,tegra186|&pmu1 { interrupt-parent = <&before>; };|
	/pmu-0 and /pmu-1 have different interrupt controllers
two controllers in one node|nvidia,tegra186|
	&pmu0 { /delete-property/ interrupts;
	 interrupts-extended = <&gic 0 320 4>, <&before 0 321 4>; };|
	the interrupts of /pmu-0 are those of several controllers
no interrupts|rockchip,rk3588|&pmu1 { /delete-property/ interrupts; };|/pmu-1 has no interrupts
no GIC|nvidia,tegra186|&gic { #interrupt-cells = <2>; };|
	the interrupts of /pmu-0 are not in the form of a GIC'"'"'s
SPIs of unknown CPUs|nvidia,tegra186|&pmu0 { /delete-property/ interrupt-affinity; };|
	/pmu-0 has 2 interrupts for 0 CPUs
CPUs without a PMU|rockchip,rk3588|&part1 { affinity = <&cpu4 &cpu5>; };|
	no PMU node is for /cpus/cpu@6 /cpus/cpu@7
a missing partition|rockchip,rk3588|&pmu1 { interrupts = <1 7 4 0x7777>; };|
	the interrupt of /pmu-1 is of a partition that is not there
a PPI among SPIs|nvidia,tegra186|&pmu0 { interrupts = <0 320 4>, <1 7 4>; };|
	/pmu-0 has interrupts of different kinds
an affinity that dangles|nvidia,tegra186|
	&pmu0 { interrupt-affinity = <0x7777 &cpu1>; }; &cpu0 { status = "fail"; };|
	the interrupt-affinity of /pmu-0 names a node that is not there
two interrupts for a CPU|nvidia,tegra186|
	&pmu0 { interrupt-affinity = <&cpu0 &cpu0>; }; &cpu1 { status = "fail"; };|
	the PMUs have two interrupts for /cpus/cpu@0
a PMU with an empty status|nvidia,tegra186|&pmu0 { status = ""; };|there is one PMU node already
no PMU and no timer|qcom,eliza|/delete-node/ &timer;|no node of the architecture'"'"'s timer
'

# name | changes of a tree that leave it its PMUs
ODD='
a model that drives a terminal|/ { model = "\x1b[2J"; };
a root that claims to be a PMU|/ { compatible = "arm,cortex-a55-pmu"; interrupts = <1 7 4>; };
a symbol that is no label|/ { __symbols__ { a-gic = "/interrupt-controller@1000"; }; };
'

# make_board SOC DTC-OPTION [CHANGES]: its tree in base.dtb and, as Linux shows it, in root
make_board() {
	rm -rf root base.dtb
	{
		"$BOARDS" tree "$1"
		echo "${3-}"
	} >base.dts
	# shellcheck disable=SC2086 # no option is no word
	dtc -q $2 -I dts -O dtb -o base.dtb base.dts
	"$BOARDS" unpack base.dtb root/sys/firmware/devicetree/base
}

# For a host made of folders there is no KVM to ask for the numbers of counters.
write_overlay() {
	local status=0 reason="${1:-root has no KVM to ask}"
	"$TOOL" --overlay --root root >one-pmu.dts 2>stderr || status=$?
	cat stderr
	[ "$status" = 2 ]
	[ "$(cat stderr)" = "pmu-hybrid-check: the numbers of event counters are unknown: $reason;\
 the overlay says what to check" ]
}

# Compiles with the command that the overlay itself names.
apply_overlay() {
	local compile
	compile=$(sed -n 's/^ \* \+\(dtc .*\)/\1/p' one-pmu.dts)
	[ -n "$compile" ]
	bash -c "$compile" 2>&1 | tee warnings
	[ ! -s warnings ]
	fdtoverlay -i base.dtb -o new.dtb one-pmu.dtbo
}

# why_unknown SOC: the reason why the numbers of event counters are unknown
why_unknown() {
	case $(awk -v soc="$1" '$2 == soc { print $1 }' "$TOP/tests/tool/boards.tsv") in
	none) echo "without a PMU KVM has none" ;;
	shared) echo "each PMU claims the CPUs of others, so KVM has one number for all" ;;
	separate) echo "root has no KVM to ask" ;;
	esac
}

one_pmu() {
	make_board "$1" "$2"
	write_overlay "$(why_unknown "$1")"
	apply_overlay
	diff -u <("$BOARDS" expect "$1") <("$BOARDS" found new.dtb)
}

print_texts() {
	local board
	echo "# SPDX-License-Identifier: GPL-2.0-or-later"
	for board in $SHOWN; do
		echo "=== $board"
		make_board "${board%:*}" "${board#*:}"
		write_overlay "$(why_unknown "${board%:*}")" >/dev/null
		cat one-pmu.dts
	done
}

texts_agree() {
	print_texts >found
	diff -u "$TEXTS" found
}

refuses() {
	make_board "$1" -@ "$2"
	fails_with "pmu-hybrid-check: error: no overlay for this host: " \
		"$TOOL" --overlay --root root
	grep -qF -- "$3" "$TMP/err"
}

# With ACPI the EFI stub makes a tree of its own.
refuses_acpi() {
	rm -rf root
	mkdir -p root/sys/firmware/devicetree/base/chosen
	fails_with "with ACPI the firmware says which PMUs there are" "$TOOL" --overlay --root root
	fails_with "with ACPI the firmware says which PMUs there are" "$TOOL" --overlay --root none
}

# The overlay cannot disable PMUs that Linux has and the tree does not name.
refuses_unknown_pmus() {
	make_board qcom,eliza -@
	mkdir -p root/sys/bus/event_source/devices/vendor_pmu
	echo 0-7 >root/sys/bus/event_source/devices/vendor_pmu/cpus
	echo 8 >root/sys/bus/event_source/devices/vendor_pmu/type
	fails_with "Linux has the PMUs vendor_pmu on CPUs 0-7, which are not all from nodes that\
 are known here" "$TOOL" --overlay --root root
}

# interrupts-extended names the controller itself, as Renesas' trees do.
takes_extended_interrupts() {
	make_board renesas,r8a774a1 -@ '/ { /delete-property/ interrupt-parent; };
		&pmu0 {
			/delete-property/ interrupts;
			interrupts-extended = <&gic 0 72 4>, <&gic 0 73 4>;
		};
		&pmu1 { interrupt-parent = <&gic>; };'
	write_overlay
	apply_overlay
	diff -u <("$BOARDS" expect renesas,r8a774a1) <("$BOARDS" found new.dtb)
}

takes_odd() {
	make_board nvidia,tegra186 -@ "$1"
	write_overlay
	apply_overlay
	! grep $'\e' one-pmu.dts || return 1
}

# dtc refuses this name, but Linux does not.
takes_end_of_comment() {
	local base=root/sys/firmware/devicetree/base
	make_board nvidia,tegra186 -@
	mkdir "$base/soc*"
	mv "$base/pmu-0" "$base/soc*"
	write_overlay
	dtc -q -I dts -O dtb -o one-pmu.dtbo one-pmu.dts
}

refuses_printably() {
	local base=root/sys/firmware/devicetree/base
	make_board nvidia,tegra186 -@ '&pmu0 { interrupts = <0 320 4>, <1 7 4>; };'
	mv "$base/pmu-0" "$base/"$'pmu\e[2J'
	fails_with 'pmu?[2J has interrupts of different kinds' "$TOOL" --overlay --root root
}

# A CPU that is switched off needs no PMU.
leaves_out_absent_cpus() {
	make_board rockchip,rk3588 -@ \
		'&part1 { affinity = <&cpu4 &cpu5 &cpu6>; }; &cpu7 { status = "fail"; };'
	write_overlay
}

refuses_other_questions() {
	fails_with "--overlay goes with --root alone" "$TOOL" --overlay --json
	fails_with "--overlay goes with --root alone" "$TOOL" --overlay --cpus 0
}

need dtc device-tree-compiler
TOOL=$("$TOP/scripts/build-tool" --native)/pmu-hybrid-check
cd "$TMP"
if [ "${1-}" = --update ]; then
	print_texts >"$TMP/new"
	mv "$TMP/new" "$TEXTS"
	exit
fi
for soc in $("$BOARDS" socs); do
	for option in with:-@ without:; do
		check "$soc, ${option%:*} labels" one_pmu "$soc" "${option#*:}"
	done
done
check "whole texts" texts_agree
check "interrupts-extended" takes_extended_interrupts
check "a CPU that is switched off needs no PMU" leaves_out_absent_cpus
while IFS='|' read -r name changes; do
	check "takes: $name" takes_odd "$changes"
done < <(rows "$ODD")
check "takes: a name that ends a comment" takes_end_of_comment
check "refuses: a name that drives a terminal" refuses_printably
while IFS='|' read -r name board changes text; do
	check "refuses: $name" refuses "$board" "$changes" "$text"
done < <(rows "$REFUSALS")
check "refuses: ACPI" refuses_acpi
check "refuses: PMUs without a known node" refuses_unknown_pmus
check "refuses: other questions" refuses_other_questions
finish
