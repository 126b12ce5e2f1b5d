#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Claim: whatever /proc, /sys and QEMU's monitor hold, pmu-hybrid-check makes no wrong access, leaks
# nothing, and prints a valid report or an error: a fuzzer under AddressSanitizer and
# UndefinedBehaviorSanitizer.
#
#   tests/tool-fuzz.t [INPUTS SEED]     another number of inputs, drawn from another seed
#
# An input that fails is left in build/results/, and named; give it to build/tests/fuzz-tool.
set -euo pipefail
# shellcheck source=fuzz.sh
. "$(dirname "$0")/fuzz.sh"

SOURCES=$TOP/tools/pmu-hybrid-check
CORPUS=$TOP/tests/fuzz/tool-corpus
FUZZER=$BUILD/tests/fuzz-tool

build_fuzzer() {
	local flags source
	local -a sources=("$TOP/tests/fuzz/tool.c" "$TOP/qemu/target/arm/host-pmu.c")
	for source in choice cmdline host judge monitor proc qemu report vm; do
		sources+=("$SOURCES/$source.c")
	done
	read -ra flags < <(pkg-config --cflags --libs json-glib-1.0)
	mkdir -p "${FUZZER%/*}"
	# Under another name first: the row that fuzzes for longer may be running the program.
	clang -g -O1 -std=gnu11 -Wall -Wextra -Wno-missing-field-initializers -Wno-unused-function \
		-Werror -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=all \
		-D_GNU_SOURCE -I"$SOURCES" -I"$SOURCES/compat" -I"$TOP/qemu" \
		-o "$FUZZER.$$" "${sources[@]}" "${flags[@]}"
	mv "$FUZZER.$$" "$FUZZER"
}

inputs=${1-3000}
seed=${2-1}
need clang clang
build_fuzzer
check "fuzzed with $inputs inputs of seed $seed" fuzz "$CORPUS" 4096 -runs="$inputs" \
	-seed="$seed"
finish
