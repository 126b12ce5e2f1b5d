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
    """Migrates the VM; its last status and error. With return_path it waits for the destination."""
    vm.qmp.command("migrate-set-capabilities",
                   capabilities=[{"capability": "return-path", "state": return_path}])
    vm.qmp.command("migrate", uri=uri)
    return ended(vm)


def ended(vm):
    """How the migration of a VM, or to it, has ended; waits for that."""
    vm.wait_until("the migration",
                  lambda: vm.qmp.command("query-migrate").get("status") in ("completed", "failed"))
    answer = vm.qmp.command("query-migrate")
    return answer["status"], answer.get("error-desc", "")


def save(vm, path):
    """Migrates the VM to a file."""
    equal(send(vm, f"file:{path}"), ("completed", ""), "migration")


@contextlib.contextmanager
def saved(cpu=HYBRID, *, pin, start=True, **options):
    """A file with the state of a VM that has run for a moment."""
    with tempfile.TemporaryDirectory() as folder:
        path = f"{folder}/state"
        # without pmu-hybrid it is this affinity that decides
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
    """QEMU ends, and says why the state could not be loaded, in one line if it can."""
    if LOADS_PRINT:
        vm.exits(pattern, "error while loading state .* 'cpu'", "load of migration failed: ")
    else:
        vm.exits(f"load of migration failed: .*{pattern}")


def load_fails(pattern, path, cpu=HYBRID, *, pin):
    """The state cannot be loaded."""
    with wait_for(f"file:{path}", cpu, pin=pin) as vm:
        exits_unloaded(vm, pattern)


def load_passes(path, backend, *, pin):
    """The guest goes on with such counters."""
    with wait_for(f"file:{path}", pin=pin) as vm:
        equal(ended(vm), ("completed", ""), "migration")
        goes_on(vm, backend)


def find_deltas(text):
    """vCPU, CNTVCT_EL0 at the end, cycles and ticks of each interval on complete lines."""
    return [tuple(map(int, delta))
            for delta in re.findall(r"^delta vcpu=(\d+) cntvct=(\d+) cycles=(\d+) ticks=(\d+).*\n",
                                    text, re.M)]


def has_enough(text, vcpus):
    """Each of so many vCPUs has measured often enough for its intervals together to be judged."""
    seen = collections.Counter(delta[0] for delta in find_deltas(text))
    return len(seen) == vcpus and min(seen.values()) >= ENOUGH


def passes_on(vm):
    """The guest goes on, and its counters count something, and no more than there was to count."""
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
    """The VM starts, pinned if CPUs are given, and the guest goes on with such counters."""
    if pin:
        vm.pin(pin)
    equal(vm.cont().backends, backend, "backend")
    passes_on(vm)


def test_migrate_pmu():
    """one PMU migrates to one PMU, even of another kind; see restore.py for vCPUs that span two"""
    with saved(pin=SMALL_CPUS) as path:
        load_passes(path, SMALL, pin=SMALL_CPUS)
        load_passes(path, BIG, pin=BIG_CPUS)


@only_on("patched")
def test_migrate_fixed():
    """fixed counters stay fixed counters, pinned or not"""
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
    """pmu-hybrid at one end only fails the load, either way"""
    with saved(pin=SMALL_CPUS) as path:
        load_fails("The incoming VM has pmu-hybrid=on and this one has not", path, "host",
                   pin=SMALL_CPUS)
    with saved("host", pin=SMALL_CPUS) as path:
        load_fails("This VM has pmu-hybrid=on and the incoming one has not", path, pin=SMALL_CPUS)


# Of the subsection, after its name: version, backend, number of counters, name
SUBSECTION, LAYOUT = b"cpu/pmu-hybrid", ">IBB64s"
ONE_PMU_BACKEND = 1
EDITS = {
    "more counters": ({"counters": 9},
                      f"backed by {SMALL} with 9 event counters, and here {SMALL} has 6"),
    "fewer counters": ({"counters": 0},
                       f"backed by {SMALL} with 0 event counters, and here {SMALL} has 6"),
    "no such backend": ({"backend": 3}, "invalid PMU backend 3"),
    "a name without end": ({"name": b"x" * 64}, "invalid PMU backend 1"),
    "vCPUs that disagree": ({"counters": 5, "vcpus": (1,)},
                            f"with 5 event counters, and here {SMALL} has 6"),
}


