# SPDX-License-Identifier: GPL-2.0-or-later
"""libvirt on the test host and its domains, driven by virsh, with the XML of docs/libvirt.md."""
import contextlib
import os
import re
import xml.etree.ElementTree as ET
from typing import NamedTuple

from hosts import TOP, CommandFailed, EmulatedHost, poll
from installed import FEATURES
from vms import FIXED, WINLIKE, VmTest

PAGE = (TOP / "docs" / "libvirt.md").read_text()
PATCH, = (TOP / "libvirt" / "patches").glob("*.patch")
# The page's command without the patch, which it reads from its stdin here
TEACH = "".join(re.search(r"^(sed .* )libvirt/patches/\S+( \| patch .*)$", PAGE, re.M).groups())
NAMESPACE = "http://libvirt.org/schemas/domain/qemu/1.0"
EMULATOR = "/usr/local/bin/qemu-system-aarch64"
# Debian's QEMU, on which libvirt's packages depend
OTHER_QEMU = "/usr/bin/qemu-system-aarch64"
IMAGES, LOGS = "/var/lib/libvirt/images", "/var/log/libvirt/qemu"
# Succeeds on a board where libvirt and our QEMU are set up
READY = f"virsh list && test -x {EMULATOR} && grep -q pmu-hybrid {FEATURES}"
ET.register_namespace("qemu", NAMESPACE)

# Sets up what udev and the packages set up elsewhere
START_DAEMONS = """
chgrp kvm /dev/kvm && chmod 660 /dev/kvm
[ -z "$1" ] || hostname "$1"
virtlogd -d && libvirtd -d
"""
# Loads AppArmor's profiles, as the boot does where AppArmor is installed
LOAD_PROFILES = """
mount -t securityfs securityfs /sys/kernel/security
apparmor_parser -r /etc/apparmor.d/usr.sbin.libvirtd /etc/apparmor.d/usr.lib.libvirt.virt-aa-helper
"""
RESTART = ("kill $(cat /run/libvirtd.pid) && while [ -e /run/libvirtd.pid ]; do sleep 0.1; done; "
           "libvirtd -d")
# Writes an empty qcow2 image of 64 MiB to the path that is its argument: header, table of
# refcounts, refcounts of the four clusters, table of clusters
MAKE_DISK = """
import struct, sys
cluster = 1 << 16
header = struct.pack(">4sIQIIQIIQQIIQQQQII", b"QFI\\xfb", 3, 0, 0, 16, 64 << 20, 0, 1,
                     3 * cluster, cluster, 1, 0, 0, 0, 0, 0, 4, 104)
parts = header, struct.pack(">Q", 2 * cluster), struct.pack(">4H", 1, 1, 1, 1), b""
with open(sys.argv[1], "wb") as file:
    file.write(b"".join(part.ljust(cluster, b"\\0") for part in parts))
"""
DISK = """
<disk type='file' device='disk'>
  <driver name='qemu' type='qcow2'/>
  <source file='{}'/>
  <target dev='vda' bus='virtio'/>
</disk>
"""
# Waits until its stdin ends, which it does however the test ends, then removes the test's domains
# and files
CLEANER = """
cd / && cat >/dev/null
for name in $(virsh list --all --name | grep "^$1-"); do
    virsh destroy "$name"
    virsh undefine "$name" --managed-save --snapshots-metadata
    rm -f "$2/$name.log" "$2/$name-console.log"
done
rm -f "$3" "$3".*.qcow2
"""


def find_example(tag):
    """The first element with this tag in the examples of the page."""
    for block in re.findall(r"^```xml\n(.*?)^```$", PAGE, re.M | re.S):
        for element in ET.fromstring(f"<page>{block}</page>").iter(tag):
            return element
    raise LookupError(f"docs/libvirt.md has no example of {tag}")


class Pinning(NamedTuple):
    """A row of the page's table of pinnings; LITTLE and big stand for CPUs."""

    xml: tuple
    cpus: str
    hybrid: str
    hybrid_stock: str
    off: str


def read_pinnings():
    """The table of pinnings: a Pinning for each text of the first column."""
    rows = re.findall(r"^\| (`<vcpu.*) \|$", PAGE, re.M)
    table = {}
    for row in rows:
        xml, *rest = (cell.strip() for cell in row.split("|"))
        table[xml.replace("`", "")] = Pinning(tuple(re.findall("`(.*?)`", xml)), *rest)
    if not table:
        raise LookupError("docs/libvirt.md has no table of pinnings")
    return table


