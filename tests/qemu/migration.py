# SPDX-License-Identifier: GPL-2.0-or-later
"""The choice of pmu-hybrid=on in migrations and snapshots: the destination follows the source, or
the load fails."""

import collections
import contextlib
import os
import re
import struct
import tempfile

from in_host import QmpError
from vm import (ALL_CPUS, BIG, BIG_CPUS, FIXED, HYBRID, LOADS_PRINT, SMALL, SMALL_CPUS, Vm, each_of,
                equal, match, only_on, raises)


# Intervals that each vCPU has to measure for the guest to have gone on
ENOUGH = 4


def send(vm, uri, *, return_path=False):
    """Migrates the VM; returns the final status and the error. With return_path the source waits
    for the destination."""
    vm.qmp.command("migrate-set-capabilities",
                   capabilities=[{"capability": "return-path", "state": return_path}])
    vm.qmp.command("migrate", uri=uri)
    return ended(vm)


def ended(vm):
    """Waits until a migration from or to the VM ends; returns its status and error."""
    vm.wait_until("the migration",
                  lambda: vm.qmp.command("query-migrate").get("status") in ("completed", "failed"))
    answer = vm.qmp.command("query-migrate")
    return answer["status"], answer.get("error-desc", "")


def save(vm, path):
    """Migrates the VM to a file."""
    equal(send(vm, f"file:{path}"), ("completed", ""), "migration")


@contextlib.contextmanager
def saved(cpu=HYBRID, *, pin, start=True, **options):
    """Context manager: a file with the state of a VM, which has run for a moment if START."""
    with tempfile.TemporaryDirectory() as folder:
        path = f"{folder}/state"
        # without pmu-hybrid this affinity decides
        with Vm(cpu, affinity=pin, **options) as vm:
            vm.connect().pin(pin)
            if start:
                vm.cont()
                vm.wait_for_deltas()
            save(vm, path)
        yield path


def wait_for(uri, cpu=HYBRID, *, pin, **options):
    """A VM that waits for the state, pinned as libvirt does before the migration starts."""
    vm = Vm(cpu, extra=["-incoming", "defer"], **options)
    vm.connect().pin(pin)
    vm.qmp.command("migrate-incoming", uri=uri)
    return vm


def exits_unloaded(vm, pattern):
    """Fails unless QEMU ends and says why it could not load the state, in one line if it can."""
    if LOADS_PRINT:
        vm.exits(pattern, "error while loading state .* 'cpu'", "load of migration failed: ")
    else:
        vm.exits(f"load of migration failed: .*{pattern}")


def load_fails(pattern, path, cpu=HYBRID, *, pin):
    """Fails unless the state in the file is refused with this reason."""
    with wait_for(f"file:{path}", cpu, pin=pin) as vm:
        exits_unloaded(vm, pattern)


def load_passes(path, backend, *, pin):
    """Fails unless the guest in the file goes on with this backend."""
    with wait_for(f"file:{path}", pin=pin) as vm:
        equal(ended(vm), ("completed", ""), "migration")
        goes_on(vm, backend)


def find_deltas(text):
    """Intervals on complete lines of the console: vCPU, CNTVCT_EL0 at the end, cycles, ticks."""
    return [tuple(map(int, delta))
            for delta in re.findall(r"^delta vcpu=(\d+) cntvct=(\d+) cycles=(\d+) ticks=(\d+).*\n",
                                    text, re.M)]


def has_enough(text, vcpus):
    """Whether each of the vCPUs has measured ENOUGH intervals, so that their sum can be judged."""
    seen = collections.Counter(delta[0] for delta in find_deltas(text))
    return len(seen) == vcpus and min(seen.values()) >= ENOUGH


def passes_on(vm):
    """Fails unless the guest goes on and its counters count, and not more than there was to
    count."""
    before, vcpus = len(vm.console), len(vm.qmp.command("query-cpus-fast"))
    vm.wait_until("a guest that goes on", lambda: has_enough(vm.console[before:], vcpus)
                  or re.search("STOP:|FAIL:", vm.console))
    equal(re.findall("STOP:.*|FAIL:.*", vm.console), [], "what the guest complains of")
    deltas = find_deltas(vm.console)
    equal([delta for delta in deltas if not delta[2]], [], "intervals without cycles")
    # All intervals of a vCPU are judged together: without -icount the guest's CNTVCT_EL0 sometimes
    # steps back, which can shorten one interval to almost nothing.
    for vcpu in {delta[0] for delta in deltas}:
        own = [delta[1:] for delta in deltas if delta[0] == vcpu]
        elapsed = max(end for end, _, _ in own) - min(end - ticks for end, _, ticks in own)
        excess = max(0, sum(cycles for _, cycles, _ in own) - 2 * elapsed)
        equal(excess, 0, f"cycles of vCPU {vcpu} beyond twice the {elapsed} ticks that passed")


