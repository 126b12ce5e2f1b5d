# SPDX-License-Identifier: GPL-2.0-or-later
"""pmu-hybrid=on in what management applications lock QEMU into: it only needs to read sysfs and to
ask for affinities."""

import contextlib

from vm import (BIG, BIG_CPUS, ATTRIBUTE, FIXED, KERNEL, LIBVIRT_SANDBOX, Vm, each_of, equal, match,
                only_on, unprivileged)

NAMESPACES = ("unshare", "--mount", "--pid", "--ipc", "--uts", "--net", "--fork", "--kill-child",
              "--mount-proc")


@contextlib.contextmanager
def confinement(name):
    """Options of Vm."""
    if name == "sandbox":
        yield {"extra": LIBVIRT_SANDBOX}
    elif name == "namespaces":
        yield {"wrapper": NAMESPACES}
    else:
        with unprivileged() as wrapper:
            yield {"wrapper": wrapper, "extra": LIBVIRT_SANDBOX if name == "all" else ()}


@each_of({name: name for name in ("sandbox", "user of group kvm", "namespaces", "all")})
def test_choice(name):
    """the affinity that QEMU was started with decides, over one PMU and over all"""
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
    """as under libvirt: threads pinned from outside while the sandbox keeps QEMU from doing so"""
    with Vm(extra=LIBVIRT_SANDBOX) as vm:
        vm.connect().pin(BIG_CPUS[:1], BIG_CPUS[1:])
        equal(vm.cont().backends, BIG, "backend")
        vm.passes()
