# SPDX-License-Identifier: GPL-2.0-or-later
"""The one table of what the demo runs and what must come out of it."""

from dataclasses import dataclass

# Stands for the name of the PMU that covers the CPUs the vCPUs ran on: names come from the host's sysfs.
THE_PMU = object()

FIXED_COUNTERS = "fixed-counters"

OK = "ok"
STOPPED = "stopped"
NO_PMU = "no-pmu"
# QEMU did not let the guest run, so that there is no status of the guest to tell.
REFUSED = "refused"

MOVING = "moving"
ONE_CLUSTER = "one-cluster"


@dataclass(frozen=True)
class Scenario:
    """A guest under QEMU and KVM in an emulated host, and the outcome that it must have.

    pinning says where the vCPU threads may run: ONE_CLUSTER is the CPUs of the first PMU; MOVING allows all CPUs, and each
    vCPU thread is moved to the next PMU's CPUs (or on one PMU, to the other half of the CPUs) again and again.
    """

    name: str
    kernel: str
    topology: str
    pmu_hybrid: bool
    pinning: str
    guest_status: str
    backend: object = ""
    cpu_options: str = ""

    @property
    def cpu(self):
        """The argument of QEMU's -cpu."""
        return "host" + (",pmu-hybrid=on" if self.pmu_hybrid else "") + self.cpu_options


# A host boot costs most of the time, so scenarios of one kernel and topology share one.
SCENARIOS = (
    Scenario("stock-moving", "stock", "biglittle", False, MOVING, STOPPED),
    Scenario("patched-off-moving", "patched", "biglittle", False, MOVING, STOPPED),
    Scenario("patched-on-one-cluster", "patched", "biglittle", True, ONE_CLUSTER, OK, THE_PMU),
    Scenario("patched-on-moving", "patched", "biglittle", True, MOVING, OK, FIXED_COUNTERS),
    Scenario("homogeneous-on-moving", "patched", "homogeneous", True, MOVING, OK, THE_PMU),
    Scenario("stock-on-moving", "stock", "biglittle", True, MOVING, REFUSED),
    Scenario("no-pmu", "patched", "biglittle", False, ONE_CLUSTER, NO_PMU, cpu_options=",pmu=off"),
)

# What the picture shows: the same guest and the same moves.
BEFORE = "stock-moving"
AFTER = "patched-on-moving"

# Two vCPUs fit the smallest cluster of each topology, so that a counter that stands still is never a vCPU that waits.
VCPUS = 2
# Short enough for a readable curve, long enough for an emulated host to print a line for each.
INTERVAL_US = 20000
# Intervals of a vCPU between its moves.
MOVE_EVERY = 8
# A guest measures until it is told to end: when each of its vCPUs has measured and was moved so often. Fewer moves would prove little.
INTERVALS = 50
MIN_MOVES = 3
