# SPDX-License-Identifier: GPL-2.0-or-later
"""Claim: many VMs whose vCPUs move all the time live, whatever happens to the host's CPUs and
memory, to other VMs, and to libvirtd.

A guest ends with STOP when a counter stands still, and with FAIL when one goes back. A warning of
the host's kernel fails the test, too. Figures are in the test's whiteboard, in results.json.
"""
import contextlib
import json
from pathlib import Path

from domains import DomainTest
from hosts import TEST_TIMEOUT, poll, scaled, tail
from vms import FIXED, MOVER, WINLIKE, VmTest

PRESSURE, PLUGGER = (Path(__file__).with_name(name) for name in ("pressure.py", "plugger.py"))
VMS, VCPUS = 8, 4
# A guest prints a line for each vCPU and interval, one vCPU at a time; the others wait for it, also
# while the host does not run it
GUEST = "seconds=0 interval_us=200000"
# Moves of each thread: the load lasts until they are done
MOVES = 200
# Seconds on the host: between two moves of a thread; between two changes of a CPU, offline or
# online
STAY, PLUG = 0.2, 0.5
# MiB that remain available
LEAST_MEMORY = 200
# What makes CPUs and memory scarce does not wait for its turn among the vCPUs' threads
URGENT = ("nice", "-n", "-15", "python3")
# Seconds: 32 vCPUs share four emulated CPUs, so minutes may pass until each has had its turn
START = 600


class Load(VmTest):
    """VMs without libvirt."""

    timeout = scaled(3000)

    def start(self, host, name):
        """Context manager: a VM."""
        return self.vm(host, kernel=WINLIKE, append=GUEST, vcpus=VCPUS, name=name)

    def end(self, host, name, process):
        """Ends a process by the end of its stdin; returns the number that it printed."""
        process.stdin.close()
        poll(f"the end of {name}", lambda: process.poll() is not None,
             lambda: tail(host.logs / f"{name}.err"), timeout=START)
        self.check_equal(process.returncode, 0,
                         f"exit status of {name}; {tail(host.logs / f'{name}.err')}")
        return int((host.logs / f"{name}.out").read_text())

    def test_vms(self):
        """
        Eight VMs of four vCPUs: all threads move, CPUs go offline and online, memory is scarce, and
        a ninth VM is killed and restarted

        :avocado: tags=load
        """
        files = [WINLIKE, MOVER, PRESSURE, PLUGGER]
        with self.host(pmus=2, mode=True, files=files) as host, contextlib.ExitStack() as stack:
            self.need_emulated(host, "takes the host's CPUs offline and its memory")
            vms = [stack.enter_context(self.start(host, f"vm{number}")) for number in range(VMS)]
            for vm in vms:
                self.check_equal(vm.cont().backends, [FIXED] * VCPUS, f"backends of {vm.name}")
            self.wait_for_all(vms)
            threads = [thread for vm in vms for thread in vm.threads]
            groups = ":".join(",".join(map(str, cpus)) for cpus in host.clusters)
            # one CPU of each cluster stays online, for threads that are moved there
            plugged = [cpu for cpus in host.clusters for cpu in cpus[1:]]
            plugger = host.start("plugger", *URGENT, PLUGGER.name, PLUG, *plugged)
            pressure = host.start("pressure", *URGENT, PRESSURE.name, LEAST_MEMORY)
            mover = host.start("mover", "python3", MOVER.name, MOVES, STAY, groups, *threads)
            killed = self.kill_while(host, mover, vms)
            figures = {"vms": VMS, "vcpus": VMS * VCPUS, "moves": MOVES * len(threads),
                       "vms_killed": killed, "cpus_offline": self.end(host, "plugger", plugger),
                       "memory_scarce": self.end(host, "pressure", pressure)}
            self.wait_for_all(vms)
            figures["intervals"] = sum(vm.console.count("\ndelta ") for vm in vms)
            self.whiteboard = json.dumps(figures)
            self.log.info("figures: %s", figures)
            self.check(all(figures.values()), f"expected that all of it happened, got {figures}")

    @staticmethod
    def wait_for_all(vms):
        """Waits until each vCPU of each VM has measured once from now on."""
        for vm, after in [(vm, len(vm.console)) for vm in vms]:
            vm.wait_for_deltas(START, after)
            vm.check_well()

    def kill_while(self, host, mover, vms):
        """Starts and kills another VM while the mover runs, again and again, and watches the
        others; returns how often."""
        killed = 0
        while mover.poll() is None:
            with self.start(host, f"victim{killed}") as victim:
                victim.cont()
                victim.wait_for_console("delta vcpu=0 ", timeout=START)
                victim.kill()
            killed += 1
            for vm in vms:
                vm.check_well()
        self.check_equal(mover.returncode, 0,
                         f"exit status of the mover; {tail(host.logs / 'mover.err')}")
        return killed


class Libvirtd(DomainTest):
    """VMs under libvirt."""

    timeout = scaled(TEST_TIMEOUT)
    RESTARTS = 3

    def test_restarts(self):
        """
        libvirtd restarts while the vCPUs of its domains move; no domain stops, and libvirtd knows
        them all afterwards

        :avocado: tags=load
        """
        with self.libvirt(mode=True) as libvirt, libvirt.domain("one") as one, \
                libvirt.domain("other") as other:
            self.need_emulated(libvirt.host, "restarts libvirtd")
            before = [domain.start().pid for domain in (one, other)]
            for turn in range(self.RESTARTS):
                for domain in one, other:
                    domain.move(("LITTLE", "big")[turn % 2])
                libvirt.restart()
                for domain in one, other:
                    domain.check_alive()
                    self.check_equal((domain.state, domain.backend), ("running", FIXED),
                                     f"state and backend of {domain.name}")
            self.check_equal([domain.pid for domain in (one, other)], before, "processes")
            self.whiteboard = json.dumps({"domains": 2, "restarts": self.RESTARTS})
