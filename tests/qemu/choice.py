# SPDX-License-Identifier: GPL-2.0-or-later
"""What pmu-hybrid=on chooses: one table of host, kernel and CPUs that the vCPU threads may run on.

At the first start QEMU chooses by the union of the CPUs that the threads may run on then, whoever
pinned them and how. What was before does not matter. A CPU that is offline counts, too, if the
kernel says that a thread may run there.
"""

import contextlib
import os
import re
from typing import NamedTuple

from in_host import parse_cpu_list
from refusal import shimmed
from vm import (A53, A55, A72, A78, ALL_CPUS, BIG, BIG_CPUS, ATTRIBUTE, FIXED, HYBRID, KERNEL, PMUS,
                SMALL, SMALL_CPUS, TOPOLOGY, X1, Vm, each_of, equal, match, only_on,
                pmu_list, say)

CGROUPS = "/sys/fs/cgroup"
CPUS = "/sys/devices/system/cpu"
ALIEN_LITTLE, ALIEN_BIG = "vpmu_alien_little", "vpmu_alien_big"


class Row(NamedTuple):
    """How the threads get their CPUs, and what QEMU has to choose. CPUs are lists in text; "" means
    none, or that this step is left out."""

    topology: str
    name: str
    # CPUs that the threads may run on at the start, those that are offline included
    union: str
    # The PMU that backs the guest's if one covers the union; otherwise QEMU chooses the fixed
    # counters on a kernel with the mode
    pmu: str = ""
    # On a kernel without the mode: the PMU that covers the CPUs that are online, and the other CPUs
    online_pmu: str = ""
    uncovered: str = ""
    # CPUs of the union that have no PMU: the start is refused
    without: str = ""
    offline: str = ""
    # for the whole process, before QEMU starts
    cgroup: str = ""
    taskset: str = ""
    # for each vCPU thread, or one for all, between -S and cont
    threads: tuple = ()
    # set as libvirt does: a threaded cgroup for each, then the affinity
    thread_cgroups: bool = False


