# SPDX-License-Identifier: GPL-2.0-or-later
"""A guest is restored before anybody can pin the vCPU threads: by -loadvm, or by -incoming from a
file or a socket.

QEMU judges what pinning can change when the VM starts, and never loses the state.
"""

import contextlib
import pathlib
import re
import struct
import tempfile

from migration import (add_disk, ended, goes_on, load_fails, passes_on, running, save, saved, send,
                       snapshot, snapshot_of)
from refusal import CANNOT_READ, EVENT_SOURCES, TYPE, event_sources, mounted, shim_environment
from vm import (ALL_CPUS, BIG, BIG_CPUS, FIXED, SMALL, SMALL_CPUS, Vm, cpu_list, each_of, equal,
                match, only_on)

SPAN = ("pmu-hybrid: The guest has the event counters of one PMU, but the vCPU threads may run on "
        ".* which no single PMU covers")
# Trace event of each attempt at a choice
CHOOSE = "kvm_arm_pmu_hybrid_choose"


@contextlib.contextmanager
def restored(path, **options):
    """Context manager: a VM that reads the state from a file on its command line."""
    with Vm(extra=["-incoming", f"file:{path}"], **options) as vm:
        equal(ended(vm.connect()), ("completed", ""), "migration")
        yield vm


def disk(path):
    """QEMU's options for the disk with the snapshot."""
    return ["-blockdev", f"driver=qcow2,node-name=disk,file.driver=file,file.filename={path}"]


@contextlib.contextmanager
def by_loadvm(cpus, **options):
    """Context manager: a VM that has loaded a snapshot of a guest on these CPUs by -loadvm."""
    with snapshot_of(cpus) as path, Vm(extra=[*disk(path), "-loadvm", "one"], **options) as vm:
        yield vm.connect()


@contextlib.contextmanager
def by_file(cpus, **options):
    """Context manager: a VM that has read the state of such a guest from a file."""
    with saved(pin=cpus) as path, restored(path, **options) as vm:
        yield vm


@contextlib.contextmanager
def by_socket(cpus, **options):
    """Context manager: a VM to which such a guest has migrated over a socket, not pinned yet."""
    with tempfile.TemporaryDirectory() as folder, \
            Vm(extra=["-incoming", f"unix:{folder}/socket"], **options) as vm:
        vm.connect()
        with running(cpus) as source:
            equal(send(source, f"unix:{folder}/socket", return_path=True), ("completed", ""),
                  "migration")
        equal(ended(vm), ("completed", ""), "migration")
        yield vm


WAYS = {"-loadvm": by_loadvm, "-incoming file": by_file, "-incoming unix": by_socket}


def refused(vm, pattern):
    """Fails unless cont is refused twice and the VM stays as it is."""
    before = vm.status
    for _ in range(2):
        match(pattern, vm.refusal(), "error")
        equal((vm.status, vm.backends), (before, ""), "state after the refusal")


@only_on("stock")
@each_of(WAYS)
def test_one_pmu(way):
    """cont refuses a guest with one PMU while its threads span PMUs; once they are pinned to either
    PMU, the guest goes on"""
    for backend, cpus in ((SMALL, SMALL_CPUS), (BIG, BIG_CPUS)):
        with way(SMALL_CPUS) as vm:
            refused(vm, SPAN)
            goes_on(vm, backend, cpus)


@only_on("stock")
@each_of(WAYS)
def test_pinned_elsewhere(way):
    """threads that are on one PMU when the guest arrives may be pinned to the other after that, as
    with libvirt's <emulatorpin>"""
    with way(SMALL_CPUS, affinity=SMALL_CPUS) as vm:
        goes_on(vm, BIG, BIG_CPUS)


@only_on("stock")
def test_pinned_before():
    """a load tells KVM at once of the PMU that covers the threads, whatever backed the guest:
    another PMU at the start would reset MDCR_EL2.HPMN"""
    attributes = []
    for cpus in (BIG_CPUS, SMALL_CPUS):
        with saved(pin=cpus) as path, \
                Vm(extra=["-incoming", f"file:{path}", "-trace", "kvm_vcpu_ioctl"],
                   affinity=BIG_CPUS) as vm:
            equal(ended(vm.connect()), ("completed", ""), "migration")
            goes_on(vm, BIG, BIG_CPUS)
            attributes.append(vm.stderr.count("type 0x4018aee1"))
    equal(attributes[1], attributes[0], "attributes set for a guest of the other PMU")


@only_on("patched")
@each_of(WAYS)
def test_fixed(way):
    """a guest with fixed counters goes on with them; cont refuses it while its threads may run on a
    CPU without a PMU"""
    with way(ALL_CPUS) as vm:
        with event_sources({SMALL: {"type": TYPE, "cpus": f"{cpu_list(SMALL_CPUS)}\n"}}):
            refused(vm, f"of which {cpu_list(BIG_CPUS)} have no PMU")
        goes_on(vm, FIXED)


HIDDEN = {"no PMU": ((EVENT_SOURCES, "-t", "tmpfs", "none"), CANNOT_READ),
          "no CPU": (("/sys/devices/system/cpu", "-t", "tmpfs", "none"),
                     "pmu-hybrid: Cannot read the host's CPUs: ")}


@only_on("patched")
@each_of(HIDDEN)
def test_fixed_hidden(row):
    """the load fails if the start could not see the host's PMUs or CPUs, so that the source keeps a
    guest with fixed counters"""
    mount, pattern = row
    with saved(pin=ALL_CPUS) as path, mounted(*mount):
        load_fails(pattern, path, pin=ALL_CPUS)


