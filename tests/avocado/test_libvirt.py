# SPDX-License-Identifier: GPL-2.0-or-later
"""Claim: what docs/libvirt.md says is true. libvirt can ask for pmu-hybrid in two ways, and the
guest's PMU fits the CPUs on which libvirt places the VM.

Why it matters: most users have libvirt, which pins the vCPUs after QEMU has created them. Without
pmu-hybrid it is luck which PMU they get.
"""
import contextlib
import re
import xml.etree.ElementTree as ET

from domains import EMULATOR, OTHER_QEMU, Domain, DomainTest, read_pinnings
from hosts import TEST_TIMEOUT, TOP, WAIT, CommandFailed, EmulatedHost, poll, scaled
from pages import DOCS, find_scripts
from vms import FIXED

UNKNOWN = "unsupported configuration: unknown CPU feature: pmu-hybrid"
NO_PROPERTY = ("can't apply global host-arm-cpu.pmu-hybrid=on: Property 'host-arm-cpu.pmu-hybrid' "
               "not found")
NO_PMU_COVERS, NO_MODE = ("which no single PMU covers",
                          "and its kernel lacks KVM_ARM_VCPU_PMU_V3_FIXED_COUNTERS_ONLY")
ONE_PMU = "The guest has the event counters of one PMU, but"
FIXED_ONLY = ("The guest has the fixed counters only, and the host's kernel lacks "
              "KVM_ARM_VCPU_PMU_V3_FIXED_COUNTERS_ONLY")
# Sets the cpuset of the slice of all VMs. Arguments: CPUs, and the kind of partition
SET_CPUSET = """
cd /sys/fs/cgroup
mkdir -p machine
echo +cpuset >cgroup.subtree_control
cd machine
echo member >cpuset.cpus.partition
echo "$1" >cpuset.cpus
echo "$2" >cpuset.cpus.partition
grep -qx "$2" cpuset.cpus.partition
"""
# Word for the CPUs on which vCPUs may run -> words for where the tests move them
ROAM = {"all": ("LITTLE", "big"), "LITTLE": ("LITTLE",), "big": ("big",)}


def unpin(xml):
    """The XML of libvirt without its cpusets."""
    return re.sub(" cpuset='[^']*'", "", xml)


class Pinning(DomainTest):
    """Each row of the page's table, and cgroups."""

    # each row waits for a domain
    timeout = scaled(TEST_TIMEOUT + WAIT * len(read_pinnings()))

    def check_rows(self, libvirt, check, **kwargs):
        """Runs check(domain, row) on a domain of each row, and reports all failures."""
        failures = []
        for number, (name, row) in enumerate(read_pinnings().items()):
            self.log.info("row %d: %s", number, name)
            try:
                with libvirt.domain(f"row{number}", pinning=row.xml, **kwargs) as domain:
                    check(domain, row)
            except AssertionError as error:
                failures.append(f"{name}: {error}")
        self.check(not failures, "\n".join(failures))

    def check_row(self, domain, row, wanted):
        """Checks a domain with pmu-hybrid: WANTED is the page's word for its PMU, or "refused"."""
        if wanted == "refused":
            message = domain.refusal()
            self.check_told(NO_PMU_COVERS, message)
            self.check_told(NO_MODE, message)
            self.check_equal(domain.state, "shut off", "state after the refusal")
            return
        self.check_backend(domain.start(), wanted)
        self.check_in(f"vCPU threads may run on CPUs {self.words(domain.host)[row.cpus]};",
                      domain.log, "log of the domain")
        self.check_everywhere(domain, row)

    @staticmethod
    def check_everywhere(domain, row):
        """Moves the guest to all CPUs on which it may run, and fails unless it lives there."""
        for cpus in ROAM[row.cpus]:
            domain.move(cpus)
            domain.check_alive()

    def check_row_without(self, domain, row):
        """Checks a domain without pmu-hybrid."""
        domain.start()
        if row.off == "runs":
            self.check_everywhere(domain, row)
        elif row.off == "stops":
            # the domain ends when the guest stops
            with contextlib.suppress(CommandFailed):
                for cpus in ROAM[row.cpus]:
                    domain.move(cpus)
            poll("a guest that stops", lambda: "STOP: divide by zero" in domain.console,
                 domain.explain, interval=0.5)
        else:
            self.check_equal(row.off, "luck", "last column of docs/libvirt.md")

    def test_pinned(self):
        """
        Each way of pinning gives the PMU that the page says, and the guest lives wherever it is
        allowed to run

        :avocado: tags=core
        """
        with self.libvirt(mode=True) as libvirt:
            self.check_rows(libvirt, lambda domain, row: self.check_row(domain, row, row.hybrid))

    def test_stock(self):
        """On a kernel without the mode: a PMU that covers all vCPUs, or a refusal that says what to
        do"""
        with self.libvirt(mode=False) as libvirt:
            self.check_rows(libvirt, lambda domain, row:
                            self.check_row(domain, row, row.hybrid_stock))

    def test_without(self):
        """Without pmu-hybrid the guest stops where the page says so: nothing has changed for those
        who do not ask"""
        with self.libvirt() as libvirt:
            self.check_rows(libvirt, self.check_row_without, ask=None)

    def test_cpuset(self):
        """The cpuset of the slice decides the PMU, with a partition and without. A VM that nothing
        else kept on its cluster pauses when the cpuset grows"""
        with self.libvirt(mode=True) as libvirt:
            self.need_emulated(libvirt.host, "sets the cpuset of all VMs")
            words = self.words(libvirt.host)
            for partition in "member", "root":
                self.set_cpuset(libvirt.host, words["big"], partition)
                with libvirt.domain(partition) as domain:
                    self.check_runs(domain, "PMU of big")
                    self.set_cpuset(libvirt.host, words["all"], "member")
                    self.check_paused(domain)

    @staticmethod
    def set_cpuset(host, cpus, partition):
        """Sets the cpuset of the slice into which libvirt puts VMs."""
        host.run("sh", "-ec", SET_CPUSET, "sh", cpus, partition)


