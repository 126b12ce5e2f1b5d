#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Claim: on a newly installed Debian, with our Debian packages alone, the steps of
docs/quickstart.md bring up a VM on all CPUs. An upgrade of the packages and of libvirt leaves it
running.

The Debian is one that dpkg configured on an emulated host, with its own init and the initial RAM
disk that it makes for the kernel. The disk of guests/uefi takes the place of Windows; it measures
and divides as Windows does.

    tests/full/packages.t build [BASE]     builds the packages, and runs lintian
    tests/full/packages.t story [BASE]     the steps after that; builds the packages if need be

With BASE the packages are of that base of both series. The kernel has a small configuration; with
--linux-config=CONFIG, that of LINUX_CONFIG=CONFIG, Debian's if CONFIG is empty."""
import argparse
import os
import re
import sys
import time
from pathlib import Path

import host
from installed import (APT, FEATURES, INSTALLED, Board, Story, expect, find_traces, make_newer,
                       make_newer_libvirt, run)
from pages import DOCS, find_scripts

TOP = host.TOP
PAGES = [DOCS / "quickstart.md"]
STEPS = [block.text for block in find_scripts("packages/story", PAGES)]
INSTALL, REBOOT, LOOK, START, VERIFY, REMOVE = STEPS
WINDOWS = [block.text for block in find_scripts("packages/story", [DOCS / "windows.md"])]
DISK = "/var/lib/libvirt/images/windows.raw"
# The packages that the page removes, without the kernel's
NAMES = re.search(r"^apt-get purge -y linux-\S+ (.*)$", REMOVE, re.M).group(1).split()
# Settings for the guest in Windows' place, on an emulated host; it is not signed for Secure Boot
VM = (f"disk={DISK} memory=512 "
      "boot=uefi,firmware.feature0.name=secure-boot,firmware.feature0.enabled=no")
# Moves each vCPU's thread from CPU to CPU, forty times; prints how many threads there are.
MOVE = """
set -e
cd /proc/$(cat /run/libvirt/qemu/windows.pid)/task
threads=$(grep -l '/KVM$' */comm | cut -d / -f 1)
for round in $(seq 40); do
    cpu=$((round % $(nproc)))
    for thread in $threads; do
        taskset -pc $cpu $thread >/dev/null
        cpu=$(((cpu + 1) % $(nproc)))
    done
    sleep 0.2
done
echo $threads | wc -w; nproc
"""
# Checks what steps 3 and 4 of docs/windows.md leave, by a QEMU with the options that the page has
# next; the TPM ends with that QEMU.
TPM = """
qemu-img info windows.qcow2 | grep -q '^virtual size: 64 GiB'
cmp windows-vars.fd /usr/share/AAVMF/AAVMF_VARS.ms.fd
echo '{"execute": "qmp_capabilities"} {"execute": "query-tpm"} {"execute": "quit"}' >commands
qemu-system-aarch64-pmu-hybrid -M virt -S -display none -qmp stdio \\
    -drive if=pflash,unit=0,format=raw,readonly=on,file=/usr/share/AAVMF/AAVMF_CODE.ms.fd \\
    -drive if=pflash,unit=1,format=raw,file=windows-vars.fd \\
    -drive if=none,id=disk,file=windows.qcow2 -device qemu-xhci -device usb-storage,drive=disk \\
    -chardev socket,id=tpm,path=tpm.sock -tpmdev emulator,id=tpm,chardev=tpm \\
    -device tpm-tis-device,tpmdev=tpm <commands | tee answers
grep -q '"type": "emulator"' answers
while pgrep -xf "swtpm socket .*/windows-tpm .*"; do sleep 1; done
rm -r windows.qcow2 windows-vars.fd windows-tpm commands answers
"""
# Prints what the guest says in three seconds, scaled
LISTEN = f"timeout {host.scale_timeout(3)} cat $(virsh ttyconsole windows); true"
LINE = r"^delta vcpu=.* cycles=[1-9]"


