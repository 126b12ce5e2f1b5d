# SPDX-License-Identifier: GPL-2.0-or-later
"""Claim: Windows lives on all CPUs of a heterogeneous host. It needs an image with Windows
installed, see docs/windows.md.

The machine is what virt-install makes for Windows 11 on Arm. The row windows checks this test, with
the image of guests/uefi, which measures the cycle counter and stops as Windows does.
"""
import contextlib
import json
import re
import shlex
import socket
from pathlib import Path

import looks
from hosts import ARTIFACTS, WAIT, poll, scaled
from qemu.qmp import ExecuteError
from vms import HYBRID, MOVER, VmTest

FIRMWARE = ARTIFACTS / "guests-uefi"
NO_IMAGE = ("needs an image of Windows on Arm: -p windows_image=PATH; docs/windows.md has the "
            "other parameters")
NO_TRACE = ("the host's kernel has no trace event kvm:kvm_sys_access (CONFIG_FTRACE), or the user "
            "may not use it; do without: -p trace=off")
ACCESSES = "pmu-accesses.txt"
NO_SWTPM = ("needs swtpm for the TPM, and the host has none; install it there, or do without a "
            "TPM: -p tpm=off")
FORMATS = {"QFI": "qcow2", "vhdx": "vhdx"}
DISKS = {"usb": "usb-storage", "virtio": "virtio-blk-pci", "nvme": "nvme,serial=windows"}
# What the firmware, and Windows with its emergency console, say on the serial port when they die
DEAD = re.compile(r"(Synchronous Exception at .*|\b(STOP|FAIL): .*|\bASSERT(_EFI_ERROR)? .*)[\r\n]")
# What a service needs to hear before it answers: nothing for OpenSSH; Remote Desktop's first
# packet; a line of HTTP for others
SSH_PORT = 22
RDP, RDP_PORT = bytes.fromhex("030000130ee000000000000100080003000000"), 3389
TPM = "tpm.sock"
HTTP = b"HEAD / HTTP/1.0\r\n\r\n"
# Seconds: to wait for an answer once Windows is up; between questions; that a vCPU stays on a
# cluster; to wait for the last words of a guest that died
ANSWER, INTERVAL, STAY, LAST_WORDS = WAIT, 0.5, 0.05, 5


class Serial:
    """Ready when a text was on the serial port; after that, any output after a return key is an
    answer."""

    def __init__(self, test, vm):
        self.vm, self.text = vm, test.ready_detail
        self.start = 0

    @staticmethod
    def options(_test):
        """QEMU's options: none, as there always is a console."""
        return []

    def answers(self):
        """Whether the text has come, or, after ask_again(), anything."""
        new = self.vm.console[self.start:]
        return new and self.text in new

    def ask_again(self):
        """Presses the return key; what comes from now on is an answer."""
        self.text, self.start = "", len(self.vm.console)
        self.vm.send("", end="\r")


class Agent:
    """Ready when QEMU's guest agent answers."""

    def __init__(self, _test, vm):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.connect(vm.host.forward(f"{vm.host.folder}/agent"))
        self.socket.setblocking(False)
        self.number = 1
        self.heard = b""

    @staticmethod
    def options(_test):
        """QEMU's options for the agent, as libvirt has them."""
        return ["-device", "virtio-serial-pci",
                "-chardev", "socket,id=agent,path=agent,server=on,wait=off",
                "-device", "virtserialport,chardev=agent,name=org.qemu.guest_agent.0"]

    def answers(self):
        """Asks; whether the agent has answered, now or when it was asked with this number
        before."""
        with contextlib.suppress(BlockingIOError):
            self.socket.send(json.dumps({"execute": "guest-sync",
                                         "arguments": {"id": self.number}}).encode() + b"\n")
        with contextlib.suppress(BlockingIOError):
            self.heard += self.socket.recv(65536)
        return re.search(rb'"return": *%d\b' % self.number, self.heard)

    def ask_again(self):
        """Takes another number: answers to earlier questions no longer count."""
        self.number += 1