def goes_on(vm, backend, pin=None):
    """Starts the VM, pinned if CPUs are given; fails unless the guest goes on with this backend."""
    if pin:
        vm.pin(pin)
    equal(vm.cont().backends, backend, "backend")
    passes_on(vm)


def test_migrate_pmu():
    """a guest with one PMU migrates to one PMU, also of another kind; restore.py tests vCPUs
    that span two"""
    with saved(pin=SMALL_CPUS) as path:
        load_passes(path, SMALL, pin=SMALL_CPUS)
        load_passes(path, BIG, pin=BIG_CPUS)


@only_on("patched")
def test_migrate_fixed():
    """a guest with fixed counters keeps them, pinned or not"""
    with saved(pin=ALL_CPUS) as path:
        load_passes(path, FIXED, pin=ALL_CPUS)
        load_passes(path, FIXED, pin=BIG_CPUS)


@only_on("stock")
def test_migrate_unstarted():
    """a VM that never ran makes its choice at the destination"""
    with saved(pin=SMALL_CPUS, start=False) as path:
        load_passes(path, BIG, pin=BIG_CPUS)


@only_on("stock")
def test_migrate_mismatch():
    """the load fails if only one end has pmu-hybrid, whichever it is"""
    with saved(pin=SMALL_CPUS) as path:
        load_fails("The incoming VM has pmu-hybrid=on and this one has not", path, "host",
                   pin=SMALL_CPUS)
    with saved("host", pin=SMALL_CPUS) as path:
        load_fails("This VM has pmu-hybrid=on and the incoming one has not", path, pin=SMALL_CPUS)


# The subsection: its name, then version, backend, number of counters, name of the PMU
SUBSECTION, LAYOUT = b"cpu/pmu-hybrid", ">IBB64s"
ONE_PMU_BACKEND = 1
ANOTHER_PMU = "pmu-hybrid: vCPU 1 of the incoming VM has another PMU than vCPU 0"
EDITS = {
    "more counters": ({"counters": 9},
                      f"backed by {SMALL} with 9 event counters, and here {SMALL} has 6"),
    "fewer counters": ({"counters": 0},
                       f"backed by {SMALL} with 0 event counters, and here {SMALL} has 6"),
    "no such backend": ({"backend": 3}, "invalid PMU backend 3"),
    "a name without end": ({"name": b"x" * 64}, "invalid PMU backend 1"),
    "numbers of counters that disagree": ({"counters": 5, "vcpus": (1,)}, ANOTHER_PMU),
    "names that disagree": ({"name": BIG.encode().ljust(64, b"\0"), "vcpus": (1,)}, ANOTHER_PMU),
    "backends that disagree": ({"backend": 0, "vcpus": (1,)}, ANOTHER_PMU),
}


def edit(path, backend=None, counters=None, name=None, vcpus=(0, 1)):
    """Changes the choice in the stream to what hosts that we do not have would write."""
    with open(path, "rb") as file:
        data = bytearray(file.read())
    for vcpu, found in enumerate(re.finditer(re.escape(SUBSECTION) + rb"\x00\x00\x00\x01", data)):
        place = found.start() + len(SUBSECTION)
        version, *old = struct.unpack_from(LAYOUT, data, place)
        equal(old, [ONE_PMU_BACKEND, 6, SMALL.encode().ljust(64, b"\0")], "subsection")
        new = [was if value is None else value
               for was, value in zip(old, (backend, counters, name), strict=True)]
        if vcpu in vcpus:
            struct.pack_into(LAYOUT, data, place, version, *new)
    equal(vcpu, 1, "last vCPU with a subsection")
    with open(path, "wb") as file:
        file.write(data)


@only_on("stock")
@each_of(EDITS)
def test_migrate_edited(row):
    """a stream with a choice that this host cannot make, or that is invalid, is refused"""
    changes, pattern = row
    with saved(pin=SMALL_CPUS) as path:
        edit(path, **changes)
        load_fails(pattern, path, pin=SMALL_CPUS)


@contextlib.contextmanager
def running(cpus):
    """Context manager: a VM that runs and measures."""
    with Vm() as vm:
        vm.connect().pin(cpus)
        vm.cont().wait_for_deltas()
        yield vm


# Destination, and whether there is a return path
SOCKETS = {
    "taken, with a return path": (HYBRID, True),
    "taken, without": (HYBRID, False),
    "refused, with a return path": ("host", True),
    "refused, without": ("host", False),
}


@only_on("stock")
@each_of(SOCKETS)
def test_migrate_socket(row):
    """over a socket: the guest goes on at the destination; if that refuses, the guest goes on at
    the source, by itself or by cont"""
    cpu, return_path = row
    with tempfile.TemporaryDirectory() as folder, \
            wait_for(f"unix:{folder}/socket", cpu, pin=BIG_CPUS) as destination, \
            running(SMALL_CPUS) as source:
        status, _ = send(source, f"unix:{folder}/socket", return_path=return_path)
        if cpu == HYBRID:
            equal((status, *ended(destination)), ("completed", "completed", ""),
                  "migration at both ends")
            goes_on(destination, BIG)
            return
        exits_unloaded(destination, "The incoming VM has pmu-hybrid=on and this one has not")
        # without a return path the source may not notice, depending on when the connection breaks
        equal(status == "failed" or not return_path, True, f"the source was told ({status})")
        if status == "completed":
            source.cont()
        passes_on(source)


