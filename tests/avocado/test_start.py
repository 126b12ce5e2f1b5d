# SPDX-License-Identifier: GPL-2.0-or-later
"""Claim: with pmu-hybrid=on the guest has a PMU that works wherever its vCPUs may run; without it
all is as it was."""
import re

from hosts import TOP
from qemu.qmp import ExecuteError
from vms import FIXED, MOVER, WINLIKE, VmTest

FILES = [WINLIKE, MOVER]
# A row of the table: program, where, setting, QEMU's CPU options
RECIPE = re.compile(r"^\| ([^|`]+) \| [^|]+ \| `[^|]*pmu-hybrid=on[^|]*` \| `([^|`]+)` \|$", re.M)


def read_recipes():
    """QEMU's CPU options for each program, from the page's table."""
    text = (TOP / "docs" / "recipes.md").read_text(encoding="utf-8")
    recipes = {program: options.split() for program, options in RECIPE.findall(text)}
    if len(recipes) != text.count("pmu-hybrid=on` |\n"):
        raise AssertionError("docs/recipes.md: its table has rows of another form than "
                             f"{RECIPE.pattern}; understood: {list(recipes)}")
    return recipes


class Start(VmTest):
    """The CPUs on which the vCPU threads may run at the start decide the guest's PMU."""

    def test_fixed_counters(self):
        """
        All CPUs of a heterogeneous host: fixed counters, and the guest lives while its vCPUs move

        :avocado: tags=core
        """
        with self.host(pmus=2, mode=True, files=FILES) as host, \
                self.vm(host, kernel=WINLIKE, append="seconds=0") as vm:
            self.check_equal(vm.cont().backends, [FIXED, FIXED], "backends")
            vm.wait_for_console("delta vcpu=1")
            vm.move(int(self.params.get("moves", default=150)))
            vm.wait_for_deltas()

    def test_recipes(self):
        """
        The CPU options of each program in docs/recipes.md: fixed counters, and the guest lives on
        both clusters

        :avocado: tags=core
        """
        with self.host(pmus=2, mode=True, files=FILES) as host:
            for number, (program, options) in enumerate(read_recipes().items()):
                self.log.info("%s", program)
                with self.vm(host, *options, cpu=None, kernel=WINLIKE, append="seconds=0",
                             name=f"recipe{number}") as vm:
                    self.check_equal(vm.cont().backends, [FIXED, FIXED], f"{program}: backends")
                    for cpus in host.clusters:
                        vm.pin(cpus)
                        vm.wait_for_deltas()

    def test_one_pmu(self):
        """
        The CPUs of one PMU: that PMU with its event counters, also if KVM lacks the mode

        :avocado: tags=core
        """
        with self.host(pmus=2, mode=False, files=FILES) as host, \
                self.vm(host, kernel=WINLIKE) as vm:
            name, cpus = list(host.pmus.items())[-1]
            vm.pin(cpus)
            self.check_equal(vm.cont().backends, [name, name], "backends")
            vm.wait_for_console("PASS: ")

    def test_refusal(self):
        """
        All CPUs of a heterogeneous host whose KVM lacks the mode: the start is refused, and works
        once the VM is pinned

        :avocado: tags=core
        """
        with self.host(pmus=2, mode=False, files=FILES) as host, \
                self.vm(host, kernel=WINLIKE) as vm:
            with self.assertRaisesRegex(ExecuteError, "no single PMU covers"):
                vm.cont()
            self.check_equal(vm.status, "prelaunch", "status after the refusal")
            vm.pin(host.clusters[0])
            vm.cont().wait_for_console("PASS: ")

    def test_off(self):
        """
        Without pmu-hybrid: QEMU prints nothing, and the guest lives on the CPUs of its PMU and
        stops on others

        :avocado: tags=core
        """
        with self.host(pmus=2, files=FILES) as host:
            with self.vm(host, cpu="host", kernel=WINLIKE, append="seconds=2",
                         affinity=host.clusters[0], name="stays") as vm:
                vm.cont().wait_for_console("PASS: ")
                self.check_equal(vm.stderr, "", "QEMU's stderr")
            with self.vm(host, cpu="host", kernel=WINLIKE, append="seconds=0",
                         affinity=host.clusters[0], name="moves") as vm:
                vm.cont().wait_for_console("delta vcpu=1")
                vm.pin(host.clusters[-1])
                vm.wait_for_console("STOP: divide by zero")