class Tcp:
    """Ready when a service on a TCP port answers; QEMU's user network leads to it."""

    def __init__(self, test, vm):
        table = vm.qmp.cmd("human-monitor-command", **{"command-line": "info usernet"})
        port = next(row.split()[3] for row in table.splitlines() if "HOST_FORWARD" in row)
        self.path = vm.host.forward(f"127.0.0.1:{port}")
        self.greeting = {SSH_PORT: b"", RDP_PORT: RDP}.get(int(test.ready_detail), HTTP)

    @staticmethod
    def options(test):
        """QEMU's options for the network. Windows has no driver for any card of QEMU on Arm; the
        image needs NetKVM of virtio-win. The card has no boot ROM: nothing boots from it, and some
        hosts lack the file."""
        return ["-netdev", f"user,id=net,hostfwd=tcp:127.0.0.1:0-:{test.ready_detail}",
                "-device", "virtio-net-pci,netdev=net,romfile="]

    def answers(self):
        """Whether the service sends a byte. A connection is no answer: QEMU accepts it itself."""
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as sock:
            sock.settimeout(scaled(5))
            sock.connect(self.path)
            sock.send(self.greeting)
            return sock.recv(1) != b""

    def ask_again(self):
        """Nothing to do: each question is a new connection."""


SIGNALS = {"serial": Serial, "agent": Agent, "tcp": Tcp}


