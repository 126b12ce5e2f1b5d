# SPDX-License-Identifier: GPL-2.0-or-later
"""The other machine that sets up a PMU of KVM's, hw/arm/fsl-imx8mp.c. QEMU has it in builds with TCG only.

Its serial port is none that the guest knows. So what the guest says is lost; that it comes to its end is not.
"""

from vm import ALL_CPUS, BIG, BIG_CPUS, CAPABILITY, FIXED, SMALL, SMALL_CPUS, Vm, each_of, equal, match, only_on

MACHINE = {"machine": "imx8mp-evk", "guest": "seconds=1"}
PINNED = {"one PMU": (BIG, BIG_CPUS), "another": (SMALL, SMALL_CPUS)}


def runs_to_its_end(vm, backend):
    """The choice was made, and the guest powers off."""
    equal(vm.cont().backends, backend, "backend")
    vm.wait_until("the guest's end", lambda: vm.status == "shutdown")


@each_of(PINNED)
def test_imx8mp_one_pmu(row):
    """the PMU that covers the threads backs the guest's, which runs to its end"""
    backend, cpus = row
    with Vm(**MACHINE) as vm:
        vm.connect().pin(cpus)
        runs_to_its_end(vm, backend)


@only_on("patched")
def test_imx8mp_fixed():
    """threads that span PMUs get the fixed counters"""
    with Vm(**MACHINE) as vm:
        vm.connect().pin(ALL_CPUS)
        runs_to_its_end(vm, FIXED)


@only_on("stock")
def test_imx8mp_refuses():
    """threads that span PMUs are refused; pinning and "cont" again works"""
    with Vm(**MACHINE) as vm:
        vm.connect().pin(ALL_CPUS)
        match(CAPABILITY, vm.refusal(), "refusal")
        vm.pin(BIG_CPUS)
        runs_to_its_end(vm, BIG)


@only_on("stock")
def test_imx8mp_off():
    """without pmu-hybrid no choice is made"""
    with Vm("host", **MACHINE, affinity=SMALL_CPUS) as vm:
        vm.connect()
        runs_to_its_end(vm, "")
