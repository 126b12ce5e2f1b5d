#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Claim: on hosts of each kind, with and without the mode, pmu-hybrid-check tells root and users
# what tests/tool/hosts.expected has.
#
# After a change of a text, run tests/tool-host.t --update, and read the difference.
set -euo pipefail
# shellcheck source=tap.sh
. "$(dirname "$0")/tap.sh"

EXPECTED=$TOP/tests/tool/hosts.expected
HOSTS=(biglittle:patched biglittle:stock tricluster:patched tricluster:stock homogeneous:patched \
	homogeneous:stock nopmu:patched unlike-partial:patched)

# Leaves out versions of Linux and of Debian's QEMU, which change by themselves.
transcript() {
	local ours
	ours=$(tree_version qemu)
	echo "=== $1"
	"$TOP/testbed/run" --topology "${1%:*}" --kernel "${1#*:}" \
		--file "$ARTIFACTS/pmu-hybrid-check" --file "$ARTIFACTS/qemu-system-aarch64" \
		--file "$TOP/tests/tool/host" --file "$TOP/docs/check.md" -- ./host |
		sed -E "s/^(ok +host +Linux) [^ ]+/\1 VERSION/
			s,(/usr/bin/qemu-system-aarch64) [0-9.]+,\1 VERSION,
			s/ $ours\b/ OURS/"
}

says() {
	transcript "$1" >"$TMP/found"
	awk -v host="=== $1" '/^===/ { found = $0 == host } found' "$EXPECTED" >"$TMP/expected"
	diff -u "$TMP/expected" "$TMP/found"
}

none_is_left_over() {
	diff <(printf '=== %s\n' "${HOSTS[@]}") <(grep '^===' "$EXPECTED")
}

if [ "${1-}" = --update ]; then
	{
		head -n 1 "$EXPECTED"
		for host in "${HOSTS[@]}"; do transcript "$host"; done
	} >"$TMP/new"
	mv "$TMP/new" "$EXPECTED"
	exit
fi
for host in "${HOSTS[@]}"; do
	check "on ${host%:*} with the ${host#*:} kernel" says "$host"
done
check "hosts.expected has these hosts and no others" none_is_left_over
finish
