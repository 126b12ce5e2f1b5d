# SPDX-License-Identifier: GPL-2.0-or-later
"""The properties pmu-hybrid and pmu-backend: which CPUs have them, on which command lines they
work, and where the choice can be seen."""

from vm import (ALL_CPUS, BIG, BIG_CPUS, FIXED, HYBRID, KERNEL, PMUS, SMALL_CPUS, Vm, cpu_list,
                each_of, equal, match, only_on, pmu_list, raises)

GLOBAL = ("-global", "host-arm-cpu.pmu-hybrid=on")


@only_on("stock")
def test_expansion():
    """query-cpu-model-expansion: pmu-hybrid is off by default, can be switched on, needs pmu;
    pmu-backend is not listed"""
    with Vm("host") as vm:
        vm.connect()
        equal(vm.expand()["pmu-hybrid"], False, "default")
        equal(vm.expand(pmu_hybrid=True)["pmu-hybrid"], True, "switched on")
        equal("pmu-backend" in vm.expand(), False, "pmu-backend is advertised")
        raises("requires 'pmu'", vm.expand, pmu=False, pmu_hybrid=True)


@only_on("stock")
def test_read_only():
    """pmu-backend cannot be set, and pmu-hybrid not after the CPU is realized"""
    with Vm() as vm:
        vm.connect()
        path = vm.cpus[0]["qom-path"]
        raises("pmu-backend", vm.qmp.command, "qom-set", path=path, property="pmu-backend",
               value=BIG)
        raises("pmu-hybrid.* after it was realized", vm.qmp.command, "qom-set", path=path,
               property="pmu-hybrid", value=False)


@only_on("stock")
@each_of({"host": "host-arm-cpu", "max": "max-arm-cpu"})
def test_listed(typename):
    """qom-list-properties has both properties, with a description"""
    with Vm("host") as vm:
        found = {item["name"]: item
                 for item in vm.connect().qmp.command("qom-list-properties", typename=typename)}
        for name, kind in (("pmu-hybrid", "bool"), ("pmu-backend", "string")):
            equal(found[name]["type"], kind, f"type of {name}")
            match("PMU", found[name].get("description", ""), f"description of {name}")


# Options of Vm that have to lead to a choice and a guest that starts
COMMAND_LINES = {
    "-global": {"cpu": "host", "extra": GLOBAL},
    "-cpu max": {"cpu": "max,pmu-hybrid=on"},
    "pmu=on too": {"cpu": "host,pmu=on,pmu-hybrid=on"},
    "a second -cpu": {"cpu": "host", "extra": ("-cpu", HYBRID)},
    "on after off": {"cpu": "host,pmu-hybrid=off,pmu-hybrid=on"},
    "one vCPU": {"vcpus": 1},
    "three vCPUs": {"vcpus": 3},
    "eight vCPUs": {"vcpus": 8},
    "kernel-irqchip=on": {"machine": "virt,gic-version=3,kernel-irqchip=on"},
    "kernel-irqchip=off": {"machine": "virt,kernel-irqchip=off"},
    "kernel-irqchip=off, GICv2": {"machine": "virt,gic-version=2,kernel-irqchip=off"},
    "GIC of the host": {"machine": "virt,gic-version=host"},
    "GIC max": {"machine": "virt,gic-version=max"},
    "virt-5.0": {"machine": "virt-5.0,gic-version=3"},
    "virt-8.2": {"machine": "virt-8.2,gic-version=3"},
    "virt-10.2": {"machine": "virt-10.2,gic-version=3"},
    "no adjvtime, no steal time": {"cpu": f"{HYBRID},kvm-no-adjvtime=on,kvm-steal-time=off"},
}


@only_on("stock")
@each_of(COMMAND_LINES)
def test_command_line(options):
    """the VM gets the PMU of the CPUs that the threads are pinned to, and the guest counts"""
    with Vm(**options) as vm:
        vm.connect().pin(BIG_CPUS)
        equal(vm.cont().backends, BIG, "backend")
        vm.wait_for_deltas()


# Command lines with no interrupt for the PMU, or with another order of steps, on the kernel with
# the mode
@only_on("patched")
@each_of({name: COMMAND_LINES[name] for name in (
    "-global", "-cpu max", "one vCPU", "eight vCPUs", "kernel-irqchip=off", "virt-8.2")})
