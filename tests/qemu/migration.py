# SPDX-License-Identifier: GPL-2.0-or-later
"""The choice of pmu-hybrid=on in migrations and snapshots: the destination follows the source, or the load fails."""

import contextlib
import os
import tempfile

from in_host import QmpError
from vm import ALL_CPUS, BIG, BIG_CPUS, FIXED, HYBRID, SMALL, SMALL_CPUS, Vm, equal, match, only_on, raises


def save(vm, path):
    """Migrates the VM to a file."""
    vm.qmp.command("migrate", uri=f"file:{path}")
    vm.wait_until("the migration", lambda: vm.qmp.command("query-migrate")["status"] in ("completed", "failed"))
    equal(vm.qmp.command("query-migrate")["status"], "completed", "migration")


@contextlib.contextmanager
def saved(cpu=HYBRID, *, pin, start=True):
    """A file with the state of a VM that has run for a moment."""
    with tempfile.TemporaryDirectory() as folder:
        path = f"{folder}/state"
        # without pmu-hybrid it is this affinity that decides
        with Vm(cpu, guest="seconds=4", affinity=pin) as vm:
            vm.connect().pin(pin)
            if start:
                vm.cont()
                vm.wait_for_deltas()
            save(vm, path)
        yield path


def incoming(path, cpu=HYBRID, *, pin):
    """A VM that waits for the state, pinned as libvirt does before the migration starts."""
    vm = Vm(cpu, guest="seconds=4", extra=["-incoming", "defer"])
    vm.connect().pin(pin)
    vm.qmp.command("migrate-incoming", uri=f"file:{path}", **{"exit-on-error": False})
    vm.wait_until("the load", lambda: vm.qmp.command("query-migrate").get("status") in ("completed", "failed"))
    return vm


def load_fails(pattern, path, cpu=HYBRID, *, pin):
    """The state cannot be loaded, and QEMU says why."""
    with incoming(path, cpu, pin=pin) as vm:
        answer = vm.qmp.command("query-migrate")
        equal(answer["status"], "failed", "migration")
        match(pattern, answer.get("error-desc", "") + vm.stderr, "error")


def load_passes(path, backend, cpu=HYBRID, *, pin):
    """The guest goes on with such counters."""
    with incoming(path, cpu, pin=pin) as vm:
        equal(vm.qmp.command("query-migrate")["status"], "completed", f"migration ({vm.stderr})")
        equal(vm.cont().backends, backend, "backend")
        vm.passes()


def test_migrate_pmu():
    """one PMU migrates to one PMU, even of another kind, and not to vCPUs that span two"""
    with saved(pin=SMALL_CPUS) as path:
        load_passes(path, SMALL, pin=SMALL_CPUS)
        load_passes(path, BIG, pin=BIG_CPUS)
        load_fails("no single PMU covers", path, pin=ALL_CPUS)


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
        load_fails("pmu-hybrid", path, "host", pin=SMALL_CPUS)
    with saved("host", pin=SMALL_CPUS) as path:
        load_fails("pmu-hybrid", path, pin=SMALL_CPUS)


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
        run_job(vm, "blockdev-create", options={"driver": "qcow2", "file": "file", "size": 64 << 20})
    vm.qmp.command("blockdev-add", driver="qcow2", file="file", **{"node-name": "disk"})


def snapshot(vm, what):
    """Saves or loads the one there is."""
    run_job(vm, f"snapshot-{what}", tag="one", vmstate="disk", devices=["disk"])


@contextlib.contextmanager
def snapshot_of_one_pmu():
    """The path of a disk with a snapshot of a VM that counts on the small CPUs."""
    with tempfile.TemporaryDirectory() as folder:
        path = f"{folder}/disk"
        with Vm(guest="seconds=4") as vm:
            vm.connect().pin(SMALL_CPUS)
            add_disk(vm, path)
            vm.cont()
            vm.wait_for_deltas()
            snapshot(vm, "save")
            snapshot(vm, "load")
            equal(vm.backends, SMALL, "backend")
        yield path


@only_on("stock")
def test_snapshot():
    """a snapshot of a guest with one PMU loads before the first start and after it, and needs one PMU"""
    with snapshot_of_one_pmu() as path:
        for started in (False, True):
            with Vm(guest="seconds=4") as vm:
                vm.connect().pin(BIG_CPUS)
                add_disk(vm, path)
                if started:
                    vm.cont()
                snapshot(vm, "load")
                if not started:
                    vm.cont()
                equal(vm.backends, BIG, "backend")
                vm.passes()
        with Vm() as vm:
            vm.connect().pin(ALL_CPUS)
            add_disk(vm, path)
            raises("no single PMU covers", snapshot, vm, "load")


@only_on("patched")
def test_snapshot_of_other_backend():
    """a guest with one PMU cannot be loaded into a VM that has started with fixed counters"""
    with snapshot_of_one_pmu() as path, Vm() as vm:
        vm.connect().pin(ALL_CPUS)
        add_disk(vm, path)
        vm.cont()
        raises(f"has started with {FIXED} already", snapshot, vm, "load")
