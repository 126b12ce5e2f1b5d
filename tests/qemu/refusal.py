# SPDX-License-Identifier: GPL-2.0-or-later
"""If pmu-hybrid=on is impossible: one clear message, with exit status 1 or as a QMP error. The VM
can still be started once it is possible."""

import contextlib
import os
import re
import subprocess
import tempfile

from vm import (ALL_CPUS, BIG, BIG_CPUS, ATTRIBUTE, HYBRID, SMALL, SMALL_CPUS, Vm, cpu_list,
                each_of, equal, match, raises, unprivileged)

ONLY_ON = "stock"
EVENT_SOURCES = "/sys/bus/event_source"
DEVICES = f"{EVENT_SOURCES}/devices"
UNREADABLE = object()
TYPE = "8\n"
SMALL_LIST = f"{cpu_list(SMALL_CPUS)}\n"
CANNOT_READ = f"pmu-hybrid: Cannot read the host's PMUs: .*{DEVICES}"


@contextlib.contextmanager
def mounted(target, *arguments):
    """Context manager: mounts something over the folder."""
    subprocess.run(["mount", *arguments, target], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", target], check=True)


@contextlib.contextmanager
def event_sources(sources):
    """Context manager: the host has only these event sources, name -> file -> contents. Yields the
    folder."""
    with tempfile.TemporaryDirectory() as folder:
        for name, files in sources.items():
            os.mkdir(f"{folder}/{name}")
            for file, contents in files.items():
                with open(f"{folder}/{name}/{file}", "w", encoding="ascii") as stream:
                    stream.write("" if contents is UNREADABLE else contents)
                if contents is UNREADABLE:
                    os.chmod(stream.name, 0)
        os.chmod(folder, 0o755)
        with mounted(DEVICES, "--bind", folder):
            yield folder


def refused(vm, pattern):
    """Fails unless cont is refused with one sentence and nothing else happens."""
    refusal = vm.refusal()
    match(pattern, refusal, "error")
    equal(refusal.count("\n"), 0, "line ends in the error")
    equal((vm.status, vm.backends), ("prelaunch", ""), "state after the refusal")
    equal("RESUME" in vm.qmp.events, False, "RESUME was sent")
    equal(vm.stderr, "", "stderr")


def starts(vm, name, cpus):
    """Pins the VM and starts it; it has to have this backend."""
    vm.pin(cpus)
    equal(vm.cont().backends, name, "backend")


# Contents of DEVICES, and the refusal of a VM whose threads may run on all CPUs
SYSFS = {
    "empty": ({}, "The host has no PMU whose CPUs are listed below "
                  f"{DEVICES.removeprefix('/sys/')} in sysfs"),
    "cpus is no list": ({SMALL: {"type": TYPE, "cpus": "all\n"}},
                        f"{CANNOT_READ}/{SMALL}/cpus: 'all' is not a list of CPUs"),
    "cpus unreadable": ({SMALL: {"type": TYPE, "cpus": UNREADABLE}},
                        f"{SMALL}/cpus.*: Permission denied"),
    "type unreadable": ({SMALL: {"type": UNREADABLE, "cpus": SMALL_LIST}},
                        f"{SMALL}/type.*: Permission denied"),
    "PMUs overlap": ({SMALL: {"type": TYPE, "cpus": "0-2\n"}, BIG: {"type": TYPE, "cpus": "2-3\n"}},
                     f"CPUs {cpu_list(ALL_CPUS)}, which no single PMU covers .*{SMALL} on CPUs "
                     f"0-2, {BIG} on CPUs 2-3"),
}


@each_of(SYSFS)
def test_sysfs(row):
    """cont is refused; with the real folder and other affinities the same VM starts"""
    sources, pattern = row
    with unprivileged() as wrapper, Vm(wrapper=wrapper) as vm:
        vm.connect()
        with event_sources(sources):
            refused(vm, pattern if pattern.startswith("pmu-hybrid")
                    else f"^pmu-hybrid: .*{pattern}")
        starts(vm, SMALL, SMALL_CPUS)


def test_sysfs_absent():
    """cont is refused without the folder; once it is there, the same VM starts"""
    with Vm() as vm:
        vm.connect()
        with mounted(EVENT_SOURCES, "-t", "tmpfs", "none"):
            refused(vm, f"^{CANNOT_READ}.*: No such file")
        starts(vm, SMALL, SMALL_CPUS)


def shim_environment(shim):
    """Makes KVM lack something or do it wrong for a QEMU, see shim-kvm.c."""
    return {"LD_PRELOAD": os.path.abspath("shim-kvm.so"), "SHIM": shim}


def shimmed(shim, cpu=HYBRID, **options):
    """QEMU with this shim."""
    return Vm(cpu, environment=shim_environment(shim), **options)


def test_shim_is_seen():
    """with a shim that changes nothing the VM starts as without it"""
    with shimmed("nothing") as vm:
        vm.connect()
        starts(vm, BIG, BIG_CPUS)


@each_of({"by -cpu": {"cpu": HYBRID},
          "by -global": {"cpu": "host", "extra": ["-global", "host-arm-cpu.pmu-hybrid=on"]},
          "by -cpu max": {"cpu": "max,pmu-hybrid=on"}})
def test_no_pmu(options):
    """on a KVM without PMU there is no property pmu-hybrid"""
    with shimmed("no-pmu", **options) as vm:
        vm.exits("pmu-hybrid")


# Shim and refusal; see discovery.py for the fixed counters
KERNELS = {
    "no SET_PMU": ("no-set-pmu", f"Cannot use {BIG}: The host's kernel lacks "
                                 "KVM_ARM_VCPU_PMU_V3_SET_PMU"),
    "SET_PMU fails": ("set-pmu-fails",
                      f"Cannot use {BIG}: KVM refuses KVM_ARM_VCPU_PMU_V3_SET_PMU"),
    "INIT fails": ("init-fails", "KVM refuses KVM_ARM_VCPU_PMU_V3_INIT for vCPU 0"),
    "N per vCPU": ("n-per-vcpu", "KVM has 6 event counters for vCPU 0 and 4 for vCPU 1, as kernels "
                                 "before 6.7"),
}


@each_of(KERNELS)
def test_kernel(row):
    """cont is refused, and so is a second cont"""
    shim, pattern = row
    with shimmed(shim) as vm:
        vm.connect().pin(BIG_CPUS)
        for _ in range(2):
            refused(vm, f"^pmu-hybrid: {pattern}")


def test_told_half():
    """a failure after the first vCPU is initialised cannot be undone: from then on QEMU asks for a
    restart, whatever the pinning"""
    with shimmed("second-init-fails") as vm:
        vm.connect().pin(BIG_CPUS)
        refused(vm, "^pmu-hybrid: KVM refuses KVM_ARM_VCPU_PMU_V3_INIT for vCPU 1: Input/output "
                    "error")
        for cpus in (BIG_CPUS, SMALL_CPUS):
            vm.pin(cpus)
            refused(vm, f"^pmu-hybrid: KVM has been told to use {BIG}, and what came after that "
                        "failed .*: restart QEMU$")


NEEDS_PMU = "'pmu-hybrid' requires 'pmu', which is off$"
# Options of Vm that end QEMU, and its error
COMMAND_LINES = {
    "pmu=off last": ({"cpu": "host,pmu-hybrid=on,pmu=off"}, NEEDS_PMU),
    "pmu=off first": ({"cpu": "host,pmu=off,pmu-hybrid=on"}, NEEDS_PMU),
    "-cpu max, pmu=off": ({"cpu": "max,pmu-hybrid=on,pmu=off"}, NEEDS_PMU),
    "a model that is not the host's": ({"cpu": "cortex-a57,pmu-hybrid=on"},
                                       "pmu-hybrid' not found"),
    "-accel tcg, which this QEMU lacks": ({"accel": "tcg"}, "invalid accelerator tcg"),
}


@each_of(COMMAND_LINES)
def test_command_line(row):
    """QEMU ends with an error, and starts no VM without the choice"""
    options, pattern = row
    with Vm(**options) as vm:
        vm.exits(pattern)


def test_without_pause():
    """without -S a refusal ends QEMU with status 1 and one line"""
    with Vm(paused=False) as vm:
        vm.exits("pmu-hybrid")
        equal(vm.stderr.count("\n"), 1, "lines on stderr")
        for part in (SMALL, BIG, ATTRIBUTE, f"CPUs {cpu_list(ALL_CPUS)}", "pin", "kernel"):
            match(re.escape(part), vm.stderr, "stderr")


def test_cont():
    """with -S, each cont fails until the threads are pinned; then the guest runs and counts"""
    with Vm() as vm:
        vm.connect()
        refused(vm, ATTRIBUTE)
        refused(vm, ATTRIBUTE)
        match(ATTRIBUTE, vm.human("cont"), "what HMP's cont prints")
        starts(vm, BIG, BIG_CPUS)
        vm.passes()


def test_preconfig():
    """with -preconfig, x-exit-preconfig fails instead, and the VM can still be started"""
    with Vm(paused=False, extra=["-preconfig"]) as vm:
        vm.connect()
        raises(ATTRIBUTE, vm.qmp.command, "x-exit-preconfig")
        equal(vm.status, "prelaunch", "run state")
        starts(vm, BIG, BIG_CPUS)
        vm.passes()


def failed_job(vm):
    """Starts a block job that meets an error and waits for "cont"."""
    nodes = {
        "source": {"driver": "blkdebug", "image": {"driver": "null-co", "size": 1 << 20},
                   "inject-error": [{"event": "none", "iotype": "read", "errno": 5, "once": True}]},
        "target": {"driver": "null-co", "size": 1 << 20},
    }
    for name, options in nodes.items():
        vm.qmp.command("blockdev-add", **{"node-name": name}, **options)
    vm.qmp.command("blockdev-backup", **{"job-id": "job", "device": "source", "target": "target",
                                         "sync": "full", "on-source-error": "stop"})
    vm.wait_until("the job's error", lambda: job_status(vm) == "failed")


def job_status(vm):
    """I/O status of the job."""
    return vm.qmp.command("query-block-jobs")[0]["io-status"]


def test_io_status():
    """a refused cont keeps I/O errors of block jobs; a cont that starts the VM clears them"""
    with Vm() as vm:
        failed_job(vm.connect())
        match(ATTRIBUTE, vm.refusal(), "error")
        equal(job_status(vm), "failed", "I/O status after the refusal")
        starts(vm, BIG, BIG_CPUS)
        equal(job_status(vm), "ok", "I/O status after the start")