ROWS = (
    Row("biglittle", "no affinity", union="0-3"),
    Row("biglittle", "process on one PMU", taskset="2-3", union="2-3", pmu=A72),
    Row("biglittle", "process on one CPU", taskset="1", union="1", pmu=A53),
    Row("biglittle", "process across", taskset="1-2", union="1-2"),
    Row("biglittle", "threads on one PMU", threads=("0-1",), union="0-1", pmu=A53),
    Row("biglittle", "threads apart on one PMU", threads=("2", "3"), union="2-3", pmu=A72),
    Row("biglittle", "threads overlap on one PMU", threads=("2-3", "3"), union="2-3", pmu=A72),
    Row("biglittle", "one stray thread", threads=("2-3", "1"), union="1-3"),
    Row("biglittle", "one thread everywhere", threads=("0", "0-3"), union="0-3"),
    Row("biglittle", "three threads, the last one stray", threads=("0", "0-1", "0,3"),
        union="0-1,3"),
    # libvirt's <emulatorpin> without <vcpupin>: the threads get all CPUs back
    Row("biglittle", "process on one PMU, threads everywhere", taskset="2-3", threads=("0-3",),
        union="0-3"),
    # libvirt's <emulatorpin> that keeps the emulator off the CPUs of the vCPUs
    Row("biglittle", "process on one PMU, threads on the other", taskset="0-1", threads=("2", "3"),
        union="2-3", pmu=A72),
    Row("biglittle", "cgroup on one PMU", cgroup="2-3", union="2-3", pmu=A72),
    Row("biglittle", "cgroup across", cgroup="1-2", union="1-2"),
    Row("biglittle", "cgroup narrows the affinity", cgroup="0-2", taskset="2-3", union="2",
        pmu=A72),
    Row("biglittle", "a cgroup for each thread on one PMU", threads=("0", "1"), thread_cgroups=True,
        union="0-1", pmu=A53),
    Row("biglittle", "a cgroup for each thread across", threads=("0", "2"), thread_cgroups=True,
        union="0,2"),
    Row("biglittle", "one PMU offline", offline="2-3", union="0-3", online_pmu=A53,
        uncovered="2-3"),
    Row("biglittle", "a CPU of each PMU offline", offline="1,3", union="0-3"),
    Row("biglittle", "threads across, one side offline", offline="2", threads=("1-2",), union="1-2",
        online_pmu=A53, uncovered="2"),
    # libvirt without <vcpupin>: the threads get all CPUs that are online
    Row("biglittle", "threads on all online, one PMU offline", offline="2-3", threads=("0-1",),
        union="0-3", online_pmu=A53, uncovered="2-3"),
    Row("biglittle", "threads on one PMU, a CPU of the other offline", offline="3",
        threads=("0-1",), union="0-1", pmu=A53),
    Row("biglittle", "threads on one PMU, a CPU of it offline", offline="3", threads=("2-3",),
        union="2-3", pmu=A72),
    # the kernel does not show the CPU of the cgroup that is offline
    Row("biglittle", "cgroup across, one side offline", offline="2", cgroup="1-2", union="1",
        pmu=A53),
    Row("tricluster", "no affinity", union="0-5"),
    Row("tricluster", "process on the middle PMU", taskset="2-3", union="2-3", pmu=A78),
    Row("tricluster", "process on two PMUs of three", taskset="2-5", union="2-5"),
    Row("tricluster", "threads on the last PMU", threads=("4", "5"), union="4-5", pmu=X1),
    Row("tricluster", "a thread on each PMU", threads=("0-1", "2-3", "4-5"), union="0-5"),
    Row("tricluster", "one stray thread of four", threads=("2", "3", "2-3", "5"), union="2-3,5"),
    Row("tricluster", "not the middle PMU", threads=("0", "5"), union="0,5"),
    Row("tricluster", "cgroup on two PMUs", cgroup="0-3", union="0-3"),
    Row("tricluster", "two PMUs offline", offline="2-5", union="0-5", online_pmu=A55,
        uncovered="2-5"),
    Row("tricluster", "one PMU offline", offline="2-3", union="0-5"),
    Row("tricluster", "threads on two PMUs, one of them offline", offline="4-5",
        threads=("2-3", "3-5"), union="2-5", online_pmu=A78, uncovered="4-5"),
    Row("homogeneous", "no affinity", union="0-3", pmu=A72),
    Row("homogeneous", "process on some CPUs", taskset="1-2", union="1-2", pmu=A72),
    Row("homogeneous", "threads apart", threads=("0", "3"), union="0,3", pmu=A72),
    Row("homogeneous", "cgroup on some CPUs", cgroup="0,2", union="0,2", pmu=A72),
    Row("homogeneous", "some CPUs offline", offline="2-3", union="0-3", pmu=A72),
    Row("unlike-alien", "no affinity", union="0-3"),
    Row("unlike-alien", "process on one PMU", taskset="0-1", union="0-1", pmu=ALIEN_LITTLE),
    Row("unlike-alien", "threads apart on one PMU", threads=("2", "3"), union="2-3", pmu=ALIEN_BIG),
    Row("unlike-alien", "one stray thread", threads=("2-3", "1"), union="1-3"),
    Row("unlike-counters", "no affinity", union="0-3"),
    Row("unlike-counters", "process on one PMU", taskset="0-1", union="0-1", pmu=A53),
    # of the PMUs that cover the CPUs, the one with the lowest type
    Row("unlike-overlap", "no affinity", union="0-3", pmu=A53),
    Row("unlike-overlap", "process on some CPUs", taskset="2-3", union="2-3", pmu=A53),
    Row("unlike-overlap", "threads apart", threads=("0", "3"), union="0,3", pmu=A53),
    Row("unlike-overlap", "some CPUs offline", offline="2-3", union="0-3", pmu=A53),
    # KVM creates no vCPU with a PMU on a CPU without one: the process starts on the CPUs with one.
    Row("unlike-partial", "process on the PMU", taskset="0-1", union="0-1", pmu=A53),
    Row("unlike-partial", "threads apart on the PMU", taskset="0-1", threads=("0", "1"),
        union="0-1", pmu=A53),
    Row("unlike-partial", "threads everywhere", taskset="0-1", threads=("0-3",), union="0-3",
        without="2-3"),
    Row("unlike-partial", "one stray thread", taskset="0-1", threads=("0-1", "3"), union="0-1,3",
        without="3"),
    Row("unlike-partial", "CPUs without a PMU offline", offline="2-3", union="0-3",
        online_pmu=A53, uncovered="2-3"),
)


def write(path, text):
    """Writes a file of sysfs or of a cgroup."""
    with open(path, "w", encoding="ascii") as file:
        file.write(text)


@contextlib.contextmanager
def offline(cpus):
    """Context manager: takes these CPUs offline within the block."""
    try:
        for cpu in cpus:
            write(f"{CPUS}/cpu{cpu}/online", "0")
        yield
    finally:
        for cpu in cpus:
            write(f"{CPUS}/cpu{cpu}/online", "1")


@contextlib.contextmanager
def cgroup(path, cpus, threaded=False):
    """Context manager: a new cgroup that confines its members to these CPUs. It has to be empty
    when the block ends."""
    write(f"{os.path.dirname(path)}/cgroup.subtree_control", "+cpuset")
    os.mkdir(path)
    try:
        if threaded:
            write(f"{path}/cgroup.type", "threaded")
        write(f"{path}/cpuset.cpus", cpus)
        yield path
    finally:
        os.rmdir(path)


