# SPDX-License-Identifier: GPL-2.0-or-later
"""How QEMU finds out whether KVM has the fixed counters: it sets the attribute on a scratch VM, and
looks at the effect.

The number alone does not tell: it has been proposed for another attribute, too. QEMU asks for no
capability.
"""

from refusal import refused, shimmed, starts
from vm import (ALL_CPUS, ATTRIBUTE, BIG, BIG_CPUS, FIXED, HYBRID, KERNEL, SMALL, SMALL_CPUS, Vm,
                each_of, equal, match, only_on)

# Kernels on which the number of the attribute does not mean the mode
OTHERS = {
    "attribute absent": "no-attribute-5",
    "without effect": "other-attribute-5",
    "cannot be set": "attribute-5-fails",
}


@each_of(OTHERS)
def test_other_meaning(shim):
    """QEMU takes the kernel for one without the mode: threads that span PMUs are refused, threads
    within one PMU get that PMU"""
    with shimmed(shim) as vm:
        vm.connect().pin(ALL_CPUS)
        refused(vm, f"^pmu-hybrid: .* its kernel lacks {ATTRIBUTE}; either pin")
        starts(vm, SMALL, SMALL_CPUS)
        vm.passes()


@only_on("patched")
def test_without_capability():
    """QEMU uses the mode of a KVM that announces no capability for it"""
    with shimmed("no-new-capabilities") as vm:
        vm.connect()
        starts(vm, FIXED, ALL_CPUS)
        vm.passes()


@only_on("patched")
def test_fails_later():
    """if KVM refuses the mode for the real VM, nothing is set yet, and pinning to one PMU helps"""
    with shimmed("attribute-5-once") as vm:
        vm.connect().pin(ALL_CPUS)
        refused(vm, f"^pmu-hybrid: KVM refuses {ATTRIBUTE} for vCPU 0")
        starts(vm, BIG, BIG_CPUS)
        vm.passes()


def test_probe():
    """QEMU probes KVM once, when it creates the machine, and not at all without pmu-hybrid"""
    for cpu, count in ((HYBRID, 1), ("host", 0)):
        with Vm(cpu, affinity=SMALL_CPUS, extra=["-trace", "kvm_arm_pmu_hybrid_probe"]) as vm:
            vm.connect()
            equal(vm.stderr.count("kvm_arm_pmu_hybrid_probe"), count, f"probes of -cpu {cpu}")
            if count:
                match(f"KVM has fixed counters: {int(KERNEL == 'patched')}", vm.stderr, "trace")
            vm.cont().wait_for_deltas()
            equal(vm.stderr.count("kvm_arm_pmu_hybrid_probe"), count,
                  f"probes of -cpu {cpu} after its start")
