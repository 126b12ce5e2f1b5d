# SPDX-License-Identifier: GPL-2.0-or-later
"""The other machine that sets up a PMU of KVM's, hw/arm/fsl-imx8mp.c. QEMU has it in builds with
TCG only.

It wants a device tree from its user. The serial port of ours, imx8mp.dts, is RAM; the bit that a
PL011 has nothing to send is set there. What the guest says last is still in the buffer in which it
was put together. The guest ends after its calibration: what comes then waits for interrupts of the
virt machine's GIC. Whether the clock is right there depends on how busy this machine is.
"""

import re

from vm import (ALL_CPUS, BIG, BIG_CPUS, ATTRIBUTE, FIXED, SMALL, SMALL_CPUS, Vm, each_of, equal,
                match, only_on)

# The texts that it is made of are apart in the guest's image
VERDICT = re.compile(rb"(PASS: calibrated, the clock is (?:right|wrong)|(?:STOP|FAIL): [ -~]+)\n")
SERIAL_IS_IDLE = ("-device", "loader,addr=0x43ff0018,data=0x80,data-len=4")
PINNED = {"one PMU": (BIG, BIG_CPUS), "another": (SMALL, SMALL_CPUS)}


def board(cpu="host,pmu-hybrid=on", **options):
    """The VM."""
    return Vm(cpu, machine="imx8mp-evk", guest="until=loader",
              extra=("-dtb", "imx8mp.dtb", *SERIAL_IS_IDLE), **options)


def measures(vm, backend):
    """The choice was made, and the guest calibrates and powers off."""
    equal(vm.cont().backends, backend, "backend")
    vm.wait_until("the guest's end", lambda: vm.status == "shutdown")
    found = VERDICT.search(vm.read_memory())
    match("^PASS: calibrated", found[1].decode() if found else "none",
          "verdict in the guest's memory")


@each_of(PINNED)
def test_imx8mp_one_pmu(row):
    """the PMU that covers the threads backs the guest's, which calibrates by it"""
    backend, cpus = row
    with board() as vm:
        vm.connect().pin(cpus)
        measures(vm, backend)


@only_on("patched")
def test_imx8mp_fixed():
    """threads that span PMUs get the fixed counters"""
    with board() as vm:
        vm.connect().pin(ALL_CPUS)
        measures(vm, FIXED)


@only_on("stock")
def test_imx8mp_refuses():
    """threads that span PMUs are refused; pinning and "cont" again works"""
    with board() as vm:
        vm.connect().pin(ALL_CPUS)
        match(ATTRIBUTE, vm.refusal(), "refusal")
        vm.pin(BIG_CPUS)
        measures(vm, BIG)


@only_on("stock")
def test_imx8mp_off():
    """without pmu-hybrid no choice is made"""
    with board("host", affinity=SMALL_CPUS) as vm:
        vm.connect()
        measures(vm, "")
