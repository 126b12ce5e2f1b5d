#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Claim: pmu-hybrid-check, under sanitizers on this machine, reports right about hosts and VMs made
# of folders, ends with the right status, gives one error for wrong use, and agrees with its manual
# page and completion. tool-host.t and avocado/test_tool.py run it on real KVM.
set -euo pipefail
# shellcheck source=tap.sh
. "$(dirname "$0")/tap.sh"

SOURCES=$TOP/tools/pmu-hybrid-check
LIMIT=$(scale_timeout 90)
GRACE=$(scale_timeout 1)

# put FILE TEXT: "\n" and "\t" in the text are what they are in printf
put() {
	mkdir -p "${1%/*}"
	printf %b "$2" >"$1"
}

# put_thread PROCESS THREAD NAME CPUS CPU
put_thread() {
	local zeros
	zeros=$(printf ' 0%.0s' {1..35})
	put "$TMP/root/proc/$2/status" "Name:\t$3\nTgid:\t$1\nCpus_allowed_list:\t$4\n"
	put "$TMP/root/proc/$2/stat" "$2 ($3) S$zeros $5 0 0\n"
	put "$TMP/root/proc/$1/task/$2/comm" "$3\n"
}

# A host with two PMUs, a VM whose emulator thread runs on other CPUs than its vCPUs, and a process
# that is no VM
make_root() {
	local devices=$TMP/root/sys/bus/event_source/devices cpus=$TMP/root/sys/devices/system/cpu \
		name
	put "$TMP/root/proc/sys/kernel/osrelease" '7.3.4\n'
	put "$cpus/online" '0-7\n'
	put "$cpus/present" '0-7\n'
	put "$cpus/cpu0/cpu_capacity" '530\n'
	put "$cpus/cpu4/cpu_capacity" '1024\n'
	put "$devices/armv8_cortex_a55/cpus" '0-3\n'
	put "$devices/armv8_cortex_a55/type" '8\n'
	put "$devices/armv8_cortex_a76/cpus" '4-7\n'
	put "$devices/armv8_cortex_a76/type" '9\n'
	put_thread 100 100 qemu-system-aar 0-3 1
	put_thread 100 101 'CPU 0/KVM' 4-7 4
	put_thread 100 102 'CPU 1/KVM' 4-7 5
	put "$TMP/root/proc/100/cmdline" 'qemu\0-cpu\0host\0'
	put_thread 300 300 'IO thread' 0-3 0
	# the loader finds this before the machine's own libvirt
	put "$TMP/no-libvirt/libvirt.so.0" ''
	mkdir "$TMP/bin"
	for name in hybrid stock broken rude garbage wrapper silent asleep; do
		ln -s "$TOP/tests/tool/fake-qemu" "$TMP/bin/fake-qemu-$name"
	done
}

tool() {
	"$FOLDER/pmu-hybrid-check" "$@"
}

# Starts the monitors that the arguments name; each serves one client.
start_monitors() {
	local name
	for name in hybrid stock; do
		[[ " $* " != *" $name.sock "* ]] || {
			rm -f "$name.sock"
			"fake-qemu-$name" --listen "$name.sock" &
			MONITORS+=($!)
			until [ -S "$name.sock" ]; do
				kill -0 $! || return
				sleep 0.05
			done
		}
	done
}

# Fails if a program that the tool started still runs.
nothing_is_left() {
	local process left=0
	while read -r process; do
		grep -qs '^State:.[^Z]' "/proc/$process/status" || continue
		echo "process $process was left behind"
		kill -9 "$process"
		left=1
	done <started
	[ "$left" = 0 ]
}

