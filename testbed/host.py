# SPDX-License-Identifier: GPL-2.0-or-later
"""The emulated host: an arm64 Linux that is reached by SSH. EmulatedHost boots one; its users need
only the Connection.

Machine is the common base of EmulatedHost and of ExactHost in exact.py, which has no network.

Nothing here needs cleaning up after a kill -9: the disk's overlay is a file without a name, sockets
are pairs without an address, and the children ask the kernel to end with their parent. Only the
console log stays, in build/logs/.
"""
import json
import math
import os
import re
import select
import shlex
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path

TOP = Path(__file__).resolve().parent.parent
BUILD = TOP / "build"
ARTIFACTS = BUILD / "artifacts"
LOGS = BUILD / "logs"
KERNELS = tuple(line.split()[0] for line in (TOP / "testbed" / "kernels").read_text().splitlines()
                if line and line[0] != "#")
TOPOLOGIES = tuple(sorted(path.stem for path in (TOP / "testbed").glob("*.dts")))

# Exit statuses of testbed/run when something other than the command failed; 124 as timeout(1) has
# it.
STATUS_BOOT, STATUS_DIED, STATUS_TIMEOUT, STATUS_UNUSABLE = 122, 123, 124, 125

# Deadlines in seconds; that of the boot without and with --icount, where one thread runs all CPUs.
# A boot takes a fortieth of this on an idle machine.
BOOT_TIMEOUT = {False: 120, True: 300}
COMMAND_TIMEOUT = 600
MONITOR_TIMEOUT = CONNECT_TIMEOUT = CONSOLE_TIMEOUT = 120
# The beginnings of a panic and of reports of a bug: not every report of the kernel's debugging
# options panics.
TROUBLE = re.compile(r"Kernel panic - not syncing|WARNING: |\bBUG: |\bBUG \S+ \(|Internal error: "
                     r"|Unable to handle kernel|UBSAN: |"
                     r"INFO: (trying to register|lockdep is turned off|task )|detected "
                     r".*\bstall|kmemleak: .* disabled")
# A shell on the host gives the kernel this line when all is done. A thread of the kernel prints to
# the console, with a delay: once the line is there, all reports before it are there, too. <2>: a
# kernel told to be quiet prints it, too.
LAST_LINE = "vpmu: nothing more is done"
SAY_LAST_LINE = f"echo '<2>{LAST_LINE}' >/dev/kmsg"
# Boot parameters with the seconds after which the host's kernel reports that something hangs, and
# the kernel's maximum. RCU's default of 21 seconds is too short for a reader of the lowest
# priority, when guests take all CPUs of a busy machine. The others are the kernel's defaults.
STALL = ("rcupdate.rcu_cpu_stall_timeout", 120, 300)
HANGS = (("sysctl.kernel.hung_task_timeout_secs", 120, math.inf),
         ("sysctl.kernel.watchdog_thresh", 10, 60))
# Seconds from the end of a connection to the end of the emulator, which closed it.
GRACE = 2


class HostError(Exception):
    """The host failed, not what ran on it; STATUS is the exit status for that."""

    def __init__(self, status, message):
        super().__init__(message)
        self.status = status


def scale_timeout(seconds):
    """SECONDS, scaled for slow machines, by the rules of scripts/lib.sh (tests/deadlines.t)."""
    text = os.environ.get("VPMU_TIMEOUT_FACTOR") or "1"
    if not re.fullmatch(r"[0-9]*[.]?[0-9]+", text, re.A) or not 0 < float(text) <= 1000:
        raise HostError(STATUS_UNUSABLE,
                        f"VPMU_TIMEOUT_FACTOR is '{text}'; give a number above 0, at most 1000, "
                        "such as 2 or 0.5")
    return seconds * float(text)


def start_child(argv, **kwargs):
    """Start ARGV so that it is killed when this process ends, however that happens."""
    return subprocess.Popen(["setpriv", "--pdeathsig", "KILL", "--", *map(str, argv)], **kwargs)