def run_job(vm, command, **arguments):
    """Runs a job to its end; raises QmpError if it fails."""
    vm.qmp.command(command, **{"job-id": "job"}, **arguments)
    vm.wait_until(command, lambda: vm.qmp.command("query-jobs")[0]["status"] == "concluded")
    error = vm.qmp.command("query-jobs")[0].get("error")
    vm.qmp.command("job-dismiss", id="job")
    if error:
        raise QmpError(error)


def add_disk(vm, path):
    """Adds a disk for snapshots; creates the file if it does not exist."""
    new = not os.path.exists(path)
    with open(path, "ab"):
        pass
    vm.qmp.command("blockdev-add", driver="file", filename=path, **{"node-name": "file"})
    if new:
        run_job(vm, "blockdev-create",
                options={"driver": "qcow2", "file": "file", "size": 64 << 20})
    vm.qmp.command("blockdev-add", driver="qcow2", file="file", **{"node-name": "disk"})


def snapshot(vm, what):
    """Saves or loads the snapshot of the VM."""
    run_job(vm, f"snapshot-{what}", tag="one", vmstate="disk", devices=["disk"])


@contextlib.contextmanager
def snapshot_of(cpus, start=True):
    """Context manager: path of a disk with a snapshot of a VM on these CPUs. That VM has loaded it
    once itself."""
    with tempfile.TemporaryDirectory() as folder:
        path = f"{folder}/disk"
        with Vm() as vm:
            vm.connect().pin(cpus)
            add_disk(vm, path)
            if start:
                vm.cont().wait_for_deltas()
            backend = vm.backends
            snapshot(vm, "save")
            snapshot(vm, "load")
            equal(vm.backends, backend, "backend")
        yield path


@contextlib.contextmanager
def vm_with(path, *, pin, start):
    """Context manager: a VM with that disk."""
    with Vm() as vm:
        vm.connect().pin(pin)
        add_disk(vm, path)
        if start:
            vm.cont()
        yield vm


def load_refused(vm, pattern):
    """Fails unless the load of the snapshot is refused with this reason, and no other message."""
    said = vm.stderr
    raises("while loading VM state" if LOADS_PRINT else pattern, snapshot, vm, "load")
    news = vm.stderr.removeprefix(said)
    match(f"{pattern}.*\n.*error while loading state .*\n$" if LOADS_PRINT else "^$", news,
          "stderr")


def loads(path, backend, *, pin, start):
    """Fails unless the guest of the snapshot goes on with this backend."""
    with vm_with(path, pin=pin, start=start) as vm:
        snapshot(vm, "load")
        if vm.status != "running":
            vm.cont()
        equal(vm.backends, backend, "backend")
        passes_on(vm)


BEFORE_AND_AFTER = {"before the first start": False, "after it": True}


@only_on("stock")
@each_of(BEFORE_AND_AFTER)
def test_snapshot(start):
    """a snapshot of a guest with one PMU loads into a VM with one PMU, also of another kind"""
    with snapshot_of(SMALL_CPUS) as path:
        loads(path, BIG, pin=BIG_CPUS, start=start)


@only_on("patched")
@each_of(BEFORE_AND_AFTER)
def test_snapshot_of_fixed(start):
    """a guest with fixed counters keeps them in a snapshot, also in a VM that would choose one
    PMU"""
    with snapshot_of(ALL_CPUS) as path:
        loads(path, FIXED, pin=ALL_CPUS if start else BIG_CPUS, start=start)


@only_on("stock")
@each_of(BEFORE_AND_AFTER)
def test_snapshot_unstarted(start):
    """a snapshot of a VM that never ran takes the choice of the VM that loads it, made before or
    after the load"""
    with snapshot_of(SMALL_CPUS, start=False) as path:
        loads(path, BIG, pin=BIG_CPUS, start=start)


# Affinity of the guest that is saved; affinity and backend of the started VM that loads it
OTHERS = {"one PMU into fixed counters": (SMALL_CPUS, ALL_CPUS, FIXED),
          "fixed counters into one PMU": (ALL_CPUS, BIG_CPUS, BIG)}


@only_on("patched")
@each_of(OTHERS)
def test_snapshot_of_other_backend(row):
    """a VM that has started refuses a snapshot with another backend, and stops, as half of its
    state is the snapshot's"""
    cpus, other_cpus, backend = row
    with snapshot_of(cpus) as path, vm_with(path, pin=other_cpus, start=True) as vm:
        load_refused(vm, f"has started with {backend} already")
        equal(vm.backends, backend, "backend")
        equal(vm.status, "restore-vm", "run state")
