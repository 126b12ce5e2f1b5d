#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Claim: whatever /proc, /sys, the device tree and the messages of QEMU's monitor hold,
# pmu-hybrid-check makes no wrong access, leaks nothing, and prints a valid report, an overlay that
# fits the tree, or an error: a fuzzer under AddressSanitizer and UndefinedBehaviorSanitizer.
#
# It leaves out the arguments (main.c), what KVM and the program QEMU answer, the links from Linux's
# CPUs to their nodes, libvirt's libraries, and the socket.
#
#   tests/tool-fuzz.t [INPUTS SEED]     another number of inputs, drawn from another seed, and half
#                                       as many device trees
#
# An input that fails is left in build/results/, and named; give it to build/tests/fuzz-tool.
set -euo pipefail
# shellcheck source=fuzz.sh
. "$(dirname "$0")/fuzz.sh"

SOURCES=$TOP/tools/pmu-hybrid-check
FUZZER=$BUILD/tests/fuzz-tool

build_fuzzer() {
	local flags source
	local -a sources=("$TOP"/tests/fuzz/{tool,overlay}.c "$TOP/qemu/target/arm/host-pmu.c")
	for source in choice cmdline host judge kvm monitor overlay proc qemu report tree vm; do
		sources+=("$SOURCES/$source.c")
	done
	read -ra flags < <(pkg-config --cflags --libs json-glib-1.0)
	mkdir -p "${FUZZER%/*}"
	# Under another name first: the row that fuzzes for longer may be running the program.
	clang -g -O1 -std=gnu11 -Wall -Wextra -Wno-missing-field-initializers -Wno-unused-function \
		-Werror -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=all \
		-D_GNU_SOURCE -DVERSION='"0"' -I"$SOURCES" -I"$SOURCES/compat" -I"$TOP/qemu" \
		-o "$FUZZER.$$" "${sources[@]}" "${flags[@]}"
	mv "$FUZZER.$$" "$FUZZER"
}

# fuzz_kind KIND INPUTS
fuzz_kind() {
	check "$1: fuzzed with $2 inputs of seed $seed" \
		fuzz "$TOP/tests/fuzz/$1-corpus" 4096 -runs="$2" -seed="$seed"
}

inputs=${1-3000}
seed=${2-1}
need clang clang
build_fuzzer
fuzz_kind tool "$inputs"
fuzz_kind overlay $((inputs / 2))
finish
