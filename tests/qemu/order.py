# SPDX-License-Identifier: GPL-2.0-or-later
"""What pmu-hybrid=on sends KVM, and when: QEMU chooses once, at the first start, before any vCPU
runs, and later starts cost nothing."""

import os
import tempfile
from collections import Counter

from refusal import DEVICES, event_sources
from vm import BIG, BIG_CPUS, HYBRID, PMUS, SMALL_CPUS, Vm, cpu_list, equal, only_on

VCPUS = 2
# Numbers of ioctls, as QEMU's trace prints them
KVM_RUN = "type 0xae80"
KVM_SET_DEVICE_ATTR = "type 0x4018aee1"
KVM_SET_ONE_REG = "type 0x4010aeac"
# A vCPU has a few hundred registers.
MANY_REGISTERS = 100
# Numbers of ioctls, as the log of shim-log.c has them
REQUESTS = {"ae03": "CHECK_EXTENSION", "4018aee1": "SET_DEVICE_ATTR", "4018aee3": "HAS_DEVICE_ATTR",
            "4010aeab": "GET_ONE_REG"}


def test_stale_registers():
    """registers that a monitor command fetched are written back before the choice, and not after
    it"""
    with Vm(affinity=SMALL_CPUS, extra=["-trace", "kvm_vcpu_ioctl"]) as vm:
        vm.connect().human("info registers -a")
        vm.pin(BIG_CPUS)
        before = len(vm.stderr)
        equal(vm.cont().backends, BIG, "backend")
        during = vm.stderr[before:]
        flush, choice, start = during.partition(KVM_SET_DEVICE_ATTR)
        equal(flush.count(KVM_SET_ONE_REG) > MANY_REGISTERS, True,
              "registers written before the choice")
        start = start.partition(KVM_RUN)[0]
        equal((choice, start.count(KVM_SET_ONE_REG)), (KVM_SET_DEVICE_ATTR, 0),
              "registers written after the choice")
        vm.passes()


def attributes(cpu):
    """How many attributes of vCPUs QEMU sets before cont, and how many from then on."""
    with Vm(cpu, extra=["-trace", "kvm_vcpu_ioctl"]) as vm:
        vm.connect().pin(SMALL_CPUS)
        before = vm.stderr.count(KVM_SET_DEVICE_ATTR)
        vm.cont()
        return before, vm.stderr.count(KVM_SET_DEVICE_ATTR) - before


@only_on("stock")
def test_deferral():
    """QEMU sets IRQ and INIT at the first start, not at the creation of the VM, and SET_PMU once;
    without pmu-hybrid nothing changes"""
    plain, after = attributes("host")
    equal(after, 0, "attributes set after the start, without pmu-hybrid")
    equal(attributes(HYBRID), (plain - 2 * VCPUS, 1 + 2 * VCPUS),
          "attributes set before and after the start")


def ioctls_of_conts(cpu):
    """Number of ioctls of each kind that the main thread makes at the first cont and at a second
    one."""
    with tempfile.NamedTemporaryFile("r", encoding="utf-8") as log:
        environment = {"LD_PRELOAD": os.path.abspath("shim-log.so"), "SHIM_LOG": log.name}
        with Vm(cpu, environment=environment) as vm:
            vm.connect().pin(SMALL_CPUS)
            counts = []
            for _ in range(2):
                log.readlines()
                vm.cont()
                lines = (line.split() for line in log.readlines())
                counts.append(Counter(REQUESTS.get(line[2], line[2]) for line in lines
                                      if int(line[0]) == vm.process.pid))
                vm.qmp.command("stop")
        return counts


@only_on("stock")
def test_cost():
    """the first start makes a few ioctls more and reads each register once; later starts are as
    without pmu-hybrid"""
    plain, hybrid = ioctls_of_conts("host"), ioctls_of_conts(HYBRID)
    equal(hybrid[1], plain[1], "ioctls of the second start")
    added = hybrid[0] - plain[0]
    registers = added.pop("GET_ONE_REG")
    # SET_PMU, and IRQ and INIT of each vCPU, which come later than without pmu-hybrid
    equal(added, Counter({"HAS_DEVICE_ATTR": 1 + 2 * VCPUS, "SET_DEVICE_ATTR": 1 + 2 * VCPUS}),
          "ioctls added")
    # PMCR_EL0 of the first vCPU once more; PMCR_EL0 and the list of registers of each vCPU
    equal((registers - 1) % VCPUS, 0, f"registers that do not come for each vCPU ({registers})")
    print(f"# the first start reads {registers} registers more", flush=True)


def forget_reads(files):
    """Makes the next read of each file set its access time: relatime does that if the access time
    is older than the modification time."""
    for file in files:
        os.utime(file, (0, 1))


def reads(files):
    """The files that were read since forget_reads()."""
    return [file for file in files if os.stat(file).st_atime]


def real_type(name):
    """The perf event type of a PMU of the host, as its file has it."""
    with open(f"{DEVICES}/{name}/type", encoding="ascii") as file:
        return file.read()


@only_on("stock")
def test_sysfs_at_choice():
    """QEMU reads sysfs at each attempt to choose and at no other time, and reads no file of event
    sources that are no PMUs of CPUs"""
    sources = {name: {"type": real_type(name), "cpus": f"{cpu_list(cpus)}\n"}
               for name, cpus in PMUS}
    other = {"arm_spe_0": {"type": "99\n", "cpumask": "0-3\n"}}
    with event_sources({**sources, **other}) as folder, Vm() as vm:
        wanted = [f"{folder}/{name}/{file}" for name, files in sources.items() for file in files]
        files = [*wanted, *(f"{folder}/arm_spe_0/{file}" for file in other["arm_spe_0"])]
        forget_reads(files)
        vm.connect()
        equal(reads(files), [], "files read before cont")
        vm.refusal()
        equal(reads(files), wanted, "files read at a cont that is refused")
        forget_reads(files)
        vm.pin(BIG_CPUS)
        equal(vm.cont().backends, BIG, "backend")
        equal(reads(files), wanted, "files read at the choice")
        forget_reads(files)
        vm.qmp.command("stop")
        vm.cont().passes()
        equal(reads(files), [], "files read after the choice")
