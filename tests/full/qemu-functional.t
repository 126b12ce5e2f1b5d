#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Claim: the functional test of the QEMU series expects the right thing of each host: without the mode, with three PMUs, with one, with none.
exec "$(dirname "$0")/../qemu/functional" stock/biglittle/migration_fixed,tcg patched/tricluster/tcg \
	stock/homogeneous/apart,migration_fixed,tcg,wrong_cpu patched/homogeneous/apart,migration_fixed,tcg,wrong_cpu \
	stock/nopmu/apart,each_pmu,everywhere,migration,migration_fixed,needs_pmu,tcg,wrong_cpu