class Windows(VmTest):
    """The parameters are in docs/windows.md.

    :avocado: tags=windows
    """

    # booting and moving have deadlines of their own, which are parameters
    timeout = None

    def setUp(self):
        """Reads the parameters."""
        image = self.param("windows_image", "")
        if not image:
            self.cancel(NO_IMAGE)
        self.image = Path(image).absolute()
        self.firmware = Path(self.param("firmware", FIRMWARE / "AAVMF_CODE.fd")).absolute()
        self.vars = Path(self.param("vars", FIRMWARE / "AAVMF_VARS.fd")).absolute()
        self.tpm = self.param("tpm", "new")
        self.disk = self.param("disk", "usb")
        self.ready, _, self.ready_detail = self.param("ready", "tcp:22").partition(":")
        self.boot_seconds = float(self.param("boot_seconds", 600))
        self.moves = int(self.param("moves", 6000))
        self.trace = self.param("trace", "off")
        for name, value, table in (("ready", self.ready, SIGNALS), ("disk", self.disk, DISKS),
                                   ("trace", self.trace, ("off", "on"))):
            if value not in table:
                self.error(f"-p {name}={value}: expected one of {', '.join(table)}")

    def param(self, name, default):
        """Value of a parameter."""
        return self.params.get(name, default=default)

    def test_lives(self):
        """Windows comes up, goes on while all vCPUs move between the clusters, and still answers"""
        files = [self.image, self.firmware, self.vars, MOVER,
                 *([] if self.tpm in ("new", "off") else [self.tpm])]
        with self.host(pmus=2, files=files) as host, \
                self.vm(host, *self.make_machine(host), name="windows",
                        cpu=self.param("cpu", HYBRID),
                        vcpus=int(self.param("vcpus", len(host.cpus))),
                        memory=int(self.param("memory", 4096)),
                        wrapper=["env", f"TMPDIR={host.folder}"]) as vm:
            signal = SIGNALS[self.ready](self, vm)
            try:
                with self.traced(vm):
                    self.start(vm)
                    self.wait(vm, signal, "Windows to be up", self.boot_seconds, allowed={"RESET"})
                self.follow(vm, signal)
            except AssertionError:
                vm.screenshot()
                raise

    def make_machine(self, host):
        """QEMU's options. The test writes to no file of the user: the disk has an overlay without a
        name, and the variables and the TPM's state are copies."""
        host.run("cp", self.vars.name, "vars")
        return ["-rtc", "base=localtime",
                "-drive", f"if=pflash,unit=0,format=raw,readonly=on,file={self.firmware.name}",
                "-drive", "if=pflash,unit=1,format=raw,file=vars", "-device", "ramfb",
                "-device", "pvpanic-pci",
                "-device", "qemu-xhci", "-device", "usb-kbd", "-device", "usb-tablet",
                "-drive", f"if=none,id=disk,snapshot=on,format={self.find_format(host)},"
                          f"file={self.image.name}",
                "-device", f"{DISKS[self.disk]},drive=disk,bootindex=0",
                *self.make_tpm(host), *SIGNALS[self.ready].options(self),
                *shlex.split(self.param("options", ""))]

    def find_format(self, host):
        """Format of the image, by its first bytes."""
        start = host.run("head", "-c", "4", self.image.name)
        return next((name for magic, name in FORMATS.items() if start.startswith(magic)), "raw")

    def make_tpm(self, host):
        """Starts a TPM, a new one or one with a copy of the user's state; returns QEMU's
        options."""
        if self.tpm == "off":
            return []
        if not host.has_program("swtpm"):
            self.cancel(NO_SWTPM)
        make = ["mkdir"] if self.tpm == "new" else ["cp", "-rL", Path(self.tpm).name]
        host.run(*make, "tpm")
        host.start("tpm", "swtpm", "socket", "--tpm2", "--tpmstate", "dir=tpm", "--ctrl",
                   f"type=unixio,path={TPM}", "--terminate")
        host.run("sh", "-c", f"while [ ! -S {TPM} ]; do sleep 0.05; done")
        return ["-chardev", f"socket,id=tpm,path={TPM}", "-tpmdev", "emulator,id=tpm,chardev=tpm",
                "-device", "tpm-tis-device,tpmdev=tpm"]

    def start(self, vm):
        """Starts the VM; a refusal fails the test."""
        try:
            vm.cont()
        except ExecuteError as error:
            self.fail(f"expected the VM to start, got: {error}")

    def wait(self, vm, signal, what, seconds, **kwargs):
        """Waits for an answer; if none comes, the message says whether Windows hangs. With
        allowed={"RESET"} it may restart meanwhile, as it does after an update."""
        poll(what, lambda: self.check_lives(vm, **kwargs) or signal.answers(),
             lambda: f"{looks.watch(vm)}. {vm.explain()}", INTERVAL, seconds)

    @contextlib.contextmanager
    def traced(self, vm):
        """Context manager: records the guest's accesses to the PMU in a file, if trace=on."""
        if self.trace == "off":
            yield
            return
        if not looks.start_trace(vm.host):
            self.cancel(NO_TRACE)
        try:
            yield
        finally:
            (vm.host.logs / ACCESSES).write_text(looks.end_trace(vm.host, vm.threads))

    def follow(self, vm, signal):
        """Moves the vCPUs of a Windows that is up, then waits for another answer."""
        self.log.info("up; %d vCPUs move between clusters, %d times each", len(vm.cpus), self.moves)
        try:
            vm.move(self.moves, STAY, check=lambda: self.check_console(vm))
        except AssertionError:
            self.check_lives(vm)
            raise
        signal.ask_again()
        self.wait(vm, signal, "an answer after the moves", ANSWER)

    def check_lives(self, vm, allowed=()):
        """Fails if Windows has died, with its last words, which may come after the event."""
        try:
            vm.check_well(allowed)
        except AssertionError:
            with contextlib.suppress(AssertionError):
                poll("last words", lambda: DEAD.search(vm.console), timeout=LAST_WORDS)
            self.check_console(vm)
            raise
        self.check_console(vm)

    def check_console(self, vm):
        """Fails if Windows has said on the console that it died."""
        if found := DEAD.search(vm.console):
            self.fail(f"expected a Windows that lives, got {found[1]!r} on its console. "
                      f"{vm.explain()}")
