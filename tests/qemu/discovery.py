# SPDX-License-Identifier: GPL-2.0-or-later
"""How QEMU finds out whether KVM has the fixed counters: by the attribute and by what it does, on a
VM made for that.

The number of the attribute has been proposed for something else, too, and no capability counts.
"""

from refusal import refused, shimmed, starts
from vm import (ALL_CPUS, ATTRIBUTE, BIG, BIG_CPUS, FIXED, HYBRID, KERNEL, SMALL, SMALL_CPUS, Vm,
                each_of, equal, match, only_on)

# Kernels on which the number does not mean the mode
OTHERS = {
    "attribute absent": "no-attribute-5",
    "without effect": "other-attribute-5",
    "cannot be set": "attribute-5-fails",
}


@each_of(OTHERS)
def test_other_meaning(shim):
    """the kernel counts as one without the mode: threads that span PMUs are refused, and those
    within one get it"""
    with shimmed(shim) as vm:
        vm.connect().pin(ALL_CPUS)
        refused(vm, f"^pmu-hybrid: .* its kernel lacks {ATTRIBUTE}; either pin")
        starts(vm, SMALL, SMALL_CPUS)
        vm.passes()


@only_on("patched")
def test_without_capability():
    """a KVM that announces nothing has the mode all the same"""
    with shimmed("no-new-capabilities") as vm:
        vm.connect()
        starts(vm, FIXED, ALL_CPUS)
        vm.passes()


@only_on("patched")
def test_fails_later():
    """where the mode cannot be set in the VM itself nothing has been told, and a pinning to one PMU
    helps"""
    with shimmed("attribute-5-once") as vm:
        vm.connect().pin(ALL_CPUS)
        refused(vm, f"^pmu-hybrid: KVM refuses {ATTRIBUTE} for vCPU 0")
        starts(vm, BIG, BIG_CPUS)
        vm.passes()


def test_probe():
    """the probe is made once, when the machine is, and not at all without pmu-hybrid"""
    for cpu, count in ((HYBRID, 1), ("host", 0)):
        with Vm(cpu, affinity=SMALL_CPUS, extra=["-trace", "kvm_arm_pmu_hybrid_probe"]) as vm:
            vm.connect()
            equal(vm.stderr.count("kvm_arm_pmu_hybrid_probe"), count, f"probes of -cpu {cpu}")
            if count:
                match(f"KVM has fixed counters: {int(KERNEL == 'patched')}", vm.stderr, "trace")
            vm.cont().wait_for_deltas()
            equal(vm.stderr.count("kvm_arm_pmu_hybrid_probe"), count,
                  f"probes of -cpu {cpu} after its start")