class Libvirt:
    """The libvirt daemon on a host. On an emulated host this class starts it, and teaches it
    pmu-hybrid unless feature=False."""

    def __init__(self, test, host, feature=True, apparmor=False, hostname="", prefix=None):
        self.test, self.host = test, host
        self._feature, self._apparmor, self._hostname = feature, apparmor, hostname
        self.prefix = prefix or f"vpmu{host.folder.rpartition('.')[2]}"
        self.kernel = f"{IMAGES}/{self.prefix}.bin"

    def __enter__(self):
        if isinstance(self.host, EmulatedHost):
            self._set_up()
        elif self.host.status("sh", "-ec", READY)[0]:
            self.test.cancel("needs a running libvirt that knows the feature, and our QEMU as "
                             f"{EMULATOR}; see docs/libvirt.md")
        self.host.run("install", "-m", "644", WINLIKE.name, self.kernel)
        self.host.start("libvirt-cleaner", "sh", "-c", CLEANER, "sh", self.prefix, LOGS,
                        self.kernel)
        return self

    def __exit__(self, kind, *_):
        with contextlib.suppress(AssertionError):
            for log in self.host.run("sh", "-c", f"ls {LOGS}/{self.prefix}-*.log").split():
                (self.host.logs / os.path.basename(log)).write_text(self.host.run("cat", log))

    def _set_up(self):
        self.host.run("install", "-m", "755", self.test.qemu.name, EMULATOR)
        if self._feature:
            self.teach()
        if self._apparmor:
            self.host.run("sh", "-ec", LOAD_PROFILES)
        self.host.run("sh", "-ec", START_DAEMONS, "sh", self._hostname)
        self._wait()

    def _wait(self):
        poll("libvirtd", lambda: self.host.status("virsh", "list")[0] == 0)

    def teach(self):
        """Applies our patch to the installed file."""
        self.host.run("sh", "-ec", TEACH, stdin=PATCH.read_text())

    def restart(self):
        """Restarts the daemon; domains keep running."""
        self.host.run("sh", "-ec", RESTART)
        self._wait()

    def virsh(self, *words, stdin=None):
        """Runs virsh; returns what it prints."""
        self.test.log.info("virsh %s", " ".join(words))
        return self.host.run("virsh", "-q", *words, stdin=stdin)

    def refusal(self, *words, stdin=None):
        """Runs virsh, which has to fail; returns its error."""
        status, out, err = self.host.status("virsh", "-q", *words, stdin=stdin)
        message = " ".join(err.split())
        self.test.log.info("virsh %s: %s", " ".join(words), message)
        self.test.check(status, f"virsh {' '.join(words)}: expected a refusal, got {out!r}")
        return message

    @contextlib.contextmanager
    def domain(self, name, **kwargs):
        """Context manager: a domain that is defined until the block ends."""
        domain = Domain(self, f"{self.prefix}-{name}", **kwargs)
        self.virsh("define", "/dev/stdin", stdin=domain.text)
        try:
            yield domain
        finally:
            # fails if the domain has ended by itself or has migrated
            for command in ["destroy"], ["undefine", "--managed-save", "--snapshots-metadata"]:
                self.host.status("virsh", "-q", *command, domain.name)