class Asking(DomainTest):
    """The two ways to ask for pmu-hybrid, and what they need."""

    def test_ways(self):
        """
        The feature, which has to be on libvirt's list, and QEMU's option, which works without

        :avocado: tags=core
        """
        with self.libvirt(mode=True, feature=False) as libvirt:
            with libvirt.domain("option", ask="commandline") as domain:
                self.check_runs(domain, "fixed counters")
                self.check_in("tainted: custom-argv", domain.log, "log of the domain")
            with libvirt.domain("feature") as domain:
                if isinstance(libvirt.host, EmulatedHost):
                    self.check_told(UNKNOWN, domain.refusal())
                    libvirt.teach()
                    libvirt.restart()
                self.check_runs(domain, "fixed counters")

    def test_modes(self):
        """
        Each <cpu> of docs/recipes.md leads to the fixed counters

        :avocado: tags=core
        """
        page = (TOP / "docs" / "recipes.md").read_text(encoding="utf-8")
        elements = [ET.fromstring(text)
                    for text in re.findall(r"^```xml\n(<cpu .*?)^```$", page, re.M | re.S)]
        self.check_equal([element.get("mode") for element in elements], ["maximum", "custom"],
                         "modes in docs/recipes.md")
        with self.libvirt(mode=True) as libvirt:
            for element in elements:
                with libvirt.domain(element.get("mode"), cpu=element) as domain:
                    self.check_runs(domain, "fixed counters")

    def test_other_qemu(self):
        """A QEMU without the series: both ways are refused, and a domain that does not ask
        starts"""
        with self.libvirt() as libvirt:
            # status 1: the file is there, without the word
            if libvirt.host.status("grep", "-q", "pmu-hybrid", OTHER_QEMU)[0] != 1:
                self.cancel(f"needs a QEMU without pmu-hybrid as {OTHER_QEMU}")
            for ask in "feature", "commandline":
                with libvirt.domain(ask, ask=ask, emulator=OTHER_QEMU) as domain:
                    self.check_told(NO_PROPERTY, domain.refusal())
            with libvirt.domain("off", ask=None, emulator=OTHER_QEMU,
                                pinning=["<vcpu cpuset='big'>2</vcpu>"]) as domain:
                domain.start().check_alive()

    def test_confined(self):
        """libvirt's seccomp filter, mount namespace and user are in place, and QEMU reads what it
        needs"""
        with self.libvirt(mode=True) as libvirt, libvirt.domain("confined") as domain:
            self.check_backend(domain.start(), "fixed counters")
            lines = libvirt.host.run("cat", f"/proc/{domain.pid}/status").splitlines()
            status = dict(line.split(":\t", 1) for line in lines)
            self.check_equal(status["Seccomp"], "2", "seccomp mode of QEMU")
            self.check(status["Uid"].split()[0] != "0", "expected another user than root")
            namespaces = libvirt.host.run("readlink", f"/proc/{domain.pid}/ns/mnt",
                                          "/proc/1/ns/mnt").split()
            self.check_equal(len(set(namespaces)), 2, "number of mount namespaces")