def start_vm(row, stack):
    """Starts QEMU in the row's cgroup, by entering that for the moment: the child inherits it."""
    affinity = parse_cpu_list(row.taskset) if row.taskset else None
    options = {"vcpus": max(2, len(row.threads)), "affinity": affinity}
    if not row.cgroup and not row.thread_cgroups:
        return stack.enter_context(Vm(HYBRID, **options))
    path = stack.enter_context(cgroup(f"{CGROUPS}/vm", row.cgroup))
    write(f"{path}/cgroup.procs", "0")
    try:
        return stack.enter_context(Vm(HYBRID, **options))
    finally:
        write(f"{CGROUPS}/cgroup.procs", "0")


def pin_threads(row, vm, stack):
    """Pins the threads as management applications do, between -S and cont."""
    if row.thread_cgroups:
        for cpu, cpus in zip(vm.cpus, row.threads, strict=True):
            path = f"{CGROUPS}/vm/vcpu{cpu['cpu-index']}"
            stack.enter_context(cgroup(path, cpus, threaded=True))
            write(f"{path}/cgroup.threads", str(cpu["thread-id"]))
            stack.callback(vm.__exit__)
    if row.threads:
        vm.pin(*map(parse_cpu_list, row.threads))


@each_of({row.name: row for row in ROWS if row.topology == TOPOLOGY})
def test_choice(row):
    """the expected backend, or the expected refusal"""
    with contextlib.ExitStack() as stack:
        if row.offline:
            stack.enter_context(offline(parse_cpu_list(row.offline)))
        vm = start_vm(row, stack).connect()
        pin_threads(row, vm, stack)
        equal(vm.backends, "", "backend before the start")
        across = FIXED if KERNEL == "patched" else row.online_pmu
        expected = "" if row.without else row.pmu or across
        if expected:
            backend = vm.cont().backends
            say(f"{row.name}: {backend}")
            equal(backend, expected, "backend")
            described = "the fixed counters of " + pmu_list() if expected == FIXED else expected
            match(f"vCPU threads may run on CPUs {row.union}; .* backed by {described}", vm.stderr,
                  "log")
            warned = re.findall("CPUs ([0-9,-]+) are offline and have another PMU", vm.stderr)
            equal(warned, [row.uncovered] if expected == row.online_pmu else [],
                  "offline CPUs that the log warns of")
            return
        refusal = vm.refusal()
        reason = (f"of which {row.without} have no PMU (the host has {pmu_list()}); pin"
                  if row.without else f"which no single PMU covers (the host has {pmu_list()}), "
                                      f"and its kernel lacks {ATTRIBUTE}; either pin")
        match(re.escape(f"The vCPU threads may run on the host's CPUs {row.union}, {reason}"),
              refusal, "error")
        equal((vm.status, vm.backends), ("prelaunch", ""), "state after the refusal")


@only_on("patched")
@each_of({"all": ALL_CPUS, "one": SMALL_CPUS} if TOPOLOGY.startswith("unlike-") else {})
def test_kinds(cpus):
    """with unlike PMUs, too, the guest counts on each of the CPUs that it was started for"""
    with Vm(HYBRID, affinity=cpus) as vm:
        vm.connect().cont()
        for cpu in cpus:
            vm.pin({cpu}, set(cpus) - {cpu})
            vm.wait_for_deltas()
        vm.passes()


@only_on("patched")
def test_online_under_running():
    """a VM that started while all CPUs of a PMU were offline has the fixed counters, and goes on
    when these come online and the others go offline"""
    with Vm(HYBRID) as vm:
        vm.connect()
        with offline(BIG_CPUS if BIG != SMALL else BIG_CPUS[2:]):
            equal(vm.cont().backends, FIXED if BIG != SMALL else BIG, "backend")
            vm.wait_for_deltas()
        with offline(SMALL_CPUS if BIG != SMALL else BIG_CPUS[:2]):
            vm.passes()
        equal("cannot run" in vm.stderr, False, "a vCPU was refused")


@only_on("stock")
@each_of({"kernel without SET_PMU": "no-set-pmu", "kernel with it": "nothing"} if len(PMUS) == 1
         else {})
def test_default_pmu(shim):
    """if one PMU covers all CPUs, QEMU sets none and leaves the choice to KVM; CPUs may come online
    later"""
    with shimmed(shim, extra=["-trace", "kvm_vcpu_ioctl"]) as vm:
        vm.connect()
        with offline(ALL_CPUS[2:]):
            before = len(vm.stderr)
            equal(vm.cont().backends, BIG, "backend")
            # IRQ and INIT of each vCPU, see order.py
            equal(vm.stderr[before:].count("type 0x4018aee1"), 2 * len(vm.cpus), "attributes set")
            vm.wait_for_deltas()
        with offline(ALL_CPUS[:2]):
            vm.passes()