def stop_child(process, patience=0):
    """End PROCESS; it first has PATIENCE seconds to end by itself, in which ssh restores the
    terminal."""
    if process.poll() is None and patience:
        process.terminate()
        wait_first([process], time.monotonic() + patience)
    if process.poll() is None:
        process.kill()
    process.wait()


def wait_first(processes, deadline, sock=None):
    """Wait until a process has ended or SOCK can be read; return all for which that is so, none
    after the deadline."""
    poller = select.poll()
    sources = {os.pidfd_open(process.pid): process for process in processes
               if process.returncode is None}
    try:
        for descriptor in sources:
            poller.register(descriptor, select.POLLIN)
        if sock is not None:
            poller.register(sock, select.POLLIN)
        ready = poller.poll(max(0, deadline - time.monotonic()) * 1000 if deadline else None)
        return [sources.get(descriptor, sock) for descriptor, _ in ready]
    finally:
        for descriptor in sources:
            os.close(descriptor)


def ask_monitor(stream, command, arguments=None):
    """Send COMMAND to the emulator; return its answer. KeyError for an error, ValueError when the
    emulator has ended."""
    print(json.dumps({"execute": command, "arguments": arguments or {}}), file=stream, flush=True)
    while "event" in (reply := json.loads(stream.readline())):
        pass
    return reply["return"]


def require_artifact(path, command="make host"):
    if not path.exists():
        raise HostError(STATUS_UNUSABLE, f"{path.relative_to(TOP)} is missing; run '{command}'")
    return path


def find_input(path, variable, what, default, command="make host"):
    """PATH, the file that an environment VARIABLE names, or DEFAULT, which COMMAND makes."""
    path = path or os.environ.get(variable)
    if not path:
        return require_artifact(default, command)
    if not os.path.exists(path):
        raise HostError(STATUS_UNUSABLE, f"{what} is '{path}' ({variable}), which does not exist")
    return Path(path)


def escape(path):
    """PATH as a value in the emulator's options."""
    return str(path).replace(",", ",,")


def name_files(paths):
    """{name in /root: absolute path} of PATHS; the name is the last part of the path."""
    names = {}
    for path in map(os.path.abspath, paths):
        name = os.path.basename(path)
        if not os.path.exists(path):
            raise HostError(STATUS_UNUSABLE, f"{path}, which is to be copied, does not exist")
        if names.setdefault(name, path) != path:
            raise HostError(STATUS_UNUSABLE,
                            f"{path} and {names[name]} would both be /root/{name}; rename one")
    return names


def pack_files(paths):
    """A nameless file with a tar archive of PATHS, in which root owns all."""
    argv = ["tar", "-c", "--dereference", "--sparse", "--owner=0", "--group=0", "--numeric-owner"]
    for name, path in name_files(paths).items():
        argv += ["-C", os.path.dirname(path), f"./{name}"]
    archive = tempfile.TemporaryFile()
    # tar refuses to make an empty archive; two blocks of zeros are one
    if not paths:
        archive.write(bytes(1024))
        archive.flush()
    elif subprocess.run(argv, stdout=archive).returncode:
        archive.close()
        raise HostError(STATUS_UNUSABLE, "not all files can be copied; see tar's message above")
    return archive


class Connection:
    """How to reach root on a host by ssh."""

    def __init__(self, address, port, keys):
        self.address, self.port, self.keys = address, port, keys

    def command(self, *options):
        # The ssh settings of the machine and of the user are ignored.
        settings = {
            "BatchMode": "yes",
            # the cheapest for an emulated CPU
            "Ciphers": "aes128-gcm@openssh.com",
            "ConnectTimeout": math.ceil(scale_timeout(CONNECT_TIMEOUT)),
            "GlobalKnownHostsFile": "/dev/null",
            "HostKeyAlias": "vpmu-host",
            "IdentitiesOnly": "yes",
            "LogLevel": "ERROR",
            "StrictHostKeyChecking": "yes",
            "UserKnownHostsFile": self.keys / "known_hosts",
        }
        argv = ["ssh", "-F", "/dev/null", "-i", self.keys / "login", "-p", self.port, "-e", "none"]
        for name, value in settings.items():
            argv += ["-o", f"{name}={value}"]
        return [*argv, *options, f"root@{self.address}", "--"]


