#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# The Windows test, where it has to fail, and where Windows answers on a port.
#
#   windows-without.t stops     the guest stops or hangs
#   windows-without.t network   it answers on a port, or does not
set -euo pipefail
# shellcheck source=../tap.sh
. "$(dirname "$0")/../tap.sh"
# shellcheck source=../avocado/windows.sh
. "$TOP/tests/avocado/windows.sh"

ANSWERS='ok 1 - test_windows\.py:Windows\.test_lives 1\.\.1 *$'
SILENT="not ok 1 .* in vain for Windows to be up. It is slow: .* the console: "
STOPPED="not ok 1 .* expected a Windows that lives, got 'STOP: divide by zero"
case ${1-} in
stops)
	check "stock kernel" on_ours "$STOPPED" -p cpu=host -p kernel=stock
	check "patched kernel" on_ours "$STOPPED" -p cpu=host -p kernel=patched
	make_image fault=hang
	check "a hang" on_ours "not ok 1 .* in vain for an answer after the moves. It hangs: .*\
 vCPU 0 spins at 0x[0-9a-f]+; vCPU 1 spins" -p moves=20
	;;
network)
	make_image listen=3389
	check "Remote Desktop answers" on_network "$ANSWERS" -p ready=tcp:3389 -p moves=20
	unset IMAGE
	check "nothing listens" on_network "$SILENT" -p boot_seconds=120
	;;
*) die "usage: windows-without.t stops|network" ;;
esac
finish
