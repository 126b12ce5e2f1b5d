# SPDX-License-Identifier: GPL-2.0-or-later
"""A vCPU thread gets to a CPU that the chosen PMU does not cover: KVM does not enter the guest, and
QEMU pauses the VM.

Without QEMU's handler there is no message, and the vCPU thread calls KVM_RUN again and again.
"""

import contextlib
import hashlib

from choice import CGROUPS, cgroup, offline, write
from vm import ALL_CPUS, BIG_CPUS, SMALL, SMALL_CPUS, Vm, cpu_list, equal, match, only_on

# How often the monitor is asked while no vCPU may run
QUESTIONS = 100


def start(vm):
    """Starts the VM on the small CPUs."""
    vm.connect().pin(SMALL_CPUS)
    vm.cont().wait_for_deltas()


def expect_pause(vm):
    """Waits for a new STOP event; the VM has to be paused."""
    vm.qmp.wait_for_event("STOP")
    equal(vm.status, "paused", "run state")
    vm.qmp.forget_events()


def wrong_cpu(vm, *sets):
    """Moves vCPUs of a running guest off their PMU; the VM has to pause."""
    start(vm)
    vm.qmp.forget_events()
    vm.pin(*sets)
    expect_pause(vm)


def fingerprint(vm):
    """A hash of the guest's memory, and its registers as text."""
    return hashlib.sha256(vm.read_memory()).hexdigest(), vm.human("info registers -a")


def test_pause():
    """one message names the vCPU, the CPU, the PMU, its CPUs and the thread; the VM is paused; no
    thread spins, and no message follows"""
    with Vm() as vm:
        wrong_cpu(vm, BIG_CPUS)
        said = vm.stderr
        cpus = "|".join(map(str, BIG_CPUS))
        threads = "|".join(str(cpu["thread-id"]) for cpu in vm.cpus)
        match(rf"vCPU [01] cannot run on CPU ({cpus}) of the host.*its PMU is {SMALL} on CPUs "
              rf"{cpu_list(SMALL_CPUS)}; the VM is paused: "
              rf"set the affinity of thread ({threads}) to", said, "log")
        equal(0 < said.count("cannot run on CPU") <= len(vm.cpus), True,
              f"at most one message a vCPU ({said!r})")
        vm.wait_until("vCPUs that sleep", lambda: all(state == "S" for state, _ in vm.sleeps()))
        before = vm.sleeps()
        for _ in range(QUESTIONS):
            equal(vm.status, "paused", "run state")
        equal(vm.sleeps(), before,
              f"states and sleeps of the vCPU threads after {QUESTIONS} questions to the monitor")
        equal(vm.stderr, said, "nothing more is said")


def test_one_vcpu():
    """if a single vCPU strays, the message names it and its thread; pinned back, the guest
    passes"""
    with Vm() as vm:
        wrong_cpu(vm, SMALL_CPUS, BIG_CPUS)
        match(rf"vCPU 1 cannot run on CPU .* of thread {vm.cpus[1]['thread-id']} to", vm.stderr,
              "log")
        equal(vm.stderr.count("cannot run"), 1, f"messages ({vm.stderr!r})")
        vm.pin(SMALL_CPUS)
        vm.cont().passes()


@only_on("stock")
def test_again():
    """cont without pinning pauses again, and changes neither memory nor registers; after pinning,
    the guest goes on and has lost nothing"""
    with Vm() as vm:
        wrong_cpu(vm, BIG_CPUS)
        before = fingerprint(vm)
        for _ in range(2):
            vm.cont()
            expect_pause(vm)
            equal(fingerprint(vm), before, "memory and registers")
        vm.pin(SMALL_CPUS)
        vm.cont().passes()


@only_on("stock")
def test_online_later():
    """CPUs of another PMU that come online after the choice are in an affinity that was set before;
    the VM pauses when a vCPU gets there"""
    last = SMALL_CPUS[-1]
    with Vm() as vm:
        vm.connect()
        with offline(BIG_CPUS):
            vm.pin([last, *BIG_CPUS])
            equal(vm.cont().backends, SMALL, "backend")
            vm.wait_for_deltas()
        vm.qmp.forget_events()
        with offline([last]):
            expect_pause(vm)
        vm.pin(SMALL_CPUS)
        vm.cont().passes()


@only_on("stock")
def test_cpuset_widened():
    """when a cpuset within the PMU is widened, the VM pauses once a vCPU leaves the PMU; with the
    old cpuset the guest goes on"""
    with contextlib.ExitStack() as stack:
        path = stack.enter_context(cgroup(f"{CGROUPS}/vm", cpu_list(SMALL_CPUS)))
        vm = stack.enter_context(Vm())
        write(f"{path}/cgroup.procs", str(vm.process.pid))
        equal(vm.connect().cont().backends, SMALL, "backend")
        vm.wait_for_deltas()
        vm.qmp.forget_events()
        for cpus in ALL_CPUS, BIG_CPUS:
            write(f"{path}/cpuset.cpus", cpu_list(cpus))
        expect_pause(vm)
        write(f"{path}/cpuset.cpus", cpu_list(SMALL_CPUS))
        vm.cont().passes()


@only_on("stock")
def test_while_stopped():
    """threads that are moved off the PMU while the VM is stopped pause it at cont"""
    with Vm() as vm:
        start(vm)
        vm.qmp.command("stop")
        vm.pin(BIG_CPUS)
        vm.qmp.forget_events()
        vm.cont()
        expect_pause(vm)
        vm.pin(SMALL_CPUS)
        vm.cont().passes()