class Machine:
    """A QEMU process that emulates an arm64 host, and leaves nothing on the disk but its log. Use
    it as a context manager.

    IMAGE is a kernel in place of the one named KERNEL. LOG is a file for the console; by default it
    is a new one, whose name has WORDS. """

    tools = ("fdtget", "setpriv")

    def __init__(self, kernel, topology, append=(), image=None, words=(), log=None):
        self.append = append
        for tool in self.tools:
            if not shutil.which(tool):
                raise HostError(STATUS_UNUSABLE, f"{tool} not found; run 'make deps' as root")
        self.image = find_input(image, "VPMU_IMAGE", "the kernel to boot",
                                ARTIFACTS / f"Image-{kernel}", f"testbed/build-kernel {kernel}")
        self.tree = find_input(None, "VPMU_TREE", "the device tree to boot with",
                               ARTIFACTS / f"{topology}.dtb")
        self.emulator = require_artifact(ARTIFACTS / "emulator" / "qemu-system-aarch64")
        LOGS.mkdir(parents=True, exist_ok=True)
        name = "-".join(["host", kernel, topology, *words, time.strftime("%H%M%S"),
                         str(os.getpid())])
        self.log = Path(log) if log else LOGS / f"{name}.log"
        self.process = None

    def count_cpus(self):
        # Only the device tree has this number.
        nodes = subprocess.run(["fdtget", "-l", self.tree, "/cpus"], stdout=subprocess.PIPE,
                               text=True).stdout
        count = sum(node.startswith("cpu@") for node in nodes.split())
        if not count:
            raise HostError(STATUS_UNUSABLE, f"{self.tree} names no CPUs; run 'make host'")
        return count

    def base_command(self, *kernel_words):
        """The start of the command line of all hosts: machine, CPUs, memory, kernel, console."""
        # On a panic: reset at once, which -no-reboot turns into the emulator's end. A warning of
        # the kernel is a failure, too.
        kernel_line = ["console=ttyAMA0", "earlycon", *kernel_words,
                       "panic=-1", "panic_on_warn=1", *self.limit_hangs(), *self.append]
        # QEMU starts three times as fast without LPA2: it first creates VMs with the largest
        # address space, which is 52 bits with LPA2, and the kernel walks through it as they end.
        return [self.emulator, "-nodefaults", "-display", "none", "-no-reboot", "-no-user-config",
                "-machine", "virt,virtualization=on,gic-version=3", "-cpu", "max,lpa2=off",
                "-smp", self.count_cpus(), "-m", "2G", "-kernel", self.image, "-dtb", self.tree,
                "-append", " ".join(kernel_line),
                "-chardev", f"file,id=console,path={escape(self.log)},append=on",
                "-serial", "chardev:console"]

    def limit_hangs(self):
        """Words of the kernel's command line: the limits of STALL and HANGS, scaled. A kernel
        without the detector of one of HANGS would say so at each boot, so defaults are left out."""
        factor = self.clock_factor()
        limits = [STALL] if factor == 1 else [STALL, *HANGS]
        return [f"{name}={min(most, math.ceil(seconds * factor))}"
                for name, seconds, most in limits]

    def clock_factor(self):
        """By what limits of the host's own clock are multiplied."""
        return scale_timeout(1)

    def spawn(self, argv, descriptors, log):
        """Start the emulator by ARGV, which becomes the first line of LOG, the open log. It
        inherits DESCRIPTORS."""
        print("+", shlex.join(map(str, argv)), file=log, flush=True)
        # A session of its own: Ctrl-C is ours to handle.
        self.process = start_child(argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                   start_new_session=True, pass_fds=descriptors)

    def check_report(self, line):
        """Fail unless LINE, the host's first, says that the host has all that its device tree
        names."""
        report = line.decode(errors="replace").strip()
        if report != "ready":
            self.fail(STATUS_BOOT, f"the host lacks: {report.removeprefix('lacks: ')}")

    def find_trouble(self):
        """The console's lines, and those of them that report a bug of the kernel."""
        # the first line is the emulator's command line
        lines = self.log.read_text(errors="replace").splitlines()
        return lines, [line for line in lines[1:] if TROUBLE.search(line)]

    def fail(self, status, message):
        """Raise HostError with what the console says about it."""
        self.stop()
        lines, trouble = self.find_trouble()
        # the first trouble is the cause; the panic itself may only follow from a warning
        reason = trouble[0] if trouble else lines[-1] if len(lines) > 1 else "no output"
        raise HostError(status, f"{message}\n  last words: {reason.strip()}\n  console log: "
                                f"{self.log}")

    def stop(self):
        """End the host at once; its disk is thrown away, so there is nothing to write back."""
        if self.process is not None:
            stop_child(self.process)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()