class Life(DomainTest):
    """What happens to a domain after its start."""

    BOTH = (("all", "fixed counters"), ("big", "PMU of big"))

    @staticmethod
    def start_on(libvirt, cpus):
        """Context manager: a domain that may run on these CPUs."""
        return libvirt.domain(cpus, pinning=[f"<vcpu cpuset='{cpus}'>2</vcpu>"])

    def test_managed_save(self):
        """
        A VM that was saved goes on with the PMU it had; where that is impossible, the start is
        refused and the state kept

        :avocado: tags=core
        """
        with self.libvirt(mode=True) as libvirt:
            for cpus, wanted in self.BOTH:
                with self.start_on(libvirt, cpus) as domain:
                    domain.start().check_alive()
                    domain.virsh("managedsave")
                    self.check_equal(domain.state, "shut off", "state")
                    if cpus == "big":
                        self.check_refused(domain)
                    self.check_runs(domain, wanted)
                    if cpus == "all":
                        domain.move("big")
                        domain.check_alive()

    def check_refused(self, domain):
        """Fails unless the saved VM is refused without its pinning; then restores the pinning."""
        saved = domain.virsh("managedsave-dumpxml")
        domain.virsh("managedsave-define", "/dev/stdin", stdin=unpin(saved))
        self.check_in(ONE_PMU, domain.refusal(), "message")
        domain.virsh("managedsave-define", "/dev/stdin", stdin=saved)

    def test_snapshots(self):
        """A domain with vcpupin alone is reverted to a snapshot while it runs and while it is off,
        and the guest has the PMU it had"""
        with self.libvirt(mode=True) as libvirt:
            for cpus, wanted in self.BOTH:
                pinning = [f"<vcpupin vcpu='{vcpu}' cpuset='{cpus}'/>" for vcpu in (0, 1)]
                with libvirt.domain(f"snapshot-{cpus}", pinning=pinning, disk=True) as domain:
                    domain.start().check_alive()
                    domain.virsh("snapshot-create-as", "one")
                    for state in "running", "shut off":
                        if state == "shut off":
                            domain.virsh("destroy")
                        domain.virsh("snapshot-revert", "one")
                        self.check_equal(domain.state, "running",
                                         f"state after a revert while it was {state}")
                        self.check_backend(domain, wanted)
                        domain.check_alive()

    def test_leaves_pmu(self):
        """
        When a vCPU is pinned to CPUs without its PMU, the VM pauses with a message; pinned back, it
        goes on

        :avocado: tags=core
        """
        with self.libvirt(mode=True) as libvirt:
            words = self.words(libvirt.host)
            with self.start_on(libvirt, "big") as domain:
                domain.start().check_alive()
                domain.virsh("vcpupin", 0, words["LITTLE"], "--live")
                self.check_paused(domain)
                self.check_told("paused (unknown)", domain.reason)
                self.check_told("the VM is paused", domain.log)
                domain.virsh("vcpupin", 0, words["big"], "--live")
                domain.virsh("resume")
                domain.check_alive()


