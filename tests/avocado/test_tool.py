# SPDX-License-Identifier: GPL-2.0-or-later
"""Claim: pmu-hybrid-check reports a running VM correctly, by whichever option it is asked, and what
it warns of happens to the guest."""
import json

from domains import DomainTest, Libvirt
from hosts import ARTIFACTS, poll
from vms import FIXED, WINLIKE

TOOL = ARTIFACTS / "pmu-hybrid-check"
FILES = [TOOL, WINLIKE]
# Verdicts in the order of their exit statuses
LEVELS = ("ok", "warning", "unknown", "problem")
# A second monitor, for the tool, and names for the threads
MONITOR = ("-qmp", "unix:tool.qmp,server=on,wait=off", "-name", "debug-threads=on")


class Tool(DomainTest):
    """What the tool says of VMs; for hosts see tests/tool-host.t."""

    def look(self, host, level, *arguments):
        """Runs the tool, whose verdict must be this level; returns what it found."""
        status, out, err = host.status(f"./{TOOL.name}", "--json", *arguments)
        self.log.info("%s: exit status %d\n%s%s", " ".join(map(str, arguments)), status, out, err)
        self.check_equal(err, "", "stderr")
        found = json.loads(out)
        self.check_equal((found["schema"], found["verdict"], status),
                         (1, level, LEVELS.index(level)), "schema, verdict and exit status")
        return found

    def check_text(self, found, topic, text):
        """Fails unless a finding about the topic contains the text."""
        lines = [finding["text"] for finding in found["findings"] if finding["topic"] == topic]
        self.check(any(text in line for line in lines),
                   f"{topic}: expected {text!r} in a line, got {lines}")

    def test_fixed_counters(self):
        """
        A VM on all CPUs, before and after its start, by its monitor and by its process

        :avocado: tags=core
        """
        with self.host(pmus=2, mode=True, files=FILES) as host, \
                self.vm(host, *MONITOR, kernel=WINLIKE, append="seconds=0") as vm:
            found = self.look(host, "ok", "--qmp", "tool.qmp")
            self.check_equal((found["vm"]["backend"], found["choice"]["outcome"]), ("", FIXED),
                             "backend and choice before the start")
            self.check_equal([vcpu["thread"] for vcpu in found["vm"]["vcpus"]], vm.threads,
                             "threads")
            vm.cont().wait_for_console("delta vcpu=1")
            found = self.look(host, "ok", "--qmp", "tool.qmp")
            self.check_equal((found["vm"]["backend"], found["vm"]["status"]), (FIXED, "running"),
                             "backend and state")
            pid = host.run("cat", f"{vm.name}.pid").strip()
            self.check_equal(str(found["vm"]["pid"]), pid, "process")
            found = self.look(host, "unknown", "--pid", pid)
            self.check_equal([vcpu["thread"] for vcpu in found["vm"]["vcpus"]], vm.threads,
                             "threads by their names")
            self.check_equal((found["vm"]["backend"], found["choice"]["outcome"]), (None, FIXED),
                             "backend and choice by the process")

    def test_strays(self):
        """
        A vCPU that can leave its PMU is a warning. One that has left it is a problem: QEMU has
        paused the VM

        :avocado: tags=core
        """
        with self.host(pmus=2, files=FILES) as host, \
                self.vm(host, *MONITOR, kernel=WINLIKE, append="seconds=0") as vm:
            name, cpus = list(host.pmus.items())[-1]
            vm.pin(cpus)
            vm.cont().wait_for_console("delta vcpu=1")
            found = self.look(host, "ok", "--qmp", "tool.qmp")
            self.check_equal(found["vm"]["backend"], name, "backend")
            vm.pin(host.clusters[0])
            poll("a VM that is paused", lambda: vm.status != "running", vm.explain)
            self.check_text(self.look(host, "problem", "--qmp", "tool.qmp"), "vcpu 0",
                            f"it has left {name}")
            vm.pin(cpus)
            vm.cont()
            self.look(host, "ok", "--qmp", "tool.qmp")
            # a thread that sleeps stays on its CPU
            vm.qmp.cmd("stop")
            vm.pin(cpus, [*host.clusters[0], *cpus])
            self.check_text(self.look(host, "warning", "--qmp", "tool.qmp"), "vcpu 1",
                            f"it can leave {name}")

    def test_kvms_pick(self):
        """
        Without pmu-hybrid: vCPUs on other CPUs than those on which QEMU started, as with libvirt's
        emulatorpin, are a problem, and the guest stops
        """
        with self.host(pmus=2, files=FILES) as host:
            for cpus, level, verdict in ((host.clusters[0], "ok", "delta vcpu=0"),
                                         (host.clusters[-1], "problem", "STOP: divide by zero")):
                with self.vm(host, *MONITOR, cpu="host", kernel=WINLIKE, append="seconds=0",
                             affinity=host.clusters[0], name=level) as vm:
                    vm.pin(cpus)
                    found = self.look(host, level, "--qmp", "tool.qmp")
                    self.check_equal((found["vm"]["backend"], found["vm"]["pmu-hybrid"]),
                                     ("", False), "backend")
                    self.look(host, level, "--pid", found["vm"]["pid"])
                    vm.cont().wait_for_console(verdict)

    def test_no_pmu(self):
        """
        A VM with pmu=off: a warning that the guest has no PMU

        :avocado: tags=core
        """
        with self.host(pmus=2, files=FILES) as host, \
                self.vm(host, *MONITOR, cpu="host,pmu=off", kernel=WINLIKE) as vm:
            pid = host.run("cat", f"{vm.name}.pid").strip()
            for question in (("--qmp", "tool.qmp"), ("--pid", pid)):
                found = self.look(host, "warning", *question)
                self.check_equal((found["vm"]["kvm"], found["vm"]["pmu"]), (True, False),
                                 "accelerator and PMU")
                self.check_text(found, "backend", "the guest has no PMU: pmu=off")

    def test_namespaces(self):
        """
        A VM in a PID namespace of its own: from outside the tool finds its threads, which have
        other numbers there; from another namespace it says that it cannot
        """
        apart = ("unshare", "--pid", "--fork", "--kill-child", "--mount-proc")
        with self.host(pmus=2, mode=True, files=FILES) as host, \
                self.vm(host, *MONITOR, kernel=WINLIKE, append="seconds=3600", wrapper=apart) as vm:
            vm.cont().wait_for_console("delta vcpu=1")
            found = self.look(host, "ok", "--qmp", "tool.qmp")
            self.check_equal(found["vm"]["backend"], FIXED, "backend")
            threads = [vcpu["thread"] for vcpu in found["vm"]["vcpus"]]
            self.check(set(threads).isdisjoint(vm.threads),
                       f"threads: expected others than QEMU's {vm.threads}, got {threads}")
            names = host.run("cat", *(f"/proc/{found['vm']['pid']}/task/{thread}/comm"
                                      for thread in threads)).splitlines()
            self.check_equal(names, ["CPU 0/KVM", "CPU 1/KVM"], "names of the threads")
            status, out, err = host.status(*apart, f"./{TOOL.name}", "--json", "--qmp", "tool.qmp")
            self.check_equal((status, err), (2, ""),
                             "exit status and stderr in a namespace beside it")
            self.check_text(json.loads(out), "vm", "QEMU is in another PID namespace")

    def test_domain(self):
        """
        A domain of libvirt, with pmu-hybrid and without

        :avocado: tags=core
        """
        with self.host(pmus=2, mode=True, files=FILES) as host, Libvirt(self, host) as libvirt:
            with libvirt.domain("fixed") as domain:
                domain.start()
                found = self.look(host, "ok", "--domain", domain.name)
                self.check_equal((found["vm"]["backend"], str(found["vm"]["pid"])),
                                 (FIXED, domain.pid), "backend and process")
                self.check_in("tainted: custom-monitor", domain.log,
                              "log of the domain, as docs/check.md says")
                self.look(host, "unknown", "--pid", domain.pid)
            pinning = ["<vcpu cpuset='big'>2</vcpu>", "<emulatorpin cpuset='LITTLE'/>"]
            with libvirt.domain("trap", ask=None, pinning=pinning) as domain:
                # paused, as the guest would stop before the tool looks
                domain.virsh("start", "--paused")
                self.check_text(self.look(host, "problem", "--domain", domain.name), "backend",
                                "KVM picked")
            status, out, err = host.status(f"./{TOOL.name}", "--domain", "no-such-domain")
            self.check_equal((status, out), (4, ""),
                             "exit status and output for a domain that does not exist")
            self.check_in("error: libvirt: Domain not found", err, "stderr")

    def test_domain_left(self):
        """
        A domain whose vCPU was pinned away from its PMU goes on after what the tool advises
        """
        pinning = ["<vcpu cpuset='big'>2</vcpu>"]
        with self.host(pmus=2, files=FILES) as host, Libvirt(self, host) as libvirt, \
                libvirt.domain("left", pinning=pinning) as domain:
            domain.start().check_alive()
            domain.virsh("vcpupin", 0, self.words(host)["LITTLE"])
            poll("a domain that is paused", lambda: domain.state == "paused", domain.explain)
            found = self.look(host, "problem", "--domain", domain.name)
            self.check_text(found, "vcpu 0", "it has left")
            advice, = {finding["advice"] for finding in found["findings"] if "advice" in finding}
            host.run("sh", "-c", advice.partition(";")[0])
            domain.virsh("resume")
            domain.check_alive()
            self.look(host, "ok", "--domain", domain.name)
