# SPDX-License-Identifier: GPL-2.0-or-later
"""The exact host: one program on an emulated host that does the same in each run, to the
instruction.

Other hosts differ from run to run because of input from outside and the time when it arrives: disk,
network, random numbers. This host has no such input. All files are in its initramfs,
testbed/exact-init.c is its PID 1, the emulator's random numbers have a seed, its clock is an
instruction count. The emulator's two threads, the CPUs' and the main loop, take turns, so that it
does not matter which of them the build machine runs first (testbed/exact-turns.c). The host keeps
the program's output in memory, and sends it through a second serial port when the program has
ended.
"""
import os
import socket
import stat
import tempfile
import time
from pathlib import Path

from host import (ARTIFACTS, BOOT_TIMEOUT, GRACE, STATUS_BOOT, STATUS_DIED, STATUS_TIMEOUT,
                  STATUS_UNUSABLE, HostError, Machine, name_files, require_artifact, scale_timeout,
                  wait_first)

# The archive has contents and modes of the build machine's files, but no owners, times and inodes.
FOLDER_MODE = stat.S_IFDIR | 0o755
# Bytes. The archive's header has room for 4 GiB; the host's memory is less.
FILE_LIMIT = 1 << 30

# Deadlines count the emulator's CPU time, so that none passes because the machine is busy. By the
# clock a run may take this many times as long, to end an emulator that hangs without using the CPU.
PATIENCE = 10
CLOCK_TICKS = os.sysconf("SC_CLK_TCK")


class Archive:
    """An initramfs: a cpio archive in the format newc, of Linux'
    Documentation/driver-api/early-userspace/buffer-format.rst."""

    def __init__(self):
        self.file = tempfile.TemporaryFile()
        self.entries = 0

    def pad(self):
        self.file.write(bytes(-self.file.tell() % 4))

    def add(self, name, mode, content=b""):
        self.entries += 1
        encoded = os.fsencode(name) + b"\0"
        # inode, mode, user, group, links, time, length, four device numbers, length of the name,
        # check sum
        fields = (self.entries, mode, 0, 0, 1, 0, len(content), 0, 0, 0, 0, len(encoded), 0)
        self.file.write(b"070701" + b"".join(b"%08x" % field for field in fields) + encoded)
        self.pad()
        self.file.write(content)
        self.pad()

    def add_path(self, path, name):
        """Add the file or folder PATH as NAME; links are followed."""
        details = os.stat(path)
        if stat.S_ISDIR(details.st_mode):
            self.add(name, details.st_mode)
            for entry in sorted(os.listdir(path)):
                self.add_path(os.path.join(path, entry), f"{name}/{entry}")
        elif not stat.S_ISREG(details.st_mode) or details.st_size >= FILE_LIMIT:
            raise HostError(STATUS_UNUSABLE,
                            f"{path} cannot be copied: give files below 1 GiB, and folders of "
                            "such")
        else:
            with open(path, "rb") as source:
                self.add(name, details.st_mode, source.read())

    def close(self):
        self.add("TRAILER!!!", 0)
        self.file.flush()


def pack_initramfs(files, command):
    """A nameless file with the initramfs: init, FILES in /root, words of COMMAND in /command."""
    names = name_files(files)
    archive = Archive()
    try:
        archive.add_path(require_artifact(ARTIFACTS / "exact-init"), "init")
        archive.add("command", stat.S_IFREG | 0o444,
                    b"".join(os.fsencode(word) + b"\0" for word in command))
        archive.add("root", FOLDER_MODE)
        for name, path in names.items():
            archive.add_path(path, f"root/{name}")
    except OSError as error:
        raise HostError(STATUS_UNUSABLE, f"not all files can be copied: {error}") from error
    archive.close()
    return archive.file


class ExactHost(Machine):
    """A host that runs one command, without input, and ends."""

    def __init__(self, kernel, topology, append=(), files=(), log=None):
        super().__init__(kernel, topology, append, words=["exact"], log=log)
        self.files = files

    def clock_factor(self):
        # its clock counts instructions, and runs must print the same bytes on all machines
        return 1

    def command(self, initramfs_fd, result_fd):
        # tests/exact.t adds a library of its own
        preload = [str(require_artifact(ARTIFACTS / "exact-turns.so")),
                   *filter(None, [os.environ.get("EMULATOR_PRELOAD")])]
        return ["env", f"EMULATOR_PRELOAD={':'.join(preload)}", *self.base_command("rdinit=/init"),
                "-initrd", f"/proc/self/fd/{initramfs_fd}",
                "-icount", "shift=0,sleep=off", "-seed", "1", "-rtc", "base=2025-01-01,clock=vm",
                "-chardev", f"socket,id=result,fd={result_fd}", "-serial", "chardev:result"]

    def run(self, command, timeout, boot_timeout=None):
        """Run COMMAND; return its exit status, stdout and stderr. HostError when the host or the
        deadline ends first."""
        seconds = scale_timeout(boot_timeout or BOOT_TIMEOUT[True])
        source, child = socket.socketpair()
        with pack_initramfs(self.files, command) as initramfs, self.log.open("a") as log:
            children = [initramfs.fileno(), child.fileno()]
            self.spawn(self.command(*children), children, log)
        child.close()
        with source:
            data = bytearray()
            if not self.receive(source, data, seconds, stop=b"\n"):
                self.fail(STATUS_BOOT,
                          f"the host did not boot within its deadline of {seconds:g} s")
            if b"\n" not in data:
                self.fail(STATUS_BOOT, "the host stopped while booting")
            report, _, result = data.partition(b"\n")
            self.check_report(report)
            if not self.receive(source, result, scale_timeout(timeout)):
                self.fail(STATUS_TIMEOUT, f"'{command[0]}' did not end within its deadline")
        # Only when the emulator has ended are the console's last lines in the log.
        wait_first([self.process], time.monotonic() + scale_timeout(GRACE))
        return self.parse(result, command[0])

    def cpu_time(self):
        """Seconds that the emulator has used."""
        # The name before the last bracket may hold anything; fields 14 and 15: user and system time
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / CLOCK_TICKS

    def receive(self, source, data, seconds, stop=None):
        """Add what the host sends, up to STOP or its end, to DATA; return whether SECONDS were
        enough."""
        cpu_end, end = self.cpu_time() + seconds, time.monotonic() + seconds * PATIENCE
        while not stop or stop not in data:
            while not wait_first([], min(time.monotonic() + 1, end), source):
                if self.cpu_time() > cpu_end or time.monotonic() > end:
                    return False
            received = source.recv(1 << 16)
            if not received:
                break
            data += received
        return True

    def parse(self, result, name):
        """Split what testbed/exact-init.c sends: a line of status and lengths, then both
        streams."""
        line, _, streams = bytes(result).partition(b"\n")
        try:
            status, out, err = map(int, line.split())
        except ValueError:
            self.fail(STATUS_DIED, f"the host stopped while '{name}' ran")
        if len(streams) != out + err:
            self.fail(STATUS_DIED, f"the host stopped while it passed on what '{name}' printed")
        return status, streams[:out], streams[out:]

    def check_console(self, name, status):
        """Fail if the kernel reported a bug."""
        if self.find_trouble()[1]:
            self.fail(STATUS_DIED,
                      f"the kernel reported a bug; '{name}' ended with status {status}")