class Migration(DomainTest):
    """Migration between two emulated hosts. They cannot reach each other; ssh forwards the two
    sockets that libvirt needs."""

    DAEMON, THERE = "/run/libvirt/libvirt-sock", "/run/vpmu-destination"
    STREAM = "/var/lib/libvirt/qemu/vpmu-stream"

    @contextlib.contextmanager
    def two(self, pmus, mode):
        """Context manager: the source, a Libvirt on a host with two PMUs and the mode, and the
        destination, on a host with PMUS and MODE as given."""
        if self.params.get("host", default=""):
            self.cancel("needs two hosts: emulated ones only")
        with self.libvirt(mode=True) as source, \
                self.libvirt(pmus=pmus, mode=mode, prefix=source.prefix,
                             hostname="vpmu-destination") as destination:
            destination.host.logs /= "destination"
            destination.host.logs.mkdir()
            source.host.offer(destination.host.forward(self.DAEMON), self.THERE)
            source.host.offer(destination.host.forward(self.STREAM), self.STREAM)
            yield source, destination

    def migrate(self, domain, *options):
        """Words of the virsh command that migrates the domain."""
        return ["migrate", domain.name, f"qemu+unix:///system?socket={self.THERE}",
                "--migrateuri", f"unix://{self.STREAM}", "--live", "--p2p", *options]

    def check_refused(self, domain, reason, *options, stdin=None):
        """Fails unless the migration is refused for this reason and the guest goes on at the
        source."""
        self.check_in(reason, domain.libvirt.refusal(*self.migrate(domain, *options), stdin=stdin),
                      "message")
        self.check_equal(domain.state, "running", "state at the source")
        domain.check_alive()

    def test_arrives(self):
        """To a host with other PMUs: a VM keeps its fixed counters, or, if one PMU there covers its
        vCPUs, its event counters"""
        with self.two(3, True) as (source, destination):
            [there] = [name for name, cpus in destination.host.pmus.items()
                       if cpus == source.host.clusters[-1]]
            for cpus, backend in ("all", FIXED), ("big", there):
                with source.domain(cpus, pinning=[f"<vcpu cpuset='{cpus}'>2</vcpu>"]) as domain:
                    domain.start().check_alive()
                    if cpus == "big":
                        unpinned = unpin(domain.virsh("dumpxml", "--migratable"))
                        self.check_refused(domain, ONE_PMU, "--xml", "/dev/stdin", stdin=unpinned)
                    source.virsh(*self.migrate(domain, "--persistent", "--undefinesource"))
                    arrived = Domain(destination, domain.name)
                    self.check_equal(arrived.backend, backend, "backend at the destination")
                    arrived.check_alive()

    def test_refused(self):
        """To a host whose kernel lacks the mode: refused, and the guest lives on at the source"""
        with self.two(2, False) as (source, _), source.domain("all") as domain:
            domain.start().check_alive()
            self.check_refused(domain, FIXED_ONLY)


class AppArmor(DomainTest):
    """libvirt's AppArmor profiles, enforced, with the commands of the page."""

    # blocks of the page: the rule for domains, and that for the daemon
    RULE, DAEMON = find_scripts("avocado/libvirt-others", [DOCS / "libvirt.md"])

    def follow(self, host, block):
        """Runs a block of the page on the host, in a folder with the files that it installs."""
        for path in (TOP / "libvirt/apparmor").iterdir():
            host.run("install", "-D", "-m", "644", "/dev/stdin", path.relative_to(TOP),
                     stdin=path.read_text())
        host.run("bash", "-eo", "pipefail", "-c", block.text)

    def test_enforced(self):
        """Without our rules libvirt cannot execute QEMU, and QEMU cannot read the host's PMUs; with
        them all is as without AppArmor"""
        with self.libvirt(mode=True, kernel="apparmor", apparmor=True) as libvirt:
            self.need_emulated(libvirt.host, "changes the host's AppArmor rules")
            text = Domain(libvirt, f"{libvirt.prefix}-early").text
            self.check_told(f"cannot execute binary {EMULATOR}: Permission denied",
                            libvirt.refusal("define", "/dev/stdin", stdin=text))
            self.follow(libvirt.host, self.DAEMON)
            # the domains' profiles do not allow that path either, but they allow Debian's
            libvirt.host.run("cp", EMULATOR, OTHER_QEMU)
            with libvirt.domain("usr", emulator=OTHER_QEMU) as domain:
                message = domain.refusal()
                self.check_told("pmu-hybrid: Cannot read the host's PMUs: Error opening directory",
                                message)
                # in two parts, as the quotes between them depend on the locale
                self.check_told("Permission denied", message)
            self.follow(libvirt.host, self.RULE)
            with libvirt.domain("local") as domain:
                self.check_runs(domain, "fixed counters")
                label = libvirt.host.run("cat", f"/proc/{domain.pid}/attr/current").strip("\0\n")
                profile = f"libvirt-{domain.virsh('domuuid').strip()}"
                self.check_equal(label, f"{profile} (enforce)", "confinement of QEMU")
                domain.virsh("managedsave")
                self.check_runs(domain, "fixed counters")
