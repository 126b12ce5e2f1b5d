# SPDX-License-Identifier: GPL-2.0-or-later
"""The table of what the demo runs, and of the outcomes that it expects."""

from dataclasses import dataclass

# Stands for the PMU that covers the CPUs of the vCPUs: its name comes from the host's sysfs.
THE_PMU = object()

FIXED_COUNTERS = "fixed-counters"

OK = "ok"
STOPPED = "stopped"
NO_PMU = "no-pmu"
# The guest lives, but the loader's clock is off by more than a factor of six.
WRONG_CLOCK = "wrong-clock"
# The guest lives, but its kernel's phase charged threads with no cycles.
UNCHARGED = "uncharged"
# QEMU did not let the guest run, so the guest has no status of its own.
REFUSED = "refused"

MOVING = "moving"
ONE_CLUSTER = "one-cluster"


@dataclass(frozen=True)
class Scenario:
    """A guest under QEMU and KVM in an emulated host, and the outcome that it must have.

    pinning says where the vCPU threads may run: ONE_CLUSTER is the CPUs of the first PMU; MOVING
    allows all CPUs, and each vCPU thread is moved to the next PMU's CPUs (or on one PMU, to the
    other half of the CPUs) again and again. at is the point of the loader's calibration
    (guests/lib/guest.h) at which the boot vCPU is moved, too. start is the number of the PMU on
    whose CPUs the vCPUs start; KVM takes the first PMU, 0. until is the guest's last phase, and
    reboots says how often the guest resets the machine after it.
    """

    name: str
    kernel: str
    topology: str
    pmu_hybrid: bool
    pinning: str
    guest_status: str
    backend: object = ""
    cpu_options: str = ""
    at: str = ""
    start: int = 0
    until: str = "strict"
    reboots: int = 0

    @property
    def append(self):
        """The guest's command line."""
        at = f" at={self.at}" if self.at else ""
        return f"seconds=0 interval_us={INTERVAL_US} until={self.until} reboots={self.reboots}{at}"

    @property
    def cpu(self):
        """The argument of QEMU's -cpu."""
        return "host" + (",pmu-hybrid=on" if self.pmu_hybrid else "") + self.cpu_options


# A host boot costs most of the time, so scenarios of one kernel and topology share one.
SCENARIOS = (
    Scenario("stock-loader", "stock", "biglittle", False, MOVING, STOPPED, at="setup"),
    Scenario("stock-moving", "stock", "biglittle", False, MOVING, STOPPED),
    Scenario("patched-off-moving", "patched", "biglittle", False, MOVING, STOPPED),
    Scenario("patched-on-one-cluster", "patched", "biglittle", True, ONE_CLUSTER, OK, THE_PMU),
    Scenario("patched-on-loader", "patched", "biglittle", True, MOVING, OK, FIXED_COUNTERS,
             at="setup"),
    Scenario("patched-on-moving", "patched", "biglittle", True, MOVING, OK, FIXED_COUNTERS),
    Scenario("homogeneous-on-moving", "patched", "homogeneous", True, MOVING, OK, THE_PMU),
    Scenario("stock-on-moving", "stock", "biglittle", True, MOVING, REFUSED),
    Scenario("no-pmu", "patched", "biglittle", False, ONE_CLUSTER, NO_PMU, cpu_options=",pmu=off"),
)

_KERNELS = (("stock", False, ""), ("patched", True, FIXED_COUNTERS))
# A move at each point of the loader's calibration, away from the PMU that KVM took or back to it.
# The outcome on a stock kernel follows from the loader's arithmetic: 125 times the difference of
# what it counts in 9 ms and in 1 ms. Only tests run these.
_OUTCOMES = (
    # away, back
    ("setup", STOPPED, OK),
    ("short", WRONG_CLOCK, OK),
    ("between", WRONG_CLOCK, OK),
    ("early", WRONG_CLOCK, OK),
    ("late", OK, WRONG_CLOCK),
    ("end", OK, STOPPED),
)
CALIBRATIONS = tuple(
    Scenario(f"{kernel}-loader-{at}-{way}", kernel, "biglittle", on, MOVING,
             status if kernel == "stock" else OK, backend, at=at, start=start, until="loader")
    for kernel, on, backend in _KERNELS
    for at, *statuses in _OUTCOMES
    for start, (way, status) in enumerate(zip(("away", "back"), statuses, strict=True)))
# The same for a move half-way through the kernel's threads, which does not stop the guest; and for
# a guest that reboots, which is moved in each of its loaders
CALIBRATIONS += tuple(
    Scenario(f"{kernel}-kernel", kernel, "biglittle", on, MOVING, OK if on else UNCHARGED, backend,
             at="kernel", until="kernel")
    for kernel, on, backend in _KERNELS)
CALIBRATIONS += (
    Scenario("patched-reboots", "patched", "biglittle", True, MOVING, OK, FIXED_COUNTERS,
             at="setup", until="kernel", reboots=3),
)

# What the picture shows: the same guest and the same moves; above them what the loader counts.
BEFORE = "stock-moving"
AFTER = "patched-on-moving"
LOADER_BEFORE = "stock-loader"
LOADER_AFTER = "patched-on-loader"

# Two vCPUs fit the smallest cluster of each topology. With more, a vCPU that waits for a CPU could
# look like a counter that stands still.
VCPUS = 2
# Short enough for a readable curve, long enough for an emulated host to print a line for each.
INTERVAL_US = 20000
# Intervals of a vCPU between its moves.
MOVE_EVERY = 8
# A guest is told to end when each of its vCPUs has measured and was moved this often. Fewer moves
# would prove little.
INTERVALS = 50
MIN_MOVES = 3
