#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Claim: with kernels as Debian builds them for its releases, and Debian's QEMU, a guest's counter
# stands still on some CPUs of the emulated host, and counts on all of them with the overlay that
# pmu-hybrid-check wrote there.
#
# The oldest of them is 6.1, where the host's perf writes PMUSERENR_EL0 when it starts a counter, so
# that the guest's user mode traps until the vCPU is loaded again. On that kernel the test runs only
# winlike's loader, which has no user mode.
#
# Debian's kernels have the drivers of our disk as modules, so all is in an initramfs.
set -euo pipefail
# shellcheck source=../tap.sh
. "$(dirname "$0")/../tap.sh"

ROOTFS=$ARTIFACTS/rootfs.img
LIBRARIES=/usr/lib/aarch64-linux-gnu

# take PATH FILE: copies a file of the emulated host's system; it may be a link to one in the same
# folder
take() {
	local path=$1 link
	link=$(debugfs -R "stat $path" "$ROOTFS" 2>/dev/null |
		sed -n 's/^Fast link dest: "\(.*\)"/\1/p')
	debugfs -R "dump ${link:+${path%/*}/}${link:-$path} $2" "$ROOTFS" 2>/dev/null
	[ -s "$2" ] || die "the emulated host has no $path; see testbed/rootfs.packages"
}

# take_libraries FILE: copies the libraries that FILE needs, directly or not
take_libraries() {
	local name
	while read -r name; do
		[ -e "$HOST/lib/$name" ] || {
			take "$LIBRARIES/$name" "$HOST/lib/$name"
			take_libraries "$HOST/lib/$name"
		}
	done < <(aarch64-linux-gnu-readelf --dynamic "$1" | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p')
}

make_host() {
	HOST=$TMP/debian-host
	mkdir -p "$HOST/lib"
	(cd "$HOST" && cpio --quiet --extract --to-stdout bin/busybox \
		<"$ARTIFACTS/guests-linux/initrd" >busybox)
	cp "$ARTIFACTS/pmu-hybrid-check" "$ARTIFACTS/guests/winlike.bin" \
		"$TOP"/tests/tool/{moves,calibrates,on-debian} "$HOST"
	take /usr/bin/qemu-system-aarch64 "$HOST/qemu-system-aarch64"
	take_libraries "$HOST/qemu-system-aarch64"
	take_libraries "$HOST/pmu-hybrid-check"
	chmod +x "$HOST/busybox" "$HOST/qemu-system-aarch64" "$HOST/lib/ld-linux-aarch64.so.1"
}

# on_debian KERNEL PROGRAM: what tests/tool/on-debian prints, in the files said and on-stderr
on_debian() {
	local status=0
	VPMU_IMAGE=$1 "$TOP/testbed/run" --exact --topology biglittle --timeout 1800 \
		--file "$HOST" -- debian-host/busybox sh debian-host/on-debian "$2" \
		>said 2>on-stderr || status=$?
	cat on-stderr
	head -n 1 on-stderr | grep -q '^Linux .* Debian '
	return "$status"
}

# stands_still KERNEL PROGRAM
stands_still() {
	! on_debian "$@" || return 1
	mv said one-pmu.dts
	grep -qE '^the VM ended on CPU 2: STOP: divide by zero vcpu=[01] ' on-stderr
	[ "$(grep -c '; 6 event counters$' one-pmu.dts)" = 2 ]
}

# counts_everywhere KERNEL PROGRAM LINE: PROGRAM prints LINE for each CPU
counts_everywhere() {
	cp "$ARTIFACTS/biglittle.dtb" OLD.dtb
	bash -eo pipefail -c \
		"$(python3 "$TOP/tests/lib/pages.py" tool/overlay-debian docs/overlay.md)"
	VPMU_TREE=$TMP/NEW.dtb on_debian "$1" "$2"
	grep -qxF 'ok       pmu      armv8_pmuv3 on CPUs 0-3' on-stderr
	[ "$(grep "^$3 on CPU " on-stderr | sort -u | wc -l)" = 4 ]
}

user_mode_traps() {
	! on_debian "$1" moves || return 1
	grep -q '^the VM ended on CPU 0: FAIL: user mode cannot read PMCCNTR_EL0' on-stderr
}

# try_kernel SUITE KERNEL PROGRAM LINE
try_kernel() {
	check "kernel of $1: a guest's counter stands still" stands_still "$2" "$3"
	check "kernel of $1 with the overlay: it counts on all CPUs" counts_everywhere "$2" "$3" \
		"$4"
}

need debugfs e2fsprogs
need cpio cpio
cd "$TMP"
make_host
kernel=$ARTIFACTS/guests-linux/vmlinuz
try_kernel "$GUEST_SUITE" "$kernel" calibrates 'the clock is right'
check "kernel of $GUEST_SUITE: user mode of a guest cannot always read the counter" \
	user_mode_traps "$kernel"
for suite in $GUEST_NEWER_SUITES; do
	try_kernel "$suite" "$ARTIFACTS/guests-linux-newer/vmlinuz-$suite" moves \
		'both vCPUs counted'
done
finish
