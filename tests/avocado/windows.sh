# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
# Runs the Windows test on our image. Source tap.sh first.

# windows EXPECTED ARGUMENT...: runs test_windows.py with these arguments. EXPECTED is a regular
# expression for its TAP, joined into one line
windows() {
	local expected=$1
	shift
	"$TOP/tests/avocado/run" --tap "$@" tests/avocado/test_windows.py >"$TMP/tap" || true
	cat "$TMP/tap"
	tr '\n' ' ' <"$TMP/tap" | grep -qE -- "$expected"
}

# on_ours EXPECTED ARGUMENT...: with the image of guests/uefi, or the one in IMAGE
on_ours() {
	local expected=$1
	shift
	on_default_signal "$expected" -p ready=serial:READY "$@"
}

# on_default_signal EXPECTED ARGUMENT...: the same with the test's default sign that Windows is up
on_default_signal() {
	local expected=$1
	shift
	windows "$expected" -p "windows_image=${IMAGE:-$ARTIFACTS/guests-uefi/winlike.img}" \
		-p memory=512 -p moves=200 "$@"
}

# on_network EXPECTED ARGUMENT...: the same with the QEMU of the emulated host's Debian, as ours has
# no user network (slirp). Debian's has no pmu-hybrid, so the guest stays on one CPU until it is up.
on_network() {
	local expected=$1
	shift
	printf '%s\n' '#!/bin/sh' \
		'exec taskset -c 0 /usr/bin/qemu-system-aarch64 "$@"' >"$TMP/qemu-of-debian"
	chmod +x "$TMP/qemu-of-debian"
	on_default_signal "$expected" -p "qemu=$TMP/qemu-of-debian" -p cpu=host "$@"
}

# make_image PARAMETERS: a copy of the image with such parameters, as IMAGE
make_image() {
	IMAGE=$TMP/windows.img
	cp --sparse=always "$ARTIFACTS/guests-uefi/winlike.img" "$IMAGE"
	"$TOP/guests/uefi/set-parameters" "$IMAGE" "$1"
}
