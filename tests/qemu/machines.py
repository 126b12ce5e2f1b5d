# SPDX-License-Identifier: GPL-2.0-or-later
"""imx8mp-evk, the other machine that sets up KVM's PMU (hw/arm/fsl-imx8mp.c). Only builds of QEMU
with TCG have it.

It needs a device tree from its user. In ours, imx8mp.dts, the serial port is RAM, in which the flag
of a PL011 with nothing to send is set. The test finds the guest's last line in the buffer that the
guest printed it from. The guest ends after its calibration, as later steps wait for interrupts of
the virt machine's GIC. Whether its clock is right depends on how busy this machine is.
"""

import re

from vm import (ALL_CPUS, BIG, BIG_CPUS, ATTRIBUTE, FIXED, SMALL, SMALL_CPUS, Vm, each_of, equal,
                match, only_on)

# Matches the verdict only where the guest has put it together, not its parts in the image
VERDICT = re.compile(rb"(PASS: calibrated, the clock is (?:right|wrong)|(?:STOP|FAIL): [ -~]+)\n")
SERIAL_IS_IDLE = ("-device", "loader,addr=0x43ff0018,data=0x80,data-len=4")
PINNED = {"one PMU": (BIG, BIG_CPUS), "another": (SMALL, SMALL_CPUS)}


def board(cpu="host,pmu-hybrid=on", **options):
    """The VM with this machine."""
    return Vm(cpu, machine="imx8mp-evk", guest="until=loader",
              extra=("-dtb", "imx8mp.dtb", *SERIAL_IS_IDLE), **options)


def measures(vm, backend):
    """Starts the VM, which has to choose this backend; the guest has to calibrate and power off."""
    equal(vm.cont().backends, backend, "backend")
    vm.wait_until("the guest's end", lambda: vm.status == "shutdown")
    found = VERDICT.search(vm.read_memory())
    match("^PASS: calibrated", found[1].decode() if found else "none",
          "verdict in the guest's memory")


@each_of(PINNED)
def test_imx8mp_one_pmu(row):
    """the PMU that covers the threads backs the guest's PMU, and the guest calibrates by it"""
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
    """threads that span PMUs are refused; after pinning, "cont" works"""
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