def edit(path, backend=None, counters=None, name=None, vcpus=(0, 1)):
    """Changes what the stream says of the choice, as that of hosts that we do not have would."""
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
    """a stream that this host cannot follow, or nobody can, is refused"""
    changes, pattern = row
    with saved(pin=SMALL_CPUS) as path:
        edit(path, **changes)
        load_fails(pattern, path, pin=SMALL_CPUS)


@contextlib.contextmanager
def running(cpus):
    """A VM in the middle of its work."""
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
    """over a socket the guest goes on at the destination, or, when that refuses, at the source: by
    itself if it was told, or with cont"""
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
        # without a return path it depends on when the connection breaks whether the source learns
        # of it
        equal(status == "failed" or not return_path, True, f"the source was told ({status})")
        if status == "completed":
            source.cont()
        passes_on(source)


def run_job(vm, command, **arguments):
    """Raises QmpError when the job fails."""
    vm.qmp.command(command, **{"job-id": "job"}, **arguments)
    vm.wait_until(command, lambda: vm.qmp.command("query-jobs")[0]["status"] == "concluded")
    error = vm.qmp.command("query-jobs")[0].get("error")
    vm.qmp.command("job-dismiss", id="job")
    if error:
        raise QmpError(error)


def add_disk(vm, path):
    """A disk for snapshots, made on first use."""
    new = not os.path.exists(path)
    with open(path, "ab"):
        pass
    vm.qmp.command("blockdev-add", driver="file", filename=path, **{"node-name": "file"})
    if new:
        run_job(vm, "blockdev-create",
                options={"driver": "qcow2", "file": "file", "size": 64 << 20})
    vm.qmp.command("blockdev-add", driver="qcow2", file="file", **{"node-name": "disk"})


def snapshot(vm, what):
    """Saves or loads the one there is."""
    run_job(vm, f"snapshot-{what}", tag="one", vmstate="disk", devices=["disk"])


@contextlib.contextmanager
def snapshot_of(cpus, start=True):
    """The path of a disk with a snapshot of a VM on these CPUs, which has loaded it itself once."""
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
    """A VM with that disk."""
    with Vm() as vm:
        vm.connect().pin(pin)
        add_disk(vm, path)
        if start:
            vm.cont()
        yield vm


def load_refused(vm, pattern):
    """Nor does QEMU say anything but that, and why."""
    said = vm.stderr
    raises("while loading VM state" if LOADS_PRINT else pattern, snapshot, vm, "load")
    news = vm.stderr.removeprefix(said)
    match(f"{pattern}.*\n.*error while loading state .*\n$" if LOADS_PRINT else "^$", news,
          "stderr")


def loads(path, backend, *, pin, start):
    """The guest of the snapshot goes on with such counters."""
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
    """a snapshot of a guest with one PMU loads into a VM with one PMU, even of another kind"""
    with snapshot_of(SMALL_CPUS) as path:
        loads(path, BIG, pin=BIG_CPUS, start=start)


@only_on("patched")
@each_of(BEFORE_AND_AFTER)
def test_snapshot_of_fixed(start):
    """a snapshot of a guest with fixed counters keeps them, also in a VM that would have chosen one
    PMU"""
    with snapshot_of(ALL_CPUS) as path:
        loads(path, FIXED, pin=ALL_CPUS if start else BIG_CPUS, start=start)


@only_on("stock")
@each_of(BEFORE_AND_AFTER)
def test_snapshot_unstarted(start):
    """a snapshot of a VM that never ran goes with the choice of the VM that loads it, made before
    or after"""
    with snapshot_of(SMALL_CPUS, start=False) as path:
        loads(path, BIG, pin=BIG_CPUS, start=start)


# Affinity of the guest that is saved; affinity and backend of the started VM that loads it
OTHERS = {"one PMU into fixed counters": (SMALL_CPUS, ALL_CPUS, FIXED),
          "fixed counters into one PMU": (ALL_CPUS, BIG_CPUS, BIG)}


@only_on("patched")
@each_of(OTHERS)
def test_snapshot_of_other_backend(row):
    """a VM that has started cannot get another backend, and stops: half of its state is the
    snapshot's"""
    cpus, other_cpus, backend = row
    with snapshot_of(cpus) as path, vm_with(path, pin=other_cpus, start=True) as vm:
        load_refused(vm, f"has started with {backend} already")
        equal(vm.backends, backend, "backend")
        equal(vm.status, "restore-vm", "run state")
