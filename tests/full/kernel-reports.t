#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Claim: testbed/run fails if the debug kernel finds something; otherwise a storm would prove
# nothing. How: lkdtm makes one fault for each checker of the kernel.
set -euo pipefail
# shellcheck source=../tap.sh
. "$(dirname "$0")/../tap.sh"

# reported TEXT PROVOCATION: testbed/run fails, and with TEXT on the console
reported() {
	local status=0 log
	"$TOP/testbed/run" --kernel debug --boot-timeout 300 -- \
		sh -c "echo $2 >/sys/kernel/debug/provoke-crash/DIRECT" >"$TMP/err" 2>&1 ||
		status=$?
	cat "$TMP/err"
	[ "$status" = 123 ] || { echo "expected status 123, got $status"; return 1; }
	log=$(sed -n 's/.*console log: //p' "$TMP/err")
	grep -F -- "$1" "$log"
}

check "KASAN: use after free" reported "BUG: KASAN: slab-use-after-free" READ_AFTER_FREE
check "KASAN: beyond the end of vmalloc memory" reported "BUG: KASAN: vmalloc-out-of-bounds" \
	VMALLOC_LINEAR_OVERFLOW
check "UBSAN: beyond the end of an array" reported "UBSAN: array-index-out-of-bounds" ARRAY_BOUNDS
check "lists: corrupt" reported "list_add corruption" CORRUPT_LIST_ADD
check "lockdep: return to user space with a lock held" reported \
	"lock held when returning to user space" SPINLOCKUP
finish
