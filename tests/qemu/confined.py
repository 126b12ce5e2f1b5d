# SPDX-License-Identifier: GPL-2.0-or-later
"""pmu-hybrid=on in the sandboxes of management applications: QEMU only needs to read sysfs and the
affinities of its threads."""

import contextlib

from vm import (BIG, BIG_CPUS, ATTRIBUTE, FIXED, KERNEL, LIBVIRT_SANDBOX, Vm, each_of, equal, match,
                only_on, unprivileged)

NAMESPACES = ("unshare", "--mount", "--pid", "--ipc", "--uts", "--net", "--fork", "--kill-child",
              "--mount-proc")


@contextlib.contextmanager
def confinement(name):
    """Context manager: options of Vm that confine QEMU."""
    if name == "sandbox":
        yield {"extra": LIBVIRT_SANDBOX}
    elif name == "namespaces":
        yield {"wrapper": NAMESPACES}
    else:
        with unprivileged() as wrapper:
            yield {"wrapper": wrapper, "extra": LIBVIRT_SANDBOX if name == "all" else ()}


@each_of({name: name for name in ("sandbox", "user of group kvm", "namespaces", "all")})
def test_choice(name):
    """the affinity with which QEMU was started decides, on the CPUs of one PMU and on all"""
    with confinement(name) as options:
        with Vm(affinity=BIG_CPUS, **options) as vm:
            equal(vm.connect().cont().backends, BIG, "backend")
            vm.passes()
        with Vm(**options) as vm:
            vm.connect()
            if KERNEL == "patched":
                equal(vm.cont().backends, FIXED, "backend")
                vm.passes()
            else:
                match(ATTRIBUTE, vm.refusal(), "error")


@only_on("stock")
def test_sandboxed_pins():
    """as under libvirt: threads are pinned from outside, while the sandbox keeps QEMU from pinning
    them"""
    with Vm(extra=LIBVIRT_SANDBOX) as vm:
        vm.connect().pin(BIG_CPUS[:1], BIG_CPUS[1:])
        equal(vm.cont().backends, BIG, "backend")
        vm.passes()
