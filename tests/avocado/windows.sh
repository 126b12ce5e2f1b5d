# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
# Runs the Windows test on our image. Whoever sources this has sourced tap.sh and made TMP.

# windows EXPECTED ARGUMENT...: test_windows.py with such parameters ends so: a regular expression for its TAP in one line
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
	windows "$expected" -p "windows_image=${IMAGE:-$ARTIFACTS/guests-uefi/winlike.img}" -p memory=512 -p ready=serial:READY \
		-p moves=200 "$@"
}
