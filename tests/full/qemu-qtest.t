#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Claim: QEMU's own test of CPU features, as the series extends it, passes with KVM, on the stock
# and on the patched kernel.
set -euo pipefail
# shellcheck source=../tap.sh
. "$(dirname "$0")/../tap.sh"

# The test starts the machine with its default network card, and our build of QEMU has no firmware:
# an empty option ROM is enough, as nothing runs it.
write_wrapper() {
	mkdir "$TMP/qtest"
	truncate -s 64K "$TMP/qtest/efi-virtio.rom"
	cat >"$TMP/qtest/qemu-system-aarch64" <<-'EOT'
		#!/bin/sh
		exec /root/qemu-system-aarch64 -L /root/qtest "$@"
	EOT
	chmod +x "$TMP/qtest/qemu-system-aarch64"
}

# The output must have QEMU's name of the test: otherwise nothing was tested.
passes_on() {
	"$TOP/testbed/run" --kernel "$1" --file "$ARTIFACTS/qemu-system-aarch64" --file "$QTEST" \
		--file "$TMP/qtest" -- \
		env QTEST_QEMU_BINARY=/root/qtest/qemu-system-aarch64 "./${QTEST##*/}" \
		--tap --seed "$GLIB_SEED" </dev/null | tee "$TMP/tap"
	has_seed "$TMP/tap"
	grep -q '^ok .*/arm/kvm/query-cpu-model-expansion$' "$TMP/tap"
}

QTEST=$("$TOP/scripts/build-qemu" --qtest)
write_wrapper
for kernel in stock patched; do
	check "arm-cpu-features on the $kernel kernel" passes_on "$kernel"
done
finish
