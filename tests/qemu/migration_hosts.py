# SPDX-License-Identifier: GPL-2.0-or-later
"""Migrations from another host to this one: the destination follows the source, or refuses and the
source goes on.

The source is migration_source.py on the patched biglittle host; tests/qemu/migration-hosts starts
both.
"""

import json
import os
import re
import socket
from typing import NamedTuple

from in_host import parse_cpu_list
from migration import goes_on
from vm import (A53, A55, A72, A78, ATTRIBUTE, BIG, BIG_CPUS, FIXED, HYBRID, KERNEL, SMALL_CPUS,
                TIMEOUT, TOPOLOGY, X1, Vm, cpu_list, each_of, equal, match, pmu_list)

SOURCE, STREAM = os.environ["MIGRATION_SOURCE"], os.environ["MIGRATION_STREAM"]


class Refused(NamedTuple):
    """A refusal of the load, or of the start after it."""

    text: str
    when: str = "load"


SPAN = Refused("The guest has the event counters of one PMU, but the vCPU threads may run on the "
               "host's CPUs {}, which no single PMU covers "
               f"(the host has {pmu_list()}); pin all vCPU threads to the CPUs of one PMU",
               when="start")
FEWER = Refused(f"The guest's PMU was backed by {A53} with 6 event counters, and here {A53} has 4")
NO_MODE = Refused(f"The guest has the fixed counters only, and the host's kernel lacks {ATTRIBUTE}")
LATER = Refused("The vCPU threads may run on the host's CPUs {}, which no single PMU covers "
                f"(the host has {pmu_list()}), and its kernel lacks {ATTRIBUTE}", when="start")


class Row(NamedTuple):
    """A destination, and the backend or refusal that a guest gets there from each source."""

    topology: str
    kernel: str
    pinning: str
    # CPUs of each vCPU thread, or one list for all
    threads: tuple
    fixed: object
    one_pmu: object
    never_started: object


ROWS = (
    Row("biglittle", "patched", "none", ("0-3",), FIXED, SPAN, FIXED),
    Row("biglittle", "patched", "one cluster", ("0-1",), FIXED, A53, A53),
    Row("biglittle", "patched", "other cluster", ("2-3",), FIXED, A72, A72),
    Row("biglittle", "patched", "stray", ("2-3", "1"), FIXED, SPAN, FIXED),
    Row("biglittle", "stock", "none", ("0-3",), NO_MODE, SPAN, LATER),
    Row("biglittle", "stock", "one cluster", ("0-1",), NO_MODE, A53, A53),
    Row("biglittle", "stock", "other cluster", ("2-3",), NO_MODE, A72, A72),
    Row("biglittle", "stock", "stray", ("2-3", "1"), NO_MODE, SPAN, LATER),
    Row("tricluster", "patched", "none", ("0-5",), FIXED, SPAN, FIXED),
    Row("tricluster", "patched", "one cluster", ("0-1",), FIXED, A55, A55),
    Row("tricluster", "patched", "middle cluster", ("2", "3"), FIXED, A78, A78),
    Row("tricluster", "patched", "other cluster", ("4-5",), FIXED, X1, X1),
    Row("tricluster", "patched", "stray", ("4-5", "1"), FIXED, SPAN, FIXED),
    Row("unlike-counters", "patched", "none", ("0-3",), FIXED, SPAN, FIXED),
    Row("unlike-counters", "patched", "one cluster", ("0-1",), FIXED, FEWER, A53),
    Row("unlike-counters", "patched", "other cluster", ("2-3",), FIXED, A72, A72),
    Row("homogeneous", "patched", "none", ("0-3",), FIXED, A72, A72),
    Row("homogeneous", "patched", "one cluster", ("0-1",), FIXED, A72, A72),
    Row("homogeneous", "patched", "other cluster", ("2-3",), FIXED, A72, A72),
    Row("homogeneous", "patched", "stray", ("2-3", "1"), FIXED, A72, A72),
)
SOURCES = {"fixed counters": "fixed", "one PMU": "one_pmu", "never started": "never_started"}


def union(threads):
    """CPUs that any of the threads may run on, as messages list them."""
    return cpu_list(set().union(*map(parse_cpu_list, threads)))


def ask_source(wanted):
    """Makes the source migrate such a guest to this host; returns the source's status. If that is
    "failed", the guest has passed at the source."""
    with socket.socket(socket.AF_UNIX) as source, source.makefile("rw") as lines:
        source.settimeout(2 * TIMEOUT)
        source.connect(SOURCE)
        print(wanted, file=lines, flush=True)
        answer = json.loads(lines.readline())
    equal("broken" in answer, False, f"the source is well ({answer})")
    return answer["status"]


def refuses_start(vm, pattern):
    """Fails unless the start is refused with this reason, also if the threads are pinned to a PMU
    with fewer counters; pinned to another PMU, the VM has to go on."""
    status = vm.status
    match(pattern, vm.refusal(), "error")
    if TOPOLOGY == "unlike-counters":
        vm.pin(SMALL_CPUS)
        match(re.escape(FEWER.text), vm.refusal(), "error")
    equal((vm.status, vm.backends), (status, ""), "state after the refusal")
    goes_on(vm, BIG, BIG_CPUS)


@each_of({f"{source} to {row.pinning}": (row, source) for row in ROWS
          if (row.topology, row.kernel) == (TOPOLOGY, KERNEL) for source in SOURCES})
def test_hosts(arguments):
    """the expected backend; or one message, and the guest goes on at the source"""
    row, source = arguments
    wanted = getattr(row, SOURCES[source])
    refusal = (re.escape(wanted.text.format(union(row.threads))) if isinstance(wanted, Refused)
               else "")
    with Vm(HYBRID, extra=["-incoming", "defer"]) as vm:
        vm.connect().pin(*map(parse_cpu_list, row.threads))
        vm.qmp.command("migrate-incoming", uri=f"unix:{STREAM}")
        status = ask_source(source)
        if refusal and wanted.when == "load":
            equal(status, "failed", "migration")
            vm.exits(f"load of migration failed: .*{refusal}")
            return
        equal(status, "completed", f"migration ({vm.stderr!r})")
        if refusal:
            refuses_start(vm, refusal)
            return
        goes_on(vm, wanted)
