# SPDX-License-Identifier: GPL-2.0-or-later
"""Looks at a guest from outside: whether a guest that does not come up hangs or is slow, and which
registers of the PMU it accesses."""
import re
import time
from dataclasses import dataclass

from hosts import scaled

# A guest that shows no life in so many looks, and for so many seconds, hangs; seconds between looks
LOOKS, PATIENCE, PAUSE = 6, 5, 1
# A loop that waits for something is in one page of code
PAGE = 0xfff
# Clock ticks (10 ms) of CPU time between the first look and the last; a vCPU whose thread used
# fewer was waiting in WFI
IDLE_TICKS = 5
PROGRAM_COUNTER = re.compile(r"\bPC=([0-9a-f]+)")
SCREEN = "look.ppm"

INSTANCE = "/sys/kernel/tracing/instances/pmu-accesses"
EVENT = "kvm/kvm_sys_access"
# The PMU's registers: CRn 9 with CRm 12 to 14, CRn 14 with CRm 8 to 15
FILTER = "(CRn == 9 && CRm >= 12 && CRm <= 14) || (CRn == 14 && CRm >= 8)"
# KiB for each CPU. A full buffer drops what comes later: the loader, which comes first, matters.
BUFFER = 4096
# Some kernels put SYS_, Linux' prefix, before the register's name.
ACCESS = re.compile(r"-(?P<thread>\d+) +\[(?P<cpu>\d+)\].* (?P<time>[\d.]+): kvm_sys_access: PC: "
                    r"(?P<pc>[0-9a-f]+) (?:SYS_)?(?P<register>\S+) "
                    r"\([\d,]+\) (?P<direction>read|write)")


@dataclass(frozen=True)
class Look:
    """What was seen: the screen, the console's length, each vCPU's PC and its thread's CPU time."""

    screen: str
    console: int
    counters: tuple
    ticks: tuple


def take_look(vm):
    """A Look at a VM."""
    vm.qmp.cmd("screendump", filename=f"{vm.host.folder}/{SCREEN}")
    registers = vm.qmp.cmd("human-monitor-command", **{"command-line": "info registers -a"})
    times = vm.host.run("cat", *(f"/proc/{thread}/stat" for thread in vm.threads)).splitlines()
    # user and system time, counted from the name, which may have spaces
    ticks = tuple(sum(map(int, line.rpartition(")")[2].split()[11:13])) for line in times)
    return Look(vm.host.run("sha256sum", SCREEN).split()[0], len(vm.console),
                tuple(int(found, 16) for found in PROGRAM_COUNTER.findall(registers)), ticks)


def describe_vcpu(counters, ticks):
    """What a vCPU was doing, and whether it makes progress."""
    if ticks[-1] - ticks[0] < IDLE_TICKS:
        return "waits in WFI", False
    if len({counter & ~PAGE for counter in counters}) == 1:
        return f"spins at {counters[-1]:#x}", False
    return "works", True


def judge(looks):
    """Whether the guest of these looks is alive, and a sentence that says so."""
    shown = len({(look.screen, look.console) for look in looks}) > 1
    counters = zip(*(look.counters for look in looks), strict=True)
    ticks = zip(*(look.ticks for look in looks), strict=True)
    vcpus = [describe_vcpu(*seen) for seen in zip(counters, ticks, strict=True)]
    alive = shown or any(works for _, works in vcpus)
    told = "; ".join(f"vCPU {number} {what}" for number, (what, _) in enumerate(vcpus))
    return alive, (f"It {'is slow' if alive else 'hangs'}: screen and console "
                   f"{'changed' if shown else 'did not change'} in {len(looks)} looks; {told}")


def watch(vm):
    """Looks at a VM until it shows life, or a deadline is over; returns judge()'s sentence."""
    deadline = time.monotonic() + scaled(PATIENCE)
    looks = [take_look(vm)]
    while True:
        alive, told = judge(looks)
        if alive or len(looks) >= LOOKS and time.monotonic() > deadline:
            return told
        time.sleep(PAUSE)
        looks.append(take_look(vm))


def start_trace(host):
    """Records guests' accesses to the PMU from now on; returns whether the kernel can."""
    script = (f"set -e; mkdir -p {INSTANCE}; cd {INSTANCE}; echo 0 >tracing_on; echo >trace; "
              f"echo 0 >options/overwrite; echo {BUFFER} >buffer_size_kb; "
              f"echo '{FILTER}' >events/{EVENT}/filter; echo 1 >events/{EVENT}/enable; "
              "echo 1 >tracing_on")
    can = host.status("sh", "-c", script)[0] == 0
    if not can:
        host.status("rmdir", INSTANCE)
    return can


def format_accesses(trace, threads):
    """Yields a line for each access of the trace, in order; other VMs' threads are left out."""
    for line in trace.splitlines():
        found = ACCESS.search(line)
        if found and int(found["thread"]) in threads:
            yield (f"vcpu={threads.index(int(found['thread']))} cpu={int(found['cpu'])} "
                   f"time={found['time']} pc=0x{found['pc']} "
                   f"{found['direction']} {found['register']}")


def end_trace(host, threads):
    """Ends the trace; returns the accesses of these vCPU threads as the text of a file."""
    host.run("sh", "-c", f"echo 0 >{INSTANCE}/tracing_on")
    trace = host.run("cat", f"{INSTANCE}/trace")
    host.run("rmdir", INSTANCE)
    return "".join(f"{line}\n" for line in format_accesses(trace, threads))
