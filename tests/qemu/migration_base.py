# SPDX-License-Identifier: GPL-2.0-or-later
"""Without pmu-hybrid a migration stream is the same as that of the QEMU without the series, and
each of the two loads the other's.

Beside this file are qemu-base, built without the series, and QEMU's own analyze-migration.py. The
state of a VM that never ran is the same each time, except for clocks.
"""

import json
import re
import subprocess
import sys
import tempfile

from migration import ended, passes_on, save, saved, wait_for
from unchanged import BASE, CLOCKS
from vm import HYBRID, QEMU, SMALL_CPUS, Vm, each_of, equal

ONLY_ON = "stock"
MACHINES = ("virt,gic-version=3", "virt-8.2,gic-version=3")
SUBSECTION = "cpu/pmu-hybrid"


def flatten(value, path=""):
    """Yields (path, value) of each leaf in nested objects and lists."""
    if not isinstance(value, (dict, list)):
        yield path, value
        return
    for key, child in value.items() if isinstance(value, dict) else enumerate(value):
        yield from flatten(child, f"{path}/{key}")


def without_clocks(state):
    """The state with a fixed text for registers that count time and for the RTC's offset."""
    for name, section in state.items():
        if name.startswith("cpu "):
            for number, index in enumerate(section["cpreg_vmstate_indexes"]):
                if index.removeprefix("0x") in CLOCKS:
                    section["cpreg_vmstate_values"][number] = "a clock"
        if name.startswith("pl031 "):
            section["tick_offset_vmstate"] = "a clock"
    return state


def analyze(path, what):
    """What analyze-migration.py prints for a stream."""
    done = subprocess.run([sys.executable, "analyze-migration.py", "-f", path, "-d", what],
                          check=True, text=True, stdout=subprocess.PIPE)
    return json.loads(done.stdout)


def stream(qemu, options):
    """Description and contents of the device state of a VM that never ran."""
    options = {"cpu": "host", "qemu": qemu, "affinity": SMALL_CPUS, **options}
    with tempfile.NamedTemporaryFile() as file, Vm(**options) as vm:
        save(vm.connect(), file.name)
        return {**dict(flatten(analyze(file.name, "desc"), "desc")),
                **dict(flatten(without_clocks(analyze(file.name, "state")), "state"))}


def differences(one, other):
    """Paths at which the two differ."""
    return sorted(path for path in one.keys() | other.keys() if one.get(path) != other.get(path))


def loaded(path, cpu, **options):
    """A VM that waits for the state in a file. Without pmu-hybrid its affinity decides."""
    return wait_for(f"file:{path}", cpu, pin=SMALL_CPUS, affinity=SMALL_CPUS, **options)


def section_numbers(contents):
    """Numbers of the vCPUs' sections."""
    return sorted({int(found[1]) for path in contents
                   if (found := re.match(r"state/cpu \((\d+)\)/", path))})


STREAMS = {
    **{machine.partition(",")[0]: {"machine": machine + ",dtb-randomness=off"}
       for machine in MACHINES},
    "pmu=off": {"cpu": "host,pmu=off", "machine": MACHINES[0] + ",dtb-randomness=off"},
}


@each_of(STREAMS)
def test_same_stream(options):
    """without pmu-hybrid, the stream has the same sections, fields and values as that of the QEMU
    without the series"""
    wanted, got = stream(BASE, options), stream(QEMU, options)
    equal(differences(wanted, got), [], "what differs")


def test_subsection():
    """with pmu-hybrid=on the stream has one more subsection for each vCPU, and nothing else
    changes"""
    options = STREAMS["virt"]
    wanted, got = stream(BASE, options), stream(QEMU, {**options, "cpu": HYBRID})
    changed = [path for path in differences(wanted, got) if not path.startswith("desc/")]
    equal(changed,
          [f"state/cpu ({number})/{SUBSECTION}/{field}" for number in section_numbers(wanted)
           for field in ("kvm_pmu_backend", "kvm_pmu_name", "kvm_pmu_nr_counters")], "what differs")


@each_of({f"{machine.partition(',')[0]} {way}": (machine, *qemus) for machine in MACHINES
          for way, qemus in {"to base": (QEMU, BASE), "from base": (BASE, QEMU)}.items()})
def test_base(row):
    """without pmu-hybrid, a running guest goes on in the other QEMU"""
    machine, source, destination = row
    with saved("host", pin=SMALL_CPUS, qemu=source, machine=machine) as path:
        with loaded(path, "host", qemu=destination, machine=machine) as vm:
            equal(ended(vm), ("completed", ""), "migration")
            passes_on(vm.cont())


@each_of({"after its start": True, "before": False})
def test_hybrid_to_base(start):
    """the QEMU without the series refuses a stream with pmu-hybrid=on"""
    with saved(pin=SMALL_CPUS, start=start) as path, loaded(path, "host", qemu=BASE) as vm:
        vm.exits(f"load of migration failed: .*{SUBSECTION}")