class Domain:
    """A domain like the page's example.

    ask: how it asks for pmu-hybrid, by the page's "feature" or "commandline", or None. pinning: XML
    of <vcpu> and of the children of <cputune>, with the page's words for CPUs. disk: whether it has
    a disk, which snapshots need. cpu: XML in place of its <cpu>.
    """

    def __init__(self, libvirt, name, ask="feature", pinning=(), emulator=EMULATOR, disk=False,
                 cpu=None):
        self.libvirt, self.host, self.name = libvirt, libvirt.host, name
        self._words = DomainTest.words(self.host)
        self.console_path = f"{LOGS}/{name}-console.log"
        self.xml = find_example("domain")
        self._ask(ask)
        if cpu is not None:
            self.xml.remove(self.xml.find("cpu"))
            self.xml.append(cpu)
        self._pin(pinning)
        for place, text in (("name", name), ("os/kernel", libvirt.kernel),
                            ("devices/emulator", emulator)):
            self.xml.find(place).text = text
        self.xml.find("devices/serial/source").set("path", self.console_path)
        if disk:
            path = f"{libvirt.kernel}.{name}.qcow2"
            self.host.run("python3", "-c", MAKE_DISK, path)
            self.xml.find("devices").append(ET.fromstring(DISK.format(path)))

    def _ask(self, how):
        if how == "feature":
            return
        cpu = self.xml.find("cpu")
        cpu.remove(cpu.find("feature"))
        if how == "commandline":
            self.xml.append(find_example(f"{{{NAMESPACE}}}commandline"))

    def _pin(self, pinning):
        tune = ET.SubElement(self.xml, "cputune")
        for element in map(ET.fromstring, pinning):
            if "cpuset" in element.attrib:
                element.set("cpuset", self._words[element.get("cpuset")])
            if element.tag == "vcpu":
                self.xml.remove(self.xml.find("vcpu"))
                self.xml.append(element)
            else:
                tune.append(element)

    @property
    def vcpus(self):
        """Numbers of the vCPUs."""
        return range(int(self.xml.find("vcpu").text))

    @property
    def text(self):
        """The XML of the domain."""
        return ET.tostring(self.xml, encoding="unicode")

    def virsh(self, command, *words, stdin=None):
        """Runs a virsh command on the domain; returns what it prints."""
        return self.libvirt.virsh(command, self.name, *map(str, words), stdin=stdin)

    def refusal(self):
        """Starts the domain, which has to fail; returns the error."""
        return self.libvirt.refusal("start", self.name)

    def start(self):
        """Starts the domain; returns self."""
        self.virsh("start")
        return self

    @property
    def state(self):
        """State of the domain in libvirt's words."""
        return self.virsh("domstate").strip()

    @property
    def reason(self):
        """State of the domain with the reason."""
        return self.virsh("domstate", "--reason").strip()

    @property
    def backend(self):
        """pmu-backend of the domain, read by the command on the page."""
        command = re.search(r"^virsh qemu-monitor-command winlike --hmp '(.*)'$", PAGE, re.M)[1]
        return self.virsh("qemu-monitor-command", "--hmp", command).strip().strip('"')

    @property
    def pid(self):
        """Process ID of QEMU."""
        return self.host.run("cat", f"/run/libvirt/qemu/{self.name}.pid").strip()

    @property
    def log(self):
        """What QEMU and libvirt wrote to the domain's log."""
        return self.host.run("cat", f"{LOGS}/{self.name}.log")

    @property
    def console(self):
        """The complete lines that the guest has printed."""
        return self.host.run("cat", self.console_path).rpartition("\n")[0]

    def check_alive(self):
        """Fails unless each vCPU of the guest measures twice from now on."""
        before = len(self.console)

        def seen():
            new = self.console[before:]
            if "STOP:" in new or "FAIL:" in new:
                raise AssertionError(f"{self.name}: expected a guest that lives, got "
                                     f"{new[-300:]!r}")
            return all(new.count(f"delta vcpu={vcpu} ") >= 2 for vcpu in self.vcpus)
        poll("a guest that goes on", seen, self.explain, interval=0.5)

    def move(self, word):
        """Moves all vCPU threads of the running domain to the CPUs that the page's word means."""
        cpus = self._words[word]
        try:
            self.libvirt.virsh("; ".join(f"vcpupin {self.name} {vcpu} {cpus} --live"
                                         for vcpu in self.vcpus))
        except CommandFailed as error:
            raise CommandFailed(f"{self.explain()}. {error}") from error

    def explain(self):
        """State, console and log of the domain, for messages."""
        return (f"{self.name} is {self.reason}; console: {self.console[-300:]!r}; log: "
                f"{self.log[-600:]!r}")


class DomainTest(VmTest):
    """A test that has domains."""

    @contextlib.contextmanager
    def libvirt(self, pmus=2, mode=None, kernel=None, **kwargs):
        """Context manager: a Libvirt on a host."""
        with self.host(pmus=pmus, mode=mode, files=[WINLIKE], kernel=kernel) as host, \
                Libvirt(self, host, **kwargs) as libvirt:
            yield libvirt

    @staticmethod
    def words(host):
        """What the page's words for CPUs mean on this host."""
        first, *_, last = host.clusters
        return {"all": cpu_list(host.cpus), "LITTLE": cpu_list(first), "big": cpu_list(last)}

    @staticmethod
    def backend(host, text):
        """The pmu-backend that this text of the page means on this host."""
        names = list(host.pmus)
        return {"fixed counters": FIXED, "PMU of LITTLE": names[0], "PMU of big": names[-1]}[text]

    def check_backend(self, domain, text):
        """Fails unless the domain has the PMU that this text of the page means."""
        self.check_equal(domain.backend, self.backend(domain.host, text), f"{domain.name}: backend")

    def check_runs(self, domain, text):
        """Starts the domain; fails unless it has this PMU and the guest measures."""
        self.check_backend(domain.start(), text)
        domain.check_alive()

    def check_paused(self, domain):
        """Waits until the domain is paused; its log has to say why."""
        poll("a VM that is paused", lambda: domain.state == "paused", domain.explain, interval=0.5)
        self.check_told("which does not support its configuration: its PMU is", domain.log)

    def check_told(self, text, message):
        """Fails unless both the message and the page have the text."""
        self.check_in(text, message, "message")
        self.check_in(text, " ".join(PAGE.split()), "docs/libvirt.md")


def cpu_list(cpus):
    """A list of CPUs as libvirt reads it; consecutive CPUs as QEMU prints them, too."""
    cpus = sorted(cpus)
    return (f"{cpus[0]}-{cpus[-1]}" if len(cpus) == cpus[-1] - cpus[0] + 1 and len(cpus) > 1
            else ",".join(map(str, cpus)))
