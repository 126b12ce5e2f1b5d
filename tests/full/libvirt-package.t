#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Claim: on a newly installed Debian, one apt-get install of libvirt-pmu-hybrid lets a domain ask
for pmu-hybrid by the plain feature, also after an upgrade of libvirt; a purge leaves libvirt as it
was. The patch of libvirt's list works, too. The commands are those of docs/libvirt.md.

The Debian is one that dpkg configured on an emulated host, with its own init. It has no virtqemud:
a service of that name sleeps in its place.
"""
import re
import shutil
import sys

import host
from installed import (APT, FEATURES, INSTALLED, Board, Story, expect, find_traces,
                       make_newer_libvirt, run)
from pages import DOCS, find_scripts

TOP = host.TOP
# Packages that the board's apt can install, with all that they need
NEEDED = ("libvirt-daemon-system", "libvirt-clients", "patch")
PAGE = DOCS / "libvirt.md"
INSTALL, PATCH, ASK, RESUME = (block.text
                               for block in find_scripts("packages/libvirt-debian", [PAGE]))
EMULATOR = "/usr/bin/qemu-system-aarch64-pmu-hybrid"
UNKNOWN = "unsupported configuration: unknown CPU feature: pmu-hybrid"
# Keeps both services running: libvirtd would end by itself after two minutes without work.
SERVICES = """
mkdir -p /etc/systemd/system/libvirtd.service.d
printf '[Service]\\nEnvironment=LIBVIRTD_ARGS=\\n' >/etc/systemd/system/libvirtd.service.d/stay.conf
printf '[Service]\\nExecStart=/bin/sleep infinity\\n' >/etc/systemd/system/virtqemud.service
systemctl daemon-reload
systemctl restart libvirtd virtqemud
"""
# Pins the domain to the CPUs of one PMU, from its next start on
PINNED = "for vcpu in 0 1; do virsh vcpupin winlike $vcpu 2-3 --config; done"
# Prints an ID for each service; each start of a service gives it a new one
INVOCATIONS = "systemctl show --value --property InvocationID libvirtd virtqemud"


class LibvirtPackage(Story):
    """The claims, in order."""

    def __init__(self, folder):
        super().__init__(folder)
        self._deb, self._started = None, None

    def domain(self):
        """Path of the page's example, with QEMU where packages install it."""
        xml = re.search(r"^```xml\n(<domain .*?)^```$", PAGE.read_text(), re.M | re.S).group(1)
        xml, count = re.subn("<emulator>.*</emulator>", f"<emulator>{EMULATOR}</emulator>", xml)
        expect("^1$", str(count))
        path = self._folder / "winlike.xml"
        path.write_text(xml)
        return path

    def prepare(self):
        """the package builds, and a Debian with libvirt boots"""
        run("packages/libvirt", cwd=TOP)
        self._deb, = (TOP / "build/packages").glob("libvirt-pmu-hybrid_*_all.deb")
        run("testbed/board", "libvirt", *NEEDED, cwd=TOP)
        disk = self._folder / "board.img"
        run("cp", "--sparse=always", host.ARTIFACTS / "board-libvirt.img", disk)
        qemu = self._folder / "qemu"
        shutil.copy(host.ARTIFACTS / "qemu-system-aarch64", qemu)
        newer = self._folder / "newer"
        make_newer_libvirt(disk, newer)
        self._board = Board(disk, [self._deb, newer, qemu, self.domain(),
                                   TOP / "libvirt", host.ARTIFACTS / "guests/winlike.bin"])
        self._board.boot(host.ARTIFACTS / "Image-patched")
        self._board.run(f"set -e; apt-get -q update; {APT} install {' '.join(NEEDED)}; "
                        f"install -m 755 qemu {EMULATOR}; "
                        f"install -m 644 winlike.bin /var/lib/libvirt/images; {SERVICES}")

    def refused(self):
        """libvirt's own list does not have the feature"""
        self._board.run("virsh define winlike.xml")
        expect(UNKNOWN, self._board.run("virsh start winlike", status=1))
        self._started = self._board.run(INVOCATIONS).split()

    def restarted(self):
        """Fails unless both daemons were restarted since the last call."""
        before, self._started = self._started, self._board.run(INVOCATIONS).split()
        if len(self._started) != 2 or set(before) & set(self._started):
            raise AssertionError(f"expected two daemons that were restarted, got {before} and then "
                                 f"{self._started}")

    def install(self):
        """one apt-get install, and the domain starts with the fixed counters"""
        print(self._board.run(f"set -e; export DEBIAN_FRONTEND=noninteractive; {INSTALL}"))
        self.restarted()
        self._board.run("virsh start winlike")
        expect("fixed-counters", self._board.run(ASK))

    def upgrade(self):
        """an upgrade of libvirt keeps the feature, beside a new name, and the domain runs on"""
        pid = self._board.run("cat /run/libvirt/qemu/winlike.pid")
        print(self._board.run(f"set -e; {APT} install $({INSTALLED})"))
        expect(r"\+vpmu1$", self._board.run("dpkg-query -W libvirt-common"))
        output = self._board.run(f"cat {FEATURES}")
        expect("^  <feature name='of-others'/>$", output)
        expect("^  <feature name='pmu-hybrid'/>$", output)
        self.restarted()
        if (now := self._board.run("cat /run/libvirt/qemu/winlike.pid")) != pid:
            raise AssertionError(f"another QEMU runs: {pid} before, {now} now")
        expect("^running$", self._board.run("virsh domstate winlike"))
        self._board.run("set -e; virsh destroy winlike; virsh start winlike")
        expect("fixed-counters", self._board.run(ASK))

    def purge(self):
        """a purge leaves libvirt's own list, and nothing of the package"""
        self._board.run("virsh destroy winlike")
        print(self._board.run(f"set -e; {APT} purge libvirt-pmu-hybrid"))
        self.restarted()
        expect(UNKNOWN, self._board.run("virsh start winlike", status=1))
        output = self._board.run("set -e; dpkg --verify libvirt-common; dpkg-divert --list "
                                 f"'*arm_features*'; ls {FEATURES}.* 2>/dev/null || true")
        if output.strip():
            raise AssertionError(f"libvirt's files differ:\n{output}")
        if (output := self._board.run(find_traces()).split()) != [EMULATOR]:
            raise AssertionError(f"left on the board: {output}")

    def patch(self):
        """the patch works, too, without the package"""
        # on Debian's own list
        self._board.run(f"sed -i /of-others/d {FEATURES}")
        print(self._board.run(f"set -e; {PATCH}"))
        self._board.run("virsh start winlike")
        expect("fixed-counters", self._board.run(ASK))

    def resume(self):
        """a domain that was paused because it left its PMU is pinned back and runs on"""
        self._board.run(f"set -e; virsh destroy winlike; {PINNED}; virsh start winlike")
        expect("armv8_cortex_a72", self._board.run(ASK))
        self._board.run("virsh vcpupin winlike 0 0; until virsh domstate winlike | grep -qx "
                        "paused; do sleep 0.2; done")
        self._board.run(f"set -e; {RESUME}")
        expect("^running$", self._board.run("virsh domstate winlike"))


if __name__ == "__main__":
    if sys.argv[1:]:
        sys.exit("libvirt-package.t: error: it takes no arguments")
    sys.exit(LibvirtPackage.tell(("prepare", "refused", "install", "upgrade", "purge", "patch",
                                  "resume")))
