#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Claim: whatever sysfs holds, the topology reader and the choice of the QEMU series make no wrong
# access, leak nothing and contradict themselves nowhere: their unit test and a fuzzer, both under
# AddressSanitizer and UndefinedBehaviorSanitizer.
#
#   tests/qemu-fuzz.t [INPUTS SEED]     another number of inputs, drawn from another seed
#
# An input that fails is left in build/results/, and named; give it to build/tests/fuzz-host-pmu.
set -euo pipefail
# shellcheck source=fuzz.sh
. "$(dirname "$0")/fuzz.sh"

SOURCE=$BUILD/qemu
# QEMU's base library and generated headers are those of its unit tests. Its functions that get our
# sets and texts are compiled with sanitizers, too.
OBJECTS=$BUILD/qemu-unit
FUZZER=$BUILD/tests/fuzz-host-pmu

# sanitized OUTPUT SANITIZERS SOURCE...
sanitized() {
	local output=$1 sanitizers=$2 flags
	shift 2
	read -ra flags < <(pkg-config --cflags --libs glib-2.0 gmodule-2.0)
	mkdir -p "${output%/*}"
	clang -g -O1 -std=gnu11 -fwrapv -fno-strict-aliasing -Wall -Werror -Wno-unused-function \
		"-fsanitize=$sanitizers" -fno-sanitize-recover=all -D_GNU_SOURCE \
		-iquote "$OBJECTS" -iquote "$SOURCE" -iquote "$SOURCE/include" \
		-iquote "$SOURCE/host/include/generic" -I"$OBJECTS" \
		-o "$output" "$@" "$SOURCE"/{target/arm/host-pmu,util/bitmap,util/cutils}.c \
		"$OBJECTS/libqemuutil.a" "${flags[@]}" -lm
}

# As root the test of unreadable files is skipped.
unit_test() {
	sanitized "$TMP/unit" address,undefined "$SOURCE/tests/unit/test-arm-host-pmu.c"
	"$TMP/unit" --tap -k --seed "$GLIB_SEED" >"$TMP/tap" 2>&1 || {
		cat "$TMP/tap"
		return 1
	}
	has_seed "$TMP/tap"
	[ "$(grep -c '^ok ' "$TMP/tap")" -gt 30 ]
}

build_fuzzer() {
	# Under another name first: the row that fuzzes for longer may be running the program.
	sanitized "$FUZZER.$$" fuzzer,address,undefined "$TOP/tests/fuzz/host-pmu.c"
	mv "$FUZZER.$$" "$FUZZER"
}

inputs=${1-20000}
seed=${2-1}
need clang clang
"$TOP/scripts/build-qemu" --unit-tests >/dev/null
check "unit test under ASan and UBSan" unit_test
build_fuzzer
check "fuzzed with $inputs inputs of seed $seed" fuzz "$TOP/tests/fuzz/corpus" 1024 \
	-runs="$inputs" -seed="$seed"
finish