check_case() {
	local arguments status=0 expected=$2 text=${3//%bin/$TMP/bin}
	text=${text//%root/$TMP/root}
	read -ra arguments <<<"$1"
	[[ $1 = *--root* ]] || arguments+=(--root "$TMP/root")
	MONITORS=()
	: >started
	start_monitors "${arguments[@]}"
	LD_LIBRARY_PATH=$TMP/no-libvirt timeout -k "$GRACE" "$LIMIT" "$FOLDER/pmu-hybrid-check" \
		"${arguments[@]}" >stdout 2>stderr || status=$?
	kill "${MONITORS[@]}" 2>/dev/null || true
	cat stdout stderr
	echo "exit status $status, expected $expected and a line: $text"
	nothing_is_left
	[ "$status" = "$expected" ]
	text=$(escape "$text")
	if [ "$status" = 4 ]; then
		[ ! -s stdout ]
		[ "$(wc -l <stderr)" = 1 ]
		grep -qxE -- "pmu-hybrid-check: error: $text" stderr
	else
		[ ! -s stderr ]
		grep -qxE -- "$text" stdout
	fi
}

gives_advice() {
	local arguments status=0
	read -ra arguments <<<"$2"
	tool --advise --root "$TMP/root" --qemu "fake-qemu-$1" \
		"${arguments[@]}" >stdout 2>stderr || status=$?
	cat stdout stderr
	[ "$status" = "$3" ]
	diff stdout <(printf '%s' "${4:+$4$'\n'}")
	if [ -z "$5" ]; then
		[ ! -s stderr ]
	else
		[ "$(wc -l <stderr)" = 1 ]
		grep -qxE -- "pmu-hybrid-check: $5" stderr
	fi
}

# Escapes regular expressions except ".*", which the tables' texts use.
escape() {
	printf '%s' "$1" | sed 's/[][()?+|\\]/\\&/g'
}

unit_tests() {
	local name
	for name in test-check test-host-pmu; do
		"$FOLDER/$name" --tap -k --seed "$GLIB_SEED" >tap 2>&1 || { cat tap; return 1; }
		has_seed tap
		[ "$(grep -c '^ok ' tap)" -ge "$1" ]
	done
}

# looks_at NAME: without --qemu the tool looks at this QEMU
looks_at() {
	tool --root "$TMP/root" >stdout || [ $? = 2 ]
	cat stdout
	grep -qF "  qemu     $TMP/bin/$1 10.2.2" stdout
}

# The QEMU of our packages comes before the distribution's.
finds_qemu() {
	printf '#!/bin/sh\nexec fake-qemu-stock "$@"\n' >bin/qemu-system-aarch64
	chmod +x bin/qemu-system-aarch64
	looks_at qemu-system-aarch64
	ln -s fake-qemu-hybrid bin/qemu-system-aarch64-pmu-hybrid
	looks_at qemu-system-aarch64-pmu-hybrid
}

json_agrees() {
	tool --root "$TMP/root" --pid 100 --kvm pmu,set-pmu,fixed-counters --json >json ||
		[ $? = 3 ]
	python3 - <<-'END'
		import json
		found = json.load(open("json"))
		vm = found["vm"]
		assert (found["verdict"], len(found["findings"])) == ("problem", 4), found
		assert (vm["pid"], vm["emulator-cpus"], vm["backend"]) == (100, "0-3", None), vm
		assert vm["vcpus"][1] == {"index": 1, "thread": 102, "cpu": 5, "cpus": "4-7"}, vm
		assert vm["kvm"] is True and vm["pmu"] is True, vm
		assert vm["pmu-hybrid"] is False and vm["ended"] is False, vm
		assert found["choice"] == {
		    "cpus": "4-7", "outcome": "pmu", "pmu": "armv8_cortex_a76"}, found
		assert found["schema"] == 1 and "advice" not in found["findings"][0], found
	END
}

# --help and the manual page have the same options.
manual_page_agrees() {
	groff -man -ww -z "$SOURCES/pmu-hybrid-check.1" 2>&1 | tee warnings
	[ ! -s warnings ]
	tool --help | grep -oE '^  (-., )?--[a-z]+' | grep -oE -- '--.*' | sort >help
	groff -man -Tascii -P-cbou "$SOURCES/pmu-hybrid-check.1" | grep -oE '^ +(-., )?--[a-z]+' |
		grep -oE -- '--.*' | sort >manual
	diff help manual
}

# The tool has the same list of QEMU's options without an argument as QEMU.
flags_agree() {
	grep -oE '^DEF\("[^"]+", *0' "$BUILD/qemu/qemu-options.hx" | cut -d '"' -f 2 | sort >qemu
	sed -n '/^static const char \*const flags/,/^};/p' "$SOURCES/cmdline.c" |
		grep -oE '"[^"]+"' | tr -d '"' | grep -vx h | sort >tool
	diff qemu tool
}

complete_word() {
	bash -c '
		PATH=$0:$PATH
		. "$1"
		shift
		COMP_WORDS=("$@")
		COMP_CWORD=$(($# - 1))
		_pmu_hybrid_check
		echo "${COMPREPLY[*]}"' \
		"$FOLDER" "$SOURCES/completion.bash" pmu-hybrid-check "$@"
}

completion_completes() {
	[ "$(complete_word --do)" = --domain ]
	[ "$(complete_word --q)" = "--qmp --qemu" ]
	[ "$(complete_word --connect qemu:///sy)" = qemu:///system ]
	[ "$(complete_word --kvm n)" = none ]
	: >some-file
	[ "$(complete_word --qemu some-f)" = some-file ]
	[ "$(complete_word --qemu = some-f)" = some-file ]
}

FOLDER=${TOOL_FOLDER:-$("$TOP/scripts/build-tool" --native)}
make_root
cd "$TMP"
put ./cpus '0-3\n'
PATH=$TMP/bin:$PATH
export LC_ALL=C.UTF-8
check "its unit tests, and QEMU's unit test of the shared code" unit_tests 21
while IFS='|' read -r name arguments status line; do
	check "$name" check_case "$arguments" "$status" "$line"
done < <(rows "$(cat "$TOP/tests/tool/check.cases")")
while IFS='|' read -r name qemu arguments status line error; do
	check "advice: $name" gives_advice "$qemu" "$arguments" "$status" "$line" "$error"
done < <(rows "$(cat "$TOP/tests/tool/advice.cases")")
check "it finds the right QEMU" finds_qemu
check "JSON" json_agrees
check "manual page" manual_page_agrees
check "completion" completion_completes
check "QEMU's options without an argument" flags_agree
finish