@only_on("patched")
@each_of(WAYS)
def test_one_pmu_on_mode(way):
    """a guest with one PMU does not get the fixed counters, though the kernel has them"""
    with way(BIG_CPUS) as vm:
        refused(vm, SPAN)
        goes_on(vm, BIG, BIG_CPUS)


def test_lower_view():
    """the guest's number of event counters is compared when it is loaded, and not again at the
    start: KVM gives the guest of a guest hypervisor fewer"""
    with tempfile.TemporaryDirectory() as folder:
        environment = {**shim_environment("n-of-el1"), "LATER": f"{folder}/later"}
        with by_file(SMALL_CPUS, affinity=SMALL_CPUS, environment=environment) as vm:
            pathlib.Path(environment["LATER"]).touch()
            goes_on(vm, SMALL, SMALL_CPUS)


@only_on("stock")
def test_saved_again():
    """a guest that was restored and not started is saved with the PMU that it had"""
    with by_file(SMALL_CPUS) as vm, tempfile.TemporaryDirectory() as folder:
        refused(vm, SPAN)
        save(vm, f"{folder}/again")
        with restored(f"{folder}/again") as again:
            refused(again, SPAN)
            goes_on(again, BIG, BIG_CPUS)


@only_on("stock")
def test_no_such_pmu():
    """on a host without a PMU of that name the load succeeds, and the refusal of the start asks for
    pinning"""
    sources = {"first": {"type": TYPE, "cpus": "0\n"}, "second": {"type": TYPE, "cpus": "1-3\n"}}
    with saved(pin=SMALL_CPUS) as path, event_sources(sources), restored(path) as vm:
        refused(vm, SPAN)


@only_on("stock")
def test_loadvm_without_pause():
    """-loadvm without -S ends with status 1 and the reason, after one choice; the snapshot still
    loads with pinned threads"""
    with snapshot_of(SMALL_CPUS) as path, tempfile.NamedTemporaryFile("r", encoding="utf-8") as log:
        options = {"paused": False,
                   "extra": [*disk(path), "-loadvm", "one", "-trace", CHOOSE, "-D", log.name]}
        with Vm(**options) as vm:
            vm.exits(SPAN)
            equal(vm.stderr.count("pmu-hybrid:"), 1, "messages")
            equal(log.read().count(CHOOSE), 1, "choices")
        with Vm(affinity=BIG_CPUS, **options) as vm:
            equal(vm.connect().backends, BIG, "backend")
            passes_on(vm)


@only_on("stock")
def test_incoming_without_pause():
    """-incoming file: without -S prints the reason and stays paused; cont starts it once the
    threads are pinned"""
    with by_file(SMALL_CPUS, paused=False) as vm:
        match(SPAN, vm.stderr, "stderr")
        equal((vm.status, vm.backends), ("paused", ""), "state")
        goes_on(vm, SMALL, SMALL_CPUS)


@only_on("stock")
def test_job():
    """snapshot-load before the first start, as management applications do it; the threads are
    pinned after it"""
    with snapshot_of(SMALL_CPUS) as path, Vm() as vm:
        add_disk(vm.connect(), path)
        snapshot(vm, "load")
        refused(vm, SPAN)
        goes_on(vm, BIG, BIG_CPUS)


# Enables the cycle counter and six event counters, then reads for ever which are enabled, and
# counts the reads
ENABLES_ALL = (
    0xd28007e0,     # mov x0, #0x3f
    0xf2b00000,     # movk x0, #0x8000, lsl #16
    0xd51b9c20,     # msr pmcntenset_el0, x0
    0xd53b9c34,     # mrs x20, pmcntenset_el0
    0x910006b5,     # add x21, x21, #1
    0x17fffffe,     # b . - 8
)
ALL_ENABLED = 0x8000003f


def look(vm):
    """What that guest has read last, and how often. Makes QEMU fetch all registers from KVM."""
    text = vm.human("info registers")
    return tuple(int(re.search(f"X{number}=([0-9a-f]+)", text)[1], 16) for number in (20, 21))


def keeps_all(vm):
    """Starts the guest; fails unless it reads again that all counters are enabled."""
    equal(vm.cont().backends, BIG, "backend")
    before = look(vm)[1]
    vm.wait_until("a guest that reads", lambda: look(vm)[1] > before + 1)
    equal(hex(look(vm)[0]), hex(ALL_ENABLED), "enabled counters")


@only_on("patched", "unlike-counters")
def test_fewer_counters():
    """after a cont that was refused for a PMU with fewer counters the guest still has all of its
    own, also if registers are read in between"""
    with tempfile.TemporaryDirectory() as folder:
        options = {"kernel": f"{folder}/guest", "vcpus": 1}
        with open(options["kernel"], "wb") as file:
            file.write(struct.pack(f"<{len(ENABLES_ALL)}I", *ENABLES_ALL))
        with Vm(**options) as vm:
            vm.connect().pin(BIG_CPUS)
            keeps_all(vm)
            save(vm, f"{folder}/state")
        with restored(f"{folder}/state", **options) as vm:
            vm.pin(SMALL_CPUS)
            match("with 6 event counters, and here .* has 4", vm.refusal(), "error")
            look(vm)
            vm.pin(BIG_CPUS)
            keeps_all(vm)