def test_command_line_fixed(options):
    """the VM gets the fixed counters, and the guest counts while it is moved"""
    with Vm(**options) as vm:
        vm.connect().pin(ALL_CPUS)
        equal(vm.cont().backends, FIXED, "backend")
        for cpus in (SMALL_CPUS, BIG_CPUS):
            vm.pin(cpus)
        vm.wait_for_deltas()


@only_on("stock")
@each_of({
    "GICv2 in the kernel": ("virt,gic-version=2", "KVM does not support GICv2 emulation"),
    "kernel-irqchip=split": ("virt,kernel-irqchip=split", "split is not supported"),
})
def test_machine_refuses(row):
    """machines that this host does not support fail with that reason, with pmu-hybrid and
    without"""
    machine, pattern = row
    for cpu in ("host", HYBRID):
        with Vm(cpu, machine=machine) as vm:
            vm.exits(pattern)


@only_on("stock")
@each_of({"on the command line": {"cpu": "host,pmu-hybrid=off"},
          "-cpu host, -global of max": {"cpu": "host",
                                        "extra": ["-global", "max-arm-cpu.pmu-hybrid=on"]},
          "-cpu max, -global of host": {"cpu": "max", "extra": GLOBAL}})
def test_off(options):
    """pmu-hybrid=off, or on by a -global for the other CPU type, which has no effect, as
    documented: no choice and no message"""
    with Vm(affinity=SMALL_CPUS, **options) as vm:
        equal(vm.connect().cont().backends, "", "backend")
        vm.passes()
        equal(vm.stderr, "", "stderr")


def test_one_pmu():
    """each PMU in turn, by pinning between -S and cont: pmu-backend and the log name it, and the
    guest counts"""
    for name, cpus in PMUS:
        with Vm() as vm:
            vm.connect()
            equal(vm.backends, "", "backend before the start")
            vm.pin(cpus)
            equal(vm.cont().backends, name, "backend")
            listed = cpu_list(cpus)
            match(f"^info: pmu-hybrid: vCPU threads may run on CPUs {listed}; "
                  f"the guest's PMU is backed by {name} on CPUs {listed}, with [0-9]+ event "
                  "counters\n$", vm.stderr, "log")
            equal(vm.human(f"qom-get {vm.cpus[0]['qom-path']} pmu-backend").strip(), f'"{name}"',
                  "HMP's qom-get")
            vm.passes()


@only_on("patched")
@each_of({"each thread everywhere": [ALL_CPUS], "a thread on each PMU": [SMALL_CPUS, BIG_CPUS]})
def test_fixed(sets):
    """vCPUs that span PMUs have fixed counters: pmu-backend and the log say so, and they count
    while the threads move"""
    with Vm() as vm:
        vm.connect().pin(*sets)
        equal(vm.cont().backends, FIXED, "backend")
        match("backed by the fixed counters of .*, with 0 event counters\n", vm.stderr, "log")
        for cpus in (SMALL_CPUS, BIG_CPUS) * 3:
            vm.wait_for_deltas()
            vm.pin(cpus)
        vm.passes()


def test_trace():
    """the trace event has the inputs of the choice"""
    with Vm(extra=["-trace", "kvm_arm_pmu_hybrid_choose"]) as vm:
        vm.connect().pin(SMALL_CPUS)
        vm.cont()
        match(rf"kvm_arm_pmu_hybrid_choose .*CPUs {cpu_list(SMALL_CPUS)}, online "
              rf"{cpu_list(ALL_CPUS)}, PMUs: {pmu_list()}, "
              f"KVM has fixed counters: {int(KERNEL == 'patched')}", vm.stderr, "trace")
        equal(vm.stderr.count("kvm_arm_pmu_hybrid_choose"), 1, "choices")


@only_on("stock")
def test_reset():
    """a reset keeps the choice"""
    with Vm() as vm:
        vm.connect().pin(BIG_CPUS)
        vm.cont()
        vm.qmp.command("system_reset")
        vm.qmp.wait_for_event("RESET")
        equal(vm.backends, BIG, "backend")
        vm.passes()
