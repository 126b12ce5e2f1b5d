# SPDX-License-Identifier: GPL-2.0-or-later
"""Without pmu-hybrid QEMU makes the same ioctls of KVM as the QEMU without the series.

Beside this file are qemu-base, built without the series, and shim-log.so, which writes the log. Up
to a thread's first KVM_RUN the test compares its ioctls one by one. After that their number depends
on the clock, so the test compares their kinds.
"""

import difflib
import itertools
import os
import re
import tempfile

from vm import QEMU, SMALL_CPUS, Vm, each_of, equal

ONLY_ON = "stock"
BASE = "./qemu-base"
RUN = " ae80 "
# CNTPCT_EL0 and KVM's TIMER_CNT
CLOCKS = ("603000000013df01", "603000000013df1a")
SHOWN = 20


def thread_name(lines):
    """The vCPU that the thread of these lines runs, or "main": no other thread makes ioctls."""
    return next((line.split()[0] for line in lines if RUN in line), "main")


def without_time(ioctl):
    """The ioctl, without the value if that is the register of a clock."""
    return ioctl.partition(" := ")[0] if any(clock in ioctl for clock in CLOCKS) else ioctl


def trace(qemu, options):
    """Ioctls of each thread, by its name, of a VM from its creation to its end."""
    threads = {}
    with tempfile.NamedTemporaryFile("r", encoding="utf-8") as log:
        environment = {"LD_PRELOAD": os.path.abspath("shim-log.so"), "SHIM_LOG": log.name}
        with Vm(**{"guest": "seconds=1", "qemu": qemu, "affinity": SMALL_CPUS,
                   "environment": environment, **options}) as vm:
            vm.connect().cont()
            vm.wait_until("the guest's end", lambda: vm.status == "shutdown")
            vm.quit()
        for line in log:
            thread, _, ioctl = line.strip().partition(" ")
            threads.setdefault(thread, []).append(without_time(ioctl))
    named = {thread_name(lines): lines for lines in threads.values()}
    equal(len(named), len(threads), "threads with different names")
    return named


def before_run(lines):
    """The ioctls before the first KVM_RUN, or all of them."""
    return list(itertools.takewhile(lambda line: RUN not in line, lines))


def kinds(threads):
    """Each ioctl from the first KVM_RUN on, once, without result and vCPU: which vCPU makes it
    depends on the clock, too."""
    return sorted({re.sub(r"vcpu:\d+", "vcpu", line.rpartition(" = ")[0])
                   for lines in threads.values() for line in lines[len(before_run(lines)):]})


def same(got, wanted, what):
    """Fails with the lines that differ."""
    differences = list(difflib.unified_diff(wanted, got, lineterm="", n=1))
    equal(differences[:SHOWN], [], what)


COMMAND_LINES = {
    "-cpu host": {"cpu": "host"},
    "-cpu host,pmu=off": {"cpu": "host,pmu=off"},
    "-cpu max": {"cpu": "max"},
    "-smp 4": {"cpu": "host", "vcpus": 4},
    "-M virt-8.2": {"cpu": "host", "machine": "virt-8.2,gic-version=3"},
    "-M virt,kernel-irqchip=off": {"cpu": "host", "machine": "virt,kernel-irqchip=off"},
}


@each_of(COMMAND_LINES)
def test_same_ioctls(options):
    """without pmu-hybrid, each thread sends KVM the same ioctls as in the QEMU without the
    series"""
    wanted, got = trace(BASE, options), trace(QEMU, options)
    equal(len(wanted), 1 + options.get("vcpus", 2), "threads with ioctls")
    same(sorted(got), sorted(wanted), "threads")
    for thread, lines in wanted.items():
        same(before_run(got[thread]), before_run(lines),
             f"ioctls of the thread of {thread} before KVM_RUN")
    same(kinds(got), kinds(wanted), "kinds of ioctls from KVM_RUN on")
