# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
# Sourced by tests that run a fuzzer. FUZZER is its path.

# shellcheck source=tap.sh
. "$(dirname "${BASH_SOURCE[0]}")/tap.sh"

# fuzz CORPUS LENGTH OPTION...: inputs of at most LENGTH bytes; one that fails is left in
# build/results/
fuzz() {
	local corpus=$1 length=$2
	shift 2
	mkdir -p "$BUILD/results" "$TMP/new"
	echo "$*"
	"$FUZZER" "$@" -timeout="$(scale_timeout 300)" -max_len="$length" \
		-artifact_prefix="$BUILD/results/${FUZZER##*/}-" \
		"$TMP/new" "$corpus" >"$TMP/fuzz" 2>&1 || {
		tail -n 30 "$TMP/fuzz"
		return 1
	}
	# NEW: the fuzzer ran, and reached code that the corpus does not reach.
	tail -n 1 "$TMP/fuzz"
	grep -q 'NEW ' "$TMP/fuzz"
}