class QuickStart(Story):
    """The claims, in the order of the page."""

    base = ""
    linux_config = None

    def __init__(self, folder):
        super().__init__(folder)
        self._debs = []

    def build(self):
        """the packages build"""
        row = f"packages/build-{self.base}" if self.base else "packages/build"
        make, = (block.text for block in find_scripts(row, PAGES))
        folder = TOP / "build/bases" / self.base if self.base else TOP / "build"
        environment = {**os.environ, "VPMU_BASE": self.base}
        if self.base:
            run("scripts/series", "open", "linux", cwd=TOP, env=environment)
        config = self.linux_config
        if config is None:
            config = run("testbed/build-kernel", "--config", "board", cwd=TOP,
                         env=environment).splitlines()[-1]
        run("bash", "-eo", "pipefail", "-c", make, cwd=TOP,
            env={**os.environ, "LINUX_CONFIG": config})
        self._debs = sorted((folder / "packages").glob("*.deb"))
        expect(r"^4$", str(len(self._debs)))

    def modules(self):
        """the kernel package holds modules"""
        kernel, = (deb for deb in self._debs if deb.name.startswith("linux-image-"))
        expect(r"/modules\.dep$", run("dpkg-deb", "--contents", kernel))

    def lint(self):
        """lintian finds no fault with the packages"""
        run("packages/lint", *self._debs, cwd=TOP)

    def sources(self):
        """make deb-src makes the source packages of the same versions"""
        run("make", "deb-src", f"BASE={self.base}", cwd=TOP)
        tool, qemu = (re.escape(deb.name.split("_")[1]) for deb in self._debs
                      if deb.name.startswith(("pmu-", "qemu-")))
        names = " ".join(sorted(file.name for file in self._debs[0].parent.glob("*.dsc")))
        expect(rf"^libvirt-\S+ pmu-hybrid-check_{tool}\.dsc qemu-pmu-hybrid_{qemu}\.dsc$", names)

    def _count_modules(self, name):
        """Number of modules of the configuration with this name, or of the usual one."""
        output = run("packages/linux", "--config", cwd=TOP,
                     env={**os.environ, "VPMU_BASE": self.base, "LINUX_CONFIG": name})
        return Path(output.splitlines()[-1]).read_text(encoding="utf-8").count("=m\n")

    def boards(self):
        """the kernel for boards has Debian's configuration with a third of the modules left out"""
        debian, boards = map(self._count_modules, ("", "boards"))
        if not 1000 < boards < debian * 2 / 3:
            raise AssertionError(f"expected less than two thirds of {debian} modules, got {boards}")

    def prepare(self):
        """a newly installed Debian boots, with the stock kernel"""
        wanted = re.search(r"^apt-get install -y (lib.*)$", INSTALL, re.M).group(1).split()
        name = "-".join(filter(None, ("packages", self.base)))
        run("testbed/board", name, *self._debs, *wanted, cwd=TOP)
        disk = self._folder / "board.img"
        run("cp", "--sparse=always", host.ARTIFACTS / f"board-{name}.img", disk)
        newer = self._folder / "newer"
        make_newer_libvirt(disk, newer)
        # the kernel's has its version in its name: an update is another package
        make_newer((deb for deb in self._debs if not deb.name.startswith("linux-")), newer)
        self._board = Board(disk, [*self._debs, newer, host.ARTIFACTS / "guests-uefi/winlike.img"])
        self._board.boot()
        expect("^13", self._board.run("cat /etc/debian_version"))

    def install(self):
        """apt installs the packages, beside the distribution's QEMU"""
        self._board.run(f"set -e; apt-get -q update; {INSTALL}")
        self._board.run(f"cp winlike.img {DISK}")
        expect("^/usr/bin/qemu-system-aarch64$",
               self._board.run("ls /usr/bin/qemu-system-aarch64*"))

    def look_before(self):
        """without the reboot the tool names what is missing"""
        expect("^warning +kernel +KVM lacks KVM_ARM_VCPU_PMU_V3_FIXED_COUNTERS_ONLY",
               self._board.run(LOOK, status=1))

    def refuse(self):
        """without the reboot the VM is refused, with the reason"""
        output = self._board.run(self.start_step(), status=1)
        expect("which no single PMU covers .* its kernel lacks "
               "KVM_ARM_VCPU_PMU_V3_FIXED_COUNTERS_ONLY", output.replace("\n", " "))
        self._board.run("virsh undefine windows --nvram --tpm || true")

    def reboot(self):
        """the installed kernel boots, with its initial RAM disk"""
        release = re.search(r"linux-image-(\S+?)_", " ".join(map(str, self._debs))).group(1)
        expect("^reboot$", REBOOT.strip())
        self._board.halt()
        image, initrd = self._folder / "vmlinuz", self._folder / "initrd"
        self._board.read(f"/boot/vmlinuz-{release}", image)
        self._board.read(f"/boot/initrd.img-{release}", initrd)
        self._board.boot(image, initrd)
        expect(f"^{re.escape(release)}$", self._board.run("uname -r"))

    def look(self):
        """the tool finds nothing to change"""
        print(self._board.run(LOOK))

    @staticmethod
    def start_step():
        """The page's step that starts the VM, with settings that fit the emulated host."""
        step, count = re.subn(r"^disk=.*$", VM, START, flags=re.M)
        expect("^1$", str(count))
        return f"set -e; {step}"

    def start(self):
        """the VM starts under libvirt, on all CPUs"""
        self._board.run(self.start_step())
        expect(r"-smp (\d+),sockets=1,.*cores=\1,",
               self._board.run("cat /var/log/libvirt/qemu/windows.log"))
        self.listen()

    def listen(self):
        """Waits until the guest has measured."""
        deadline = time.monotonic() + host.scale_timeout(300)
        while not re.search(LINE, output := self._board.run(LISTEN), re.M):
            if "STOP" in output or time.monotonic() > deadline:
                raise AssertionError(f"the guest does not measure:\n{output}")

    def verify(self):
        """the VM runs, with the fixed counters"""
        output = self._board.run(f"set -e; {VERIFY}")
        expect("^running$", output)
        expect("fixed counters", output)
        print(output)

    def confined(self):
        """libvirt's AppArmor profile confines the VM"""
        expect(r"^libvirt-\S+ \(enforce\)",
               self._board.run("cat /proc/$(cat /run/libvirt/qemu/windows.pid)/attr/current"))

    def windows(self):
        """docs/windows.md makes the files of a VM for Windows, and its TPM answers QEMU"""
        self._board.run("set -e; " + "".join(WINDOWS) + TPM)

    def move(self):
        """the VM goes on while its vCPUs move from CPU to CPU"""
        threads, cpus = self._board.run(MOVE).split()
        expect(f"^{cpus}$", threads)
        self.listen()
        expect("^running$", self._board.run("virsh domstate windows"))

    def upgrade(self):
        """an upgrade of libvirt and of our packages keeps the feature, and the VM runs on"""
        pid = self._board.run("cat /run/libvirt/qemu/windows.pid")
        print(self._board.run(f"set -e; {APT} install $({INSTALLED})"))
        names = ["libvirt-common", *NAMES]
        versions = self._board.run(f"dpkg-query -W {' '.join(names)}")
        expect(f"^{len(names)}$", str(versions.count("+vpmu1\n")))
        features = self._board.run(f"cat {FEATURES}")
        expect("^  <feature name='of-others'/>$", features)
        expect("^  <feature name='pmu-hybrid'/>$", features)
        expect(f"^{pid.strip()}$", self._board.run("cat /run/libvirt/qemu/windows.pid"))
        self.listen()
        self._board.run(LOOK)
        self._board.run("set -e; virsh destroy windows; virsh start windows")
        self.listen()
        self.verify()

    def remove(self):
        """the packages can be removed, and leave no trace"""
        search = find_traces("/var/cache")
        expect("^/usr/bin/qemu-system-aarch64-pmu-hybrid$", self._board.run(search))
        self._board.run(f"set -e; export DEBIAN_FRONTEND=noninteractive; {REMOVE}")
        output = self._board.run(search)
        if output.strip():
            raise AssertionError(f"left on the board:\n{output}")
        self._board.run("qemu-system-aarch64 --version")


PARTS = {"build": ("build", "modules", "lint", "sources", "boards"),
         "story": ("build", "prepare", "install", "look_before", "refuse", "reboot", "look",
                   "start", "verify", "confined", "windows", "move", "upgrade", "remove")}


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("part", choices=PARTS)
    parser.add_argument("base", nargs="?", default="")
    parser.add_argument("--linux-config", metavar="CONFIG")
    arguments = parser.parse_args()
    QuickStart.base, QuickStart.linux_config = arguments.base, arguments.linux_config
    sys.exit(QuickStart.tell(PARTS[arguments.part]))
