# SPDX-License-Identifier: GPL-2.0-or-later
"""Claim: KVM's PMU is what the Arm ARM says a PMUv3 is, both with the event counters of one PMU and
with fixed counters while the vCPU moves. guests/conform.c checks it, and how Windows uses the PMU,
too; tests/conformance-known lists the known failures of KVM and of the emulated host."""
import re

from hosts import ARTIFACTS, TOP, EmulatedHost
from vms import MOVER, VmTest

CONFORM = ARTIFACTS / "guests" / "conform.bin"
FILES = [CONFORM, MOVER]
KNOWN = TOP / "tests" / "conformance-known"
# MOVES moves take a second; on emulated hosts, a second of virtual time, which counts instructions.
# The guest repeats its checks until it is told to stop, so that all moves come meanwhile, on any
# machine.
MOVES, FEW_MOVES, STAY = 200, 10, 0.005
# Checks that fail if the counter stands still on the other cluster
MOVING_NEEDS = ["windows_loader", "windows_context_switches", "windows_profiler"]


def known_failures(implementations):
    """Names of the checks that are known to fail on these implementations."""
    rows = [re.split(r" *\| *", line) for line in KNOWN.read_text().splitlines()
            if not line.startswith("#")]
    return sorted(check for implementation, check, _ in rows if implementation in implementations)


class Conformance(VmTest):
    """The guest runs the checks, and prints those that fail."""

    def judge(self, host, console):
        """Fails unless all checks ran, and those that failed are the known ones."""
        implementations = {"kvm"} | ({"under-tcg"} if isinstance(host, EmulatedHost) else set())
        if not host.fixed_counters:
            implementations.add("kvm-stock")
        lines = console.splitlines()
        failures = [line for line in lines if line.startswith("FAIL ")]
        ran = len(failures) + len([line for line in lines if line.startswith("PASS ")])
        failed = sorted(re.match("FAIL ([^:]*)", line)[1] for line in failures)
        self.check_equal(lines[-1], f"FAIL: {len(failed)} of {ran} checks" if failed
                         else f"PASS: {ran} checks", "verdict")
        self.check_equal(failed, known_failures(implementations),
                         "failed checks\n" + "\n".join(failures))

    def test_one_pmu(self):
        """
        The reference: the event counters of one PMU, on its CPUs; needs nothing of the series
        """
        with self.host(files=FILES, icount=True, kernel="stock") as host, \
                self.vm(host, cpu="host", kernel=CONFORM, affinity=host.clusters[0], vcpus=1) as vm:
            vm.cont().wait_for_console(" checks\n")
            self.judge(host, vm.console)

    def test_stock_moving(self):
        """
        The negative control: without pmu-hybrid the counter stands still when the vCPU moves to
        another PMU, and the checks of how Windows uses it fail
        """
        with self.host(pmus=2, files=FILES, icount=True, kernel="stock") as host, \
                self.vm(host, cpu="host", kernel=CONFORM, append="repeat=until_input group=windows",
                        affinity=host.clusters[0], vcpus=1) as vm:
            vm.cont().wait_for_console("conform ")
            while missing := [check for check in MOVING_NEEDS
                              if f"FAIL {check}: " not in vm.console]:
                self.log.info("no failure yet of %s", ", ".join(missing))
                vm.move(FEW_MOVES, STAY)

    def test_fixed_counters(self):
        """
        Fixed counters, on all CPUs of a heterogeneous host, while the vCPU moves between its PMUs

        :avocado: tags=core
        """
        with self.host(pmus=2, mode=True, files=FILES, icount=True) as host, \
                self.vm(host, kernel=CONFORM, append="repeat=until_input", vcpus=1) as vm:
            vm.cont().wait_for_console("conform ")
            vm.move(MOVES, STAY)
            vm.send("")
            vm.wait_for_console(" checks\n")
            self.judge(host, vm.console)
