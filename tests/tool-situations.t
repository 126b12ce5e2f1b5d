#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Claim: pmu-hybrid-check, under sanitizers on this machine, reports right about VMs and about SoCs
# as hosts: it judges a VM only by what it knows of it, and chooses like QEMU.
#
# The expected texts are in tests/tool/situations, tests/tool/boards and boards.expected.
set -euo pipefail
# shellcheck source=tap.sh
. "$(dirname "$0")/tap.sh"

# A made-up host with the machine's own processes
make_live_root() {
	local devices=$TMP/live/sys/bus/event_source/devices/armv8_cortex_a72 \
		cpus=$TMP/live/sys/devices/system/cpu
	mkdir -p "$devices" "$cpus"
	ln -s /proc "$TMP/live/proc"
	echo 0-8191 | tee "$devices/cpus" "$cpus/online" >"$cpus/present"
	echo 8 >"$devices/type"
}

# new_namespace CMD...: runs CMD in a new PID namespace below this one, which sees all its processes
new_namespace() {
	exec unshare --user --map-root-user --pid --mount-proc --fork --kill-child "$@"
}

# look_at_live STATUS [CMD...]: runs the tool on a stand-in for QEMU, which CMD starts
look_at_live() {
	local expected=$1 status=0 qemu
	shift
	cd "$TMP"
	rm -f live.sock
	"$@" fake-qemu-live --listen live.sock &
	qemu=$!
	until [ -S live.sock ]; do
		kill -0 "$qemu" || return
		sleep 0.05
	done
	"${LOOK[@]}" "$FOLDER/pmu-hybrid-check" --root "$TMP/live" --kvm pmu --qmp live.sock \
		--json >json || status=$?
	kill "$qemu" 2>/dev/null || true
	cat json
	[ "$status" = "$expected" ]
}

# The tool finds process and threads by their numbers in this namespace.
namespace_below() {
	LOOK=()
	look_at_live 0 new_namespace
	python3 - <<-'END'
		import json
		vm = json.load(open("json"))["vm"]
		assert vm["pid"] > 2, vm
		assert len({vcpu["thread"] for vcpu in vm["vcpus"]}) == 2, vm
		assert vm["vcpus"][0]["cpu"] is not None, vm
	END
}

namespace_above() {
	LOOK=(unshare --user --map-root-user --pid --mount-proc --fork)
	look_at_live 2
	grep -qF 'where its vCPUs may run is unknown: QEMU is in another PID namespace' json
}

# After a change of a text, run tests/tool/boards TOOL --transcript, and read the difference.
transcripts_agree() {
	cd "$TMP"
	"$TOP/tests/tool/boards" "$FOLDER/pmu-hybrid-check" --transcript >boards
	diff -u <(tail -n +2 "$TOP/tests/tool/boards.expected") boards
}

FOLDER=${TOOL_FOLDER:-$("$TOP/scripts/build-tool" --native)}
mkdir "$TMP/bin"
for name in hybrid live stock; do
	ln -s "$TOP/tests/tool/fake-qemu" "$TMP/bin/fake-qemu-$name"
done
make_live_root
PATH=$TMP/bin:$PATH
export LC_ALL=C.UTF-8
names=$("$TOP/tests/tool/situations")
while read -r name; do
	check "$name" "$TOP/tests/tool/situations" -- "$FOLDER/pmu-hybrid-check" "$name"
done <<<"$names"
check "for each SoC of QEMU's unit test the tool chooses like QEMU" \
	"$TOP/tests/tool/boards" "$FOLDER/pmu-hybrid-check"
check "the transcript of a SoC of each kind" transcripts_agree
check "a VM in a PID namespace below the tool's" namespace_below
check "a VM in a PID namespace above the tool's" namespace_above
finish
