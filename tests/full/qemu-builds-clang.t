#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Claim: as qemu-builds.t, with clang, and for arm64 with KVM alone too.
# Runs alone: compilers take all CPUs.
exec "$(dirname "$0")/qemu-builds.t" arm64-kvm-clang arm64-tcg-clang native-clang
