#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Claim: with trace=on the Windows test records the accesses to the PMU in their order, those of the
# loader first; see docs/windows.md. The kernel has a distribution's options and trace events;
# KERNEL= names another one.
set -euo pipefail
# shellcheck source=../tap.sh
. "$(dirname "$0")/../tap.sh"
# shellcheck source=../avocado/windows.sh
. "$TOP/tests/avocado/windows.sh"

# The accesses of the image of guests/uefi, see guests/lib/calibrate.c
LOADER="read PMCCNTR_EL0
read PMCR_EL0
write PMCNTENCLR_EL0
write PMOVSCLR_EL0
write PMINTENCLR_EL1
write PMCR_EL0
write PMCCFILTR_EL0
write PMCNTENSET_EL0
write PMUSERENR_EL0
read PMCCNTR_EL0"

# The loader's accesses are those of the first vCPU alone, and others come after them.
traces() {
	local file folder=$BUILD/results/windows-trace
	# "latest" may be another row's job
	rm -rf "$folder"
	on_ours "ok 1 - test_windows\.py:Windows\.test_lives 1\.\.1 *$" \
		-p "kernel=${KERNEL:-apparmor}" -p trace=on --job-results-dir "$folder"
	file=$(find "$folder" -name pmu-accesses.txt)
	head -n 20 "$file"
	! grep -vxE 'vcpu=[0-3] cpu=[0-3] time=[0-9.]+ pc=0x[0-9a-f]+ (read|write) PM[A-Z0-9_]+' \
		"$file" || return
	diff <(echo "$LOADER") <(head -n 10 "$file" | cut -d ' ' -f 5-)
	! head -n 10 "$file" | grep -v '^vcpu=0 ' || return
	grep -q '^vcpu=3 .* read PMCCNTR_EL0$' "$file"
}

check "the accesses are recorded" traces
check "a kernel without trace events cancels the test" on_ours \
	"ok 1 .* # SKIP .* kvm:kvm_sys_access" -p kernel=patched -p trace=on
finish