class EmulatedHost(Machine):
    """An emulated host that is reached by SSH.

    It boots from rootfs.img and throws its changes away, or from SYSTEM, a raw disk that it writes
    to. DISKS are more disks that it writes to. INITRD is the initial RAM disk, if IMAGE needs one.
    """

    tools = (*Machine.tools, "ssh", "tar")

    def __init__(self, kernel, topology, icount=False, append=(), files=(), system=None, disks=(),
                 image=None, initrd=None, log=None):
        super().__init__(kernel, topology, append, image, ["icount"] if icount else [], log)
        self.icount = icount
        self.files = files
        self.disks = disks
        self.initrd = initrd
        self.system = Path(system) if system else require_artifact(ARTIFACTS / "rootfs.img")
        self.init = "/sbin/init" if system else "/usr/sbin/vpmu-init"
        self.snapshot = "off" if system else "on"
        self.keys = require_artifact(ARTIFACTS / "ssh")
        self.connection = None

    def command(self, ready_fd, monitor_fd, archive_fd):
        argv = self.base_command("root=/dev/vda", "rw", f"init={self.init}")
        if self.initrd:
            argv += ["-initrd", self.initrd]
        if self.icount:
            argv += ["-icount", "shift=0,sleep=off"]
        # the second serial port, which the device tree names, is for the host of exact.py
        argv += ["-serial", "null",
                 "-chardev", f"socket,id=monitor,fd={monitor_fd}",
                 "-mon", "chardev=monitor,mode=control",
                 "-chardev", f"socket,id=ready,fd={ready_fd}", "-device", "virtio-serial-device",
                 "-device", "virtserialport,chardev=ready,name=ready",
                 "-drive", f"if=none,id=disk,format=raw,snapshot={self.snapshot},"
                           f"file={escape(self.system)}",
                 "-device", "virtio-blk-device,drive=disk",
                 "-drive",
                 f"if=none,id=files,format=raw,read-only=on,file=/proc/self/fd/{archive_fd}",
                 "-device", "virtio-blk-device,drive=files",
                 # the host reaches nothing; port 0: the kernel picks a free one, so that parallel
                 # runs cannot collide
                 "-netdev", "user,id=net,restrict=on,hostfwd=tcp:127.0.0.1:0-10.0.2.15:22",
                 "-device", "virtio-net-device,netdev=net",
                 "-device", "virtio-rng-device"]
        for number, disk in enumerate(self.disks):
            argv += ["-drive", f"if=none,id=disk{number},format=raw,file={escape(disk)}",
                     "-device", f"virtio-blk-device,drive=disk{number}"]
        return argv

    def start(self, timeout=None):
        """Boot; return the Connection when sshd answers and the host has KVM and all its PMUs."""
        seconds = scale_timeout(timeout or BOOT_TIMEOUT[self.icount])
        deadline = time.monotonic() + seconds
        ready, ready_child = socket.socketpair()
        monitor, monitor_child = socket.socketpair()
        with pack_files(self.files) as archive, self.log.open("a") as log:
            children = [ready_child.fileno(), monitor_child.fileno(), archive.fileno()]
            self.spawn(self.command(*children), children, log)
        ready_child.close()
        monitor_child.close()
        with ready, monitor:
            if not self.wait_ready(ready, deadline):
                self.fail(STATUS_BOOT,
                          f"the host did not boot within its deadline of {seconds:g} s")
            self.connection = Connection("127.0.0.1", self.find_port(monitor), self.keys)
        return self.connection

    def wait_ready(self, ready, deadline):
        """Whether the host says that it is ready before the deadline."""
        line = b""
        while not line.endswith(b"\n"):
            events = wait_first([self.process], deadline, ready)
            if not events:
                return False
            data = ready.recv(4096) if ready in events else b""
            if not data:
                self.fail(STATUS_BOOT, "the host stopped while booting")
            line += data
        self.check_report(line)
        return True

    def find_port(self, monitor):
        """The port that the kernel picked, from the emulator's table of connections."""
        monitor.settimeout(scale_timeout(MONITOR_TIMEOUT))
        try:
            with monitor.makefile("rw") as stream:
                stream.readline()
                ask_monitor(stream, "qmp_capabilities")
                table = ask_monitor(stream, "human-monitor-command",
                                    {"command-line": "info usernet"})
            return next(row.split()[3] for row in table.splitlines() if "HOST_FORWARD" in row)
        except (OSError, ValueError, KeyError, StopIteration) as error:
            self.fail(STATUS_BOOT,
                      f"the emulator does not say on which port the host is ({error!r})")

    def run(self, argv, deadline, what, **kwargs):
        """Run ARGV, a command of this machine that uses the host; return its exit status. HostError
        when the host or the deadline ends first."""
        process = start_child(argv, **kwargs)
        try:
            events = wait_first([process, self.process], deadline)
            if not events:
                self.fail(STATUS_TIMEOUT, f"{what} did not end within its deadline")
            if process in events and process.wait() != 255:
                if self.find_trouble()[1]:
                    self.fail(STATUS_DIED,
                              f"the kernel reported a bug; {what} ended with status "
                              f"{process.returncode}")
                return process.returncode
            # ssh ends with 255 when it has lost the connection: the emulator may be about to end
            grace = time.monotonic() + scale_timeout(GRACE)
            if self.process in events or wait_first([self.process], grace):
                self.fail(STATUS_DIED, f"the host stopped while {what} ran")
            return 255
        finally:
            stop_child(process, patience=scale_timeout(GRACE))

    def judge_console(self, ended):
        """Wait for LAST_LINE on the console; HostError when the kernel has reported a bug before
        it. ENDED is the part of the message that says what has ended."""
        deadline = time.monotonic() + scale_timeout(CONSOLE_TIMEOUT)
        while LAST_LINE not in self.log.read_text(errors="replace"):
            if wait_first([self.process], time.monotonic() + 0.05):
                self.fail(STATUS_DIED, f"the host stopped; {ended}")
            if time.monotonic() > deadline:
                self.fail(STATUS_DIED,
                          f"the console does not print all that the kernel says; {ended}")
        if self.find_trouble()[1]:
            self.fail(STATUS_DIED, f"the kernel reported a bug; {ended}")

    def end_test(self):
        """Have LAST_LINE printed, then judge the console: for users that run many commands."""
        deadline = time.monotonic() + scale_timeout(CONSOLE_TIMEOUT)
        if self.run([*self.connection.command("-T"), SAY_LAST_LINE], deadline, "the last look",
                    stdin=subprocess.DEVNULL):
            self.fail(STATUS_DIED, "the connection to the host was lost")
        self.judge_console("the test has ended")


def handle_signals():
    """Make the signals that end a program raise SystemExit, so that context managers clean up."""
    def unwind(number, _frame):
        # further signals must not disturb the cleanup
        for other in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(other, signal.SIG_IGN)
        raise SystemExit(128 + number)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, unwind)
    # leave it ignored under nohup(1) and the like
    if signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:
        signal.signal(signal.SIGHUP, unwind)
