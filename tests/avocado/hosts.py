# SPDX-License-Identifier: GPL-2.0-or-later
"""The arm64 host that a test runs on: an emulated host of its own, or a real board (`-p
host=user@board`). Tests reach both by ssh.

A test derives from HostTest and says what it needs of the host:

    with self.host(pmus=2, mode=True) as host:
        print(host.run("uname", "-r"))

An emulated host is chosen to fit, unless parameters choose another. If the host lacks something,
the test is cancelled.
"""
import contextlib
import functools
import math
import shlex
import subprocess
import tempfile
import time
from pathlib import Path

import avocado
import host as testbed
from in_host import parse_cpu_list

TOP = testbed.TOP
ARTIFACTS = testbed.ARTIFACTS
ATTRIBUTE = "KVM_ARM_VCPU_PMU_V3_FIXED_COUNTERS_ONLY"
# Deadlines in seconds, before VPMU_TIMEOUT_FACTOR: of a wait or a command on the host, which takes
# a twentieth of it on an idle machine; and of a test, which consists of a few of these. Deadlines
# only end hangs: no test is judged by the time it takes.
WAIT, TEST_TIMEOUT = 300, 1200
# Runs on the host while the test uses it. Its stdin ends however the test ends; then it kills the
# processes that run in its folder, and removes the folder.
KEEPER = """
folder=$(mktemp -d /var/tmp/vpmu.XXXXXX) && chmod 711 "$folder" && echo "$folder" || exit
cat >/dev/null
for process in /proc/[0-9]*; do
    [ "$process/cwd" -ef "$folder" ] && kill -9 "${process#/proc/}"
done
rm -rf "$folder"
"""
# Prints whether KVM has ATTRIBUTE. It sets the attribute on a VM of its own, and reads PMCR_EL0.N,
# which must be 0 then: another series uses the same number for its attribute. The ioctls and their
# structures are those of Linux' include/uapi/linux/kvm.h.
PROBE = """
import ctypes, fcntl, os, struct
kvm = os.open("/dev/kvm", os.O_RDWR)
vm = fcntl.ioctl(kvm, 0xae01, 0)
vcpu = fcntl.ioctl(vm, 0xae41, 0)
target, features = struct.unpack_from("II", fcntl.ioctl(vm, 0x8020aeaf, bytes(32)))
fcntl.ioctl(vcpu, 0x4020aeae, struct.pack("II24x", target, features | 1 << 3))
attribute = struct.pack("IIQQ", 0, 0, 5, 0)
value = ctypes.c_uint64()
try:
    fcntl.ioctl(vcpu, 0x4018aee3, attribute)
    fcntl.ioctl(vcpu, 0x4018aee1, attribute)
    fcntl.ioctl(vcpu, 0x4010aeab, struct.pack("QQ", 0x603000000013dce0, ctypes.addressof(value)))
    print("yes" if value.value >> 11 & 31 == 0 else "no")
except OSError:
    print("no")
"""
FACTS = """
uname -m; uname -r; cat /sys/devices/system/cpu/online; [ -c /dev/kvm ] && echo kvm || echo none
for file in /sys/bus/event_source/devices/*/cpus; do
    [ ! -e "$file" ] || echo "$(basename "$(dirname "$file")") $(cat "$file")"
done
"""


def scaled(seconds):
    """The deadline in seconds, longer on slow machines (VPMU_TIMEOUT_FACTOR)."""
    return testbed.scale_timeout(seconds)


class HostFailed(AssertionError):
    """The host's kernel found a bug, or the host is gone."""


class CommandFailed(AssertionError):
    """A command on the host ended with a status other than 0."""


class Host:
    """A host as tests use it. Commands run as root in self.folder, which has the test's files."""

    def __init__(self, logs, files):
        self.logs, self.files = Path(logs), files
        self.folder = None
        self._stack = contextlib.ExitStack()
        self._local = None
        self._sockets = 0

    def __enter__(self):
        with self._stack:
            self._local = self._stack.enter_context(tempfile.TemporaryDirectory(prefix="vpmu-"))
            self._boot()
            self._start_keeper()
            self._put_files()
            self._look()
            self._stack = self._stack.pop_all()
        return self

    def __exit__(self, kind, *_):
        with self._stack:
            try:
                self._save_log()
            except (AssertionError, OSError, testbed.HostError):
                # report the first error, not this one
                if kind is None:
                    raise

    # differs between emulated hosts and boards

    def _boot(self):
        raise NotImplementedError

    def _put_files(self):
        raise NotImplementedError

    def _ssh(self, *options):
        """The start of an ssh command line; the caller appends a line of shell."""
        raise NotImplementedError

    def _wait(self, argv, deadline, what, **kwargs):
        """Runs a command on this machine that uses the host; returns its exit status."""
        raise NotImplementedError

    def _save_log(self):
        """Saves the host's kernel log; fails if it has warnings since the start."""
        raise NotImplementedError

    # ssh

    def _connect(self, *options):
        """_ssh() over the keeper's connection: a new one takes an emulated CPU half a second."""
        return self._ssh("-T", "-o", f"ControlPath={self._local}/ssh", *options)

    def _start_keeper(self):
        keeper = testbed.start_child([*self._connect("-o", "ControlMaster=yes"),
                                      self._line(["sh", "-c", KEEPER], None)],
                                     stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                     stderr=subprocess.PIPE, text=True)
        self._stack.callback(self._end_keeper, keeper)
        self.folder = keeper.stdout.readline().strip()
        if not self.folder:
            raise testbed.HostError(testbed.STATUS_DIED,
                                    f"no way in by ssh: {keeper.stderr.read().strip()}")

    @staticmethod
    def _end_keeper(keeper):
        keeper.stdin.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            keeper.wait(scaled(5))
        testbed.stop_child(keeper)
        keeper.stdout.close()
        keeper.stderr.close()

    def _line(self, argv, folder):
        """The line of shell that runs a command in a folder of the host."""
        command = shlex.join(map(str, argv))
        return f"cd {shlex.quote(folder)} && exec {command}" if folder else command

    # what tests use

    def status(self, *argv, timeout=WAIT, stdin=None):
        """Runs a command; returns its exit status, stdout and stderr."""
        with (tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err,
              tempfile.TemporaryFile() as source):
            source.write((stdin or "").encode())
            source.seek(0)
            status = self._wait([*self._connect(), self._line(argv, self.folder)],
                                time.monotonic() + scaled(timeout),
                                f"'{shlex.join(map(str, argv))}'", stdin=source, stdout=out,
                                stderr=err)
            texts = []
            for file in (out, err):
                file.seek(0)
                texts.append(file.read().decode(errors="replace"))
        return status, *texts

    def run(self, *argv, timeout=WAIT, stdin=None):
        """Runs a command, which must succeed; returns what it printed."""
        status, out, err = self.status(*argv, timeout=timeout, stdin=stdin)
        if status:
            raise CommandFailed(f"{shlex.join(map(str, argv))}: expected exit status 0, got "
                                f"{status}; {(err or out).strip()}")
        return out

    def start(self, name, *argv):
        """Starts a command that runs beside the test, and ends when the host is no longer in use.
        Its stdout and stderr are NAME.out and NAME.err in the test's logs. Returns the process of
        ssh, whose stdin is the command's."""
        with (open(self.logs / f"{name}.out", "ab") as out,
              open(self.logs / f"{name}.err", "ab") as err):
            process = testbed.start_child([*self._connect(), self._line(argv, self.folder)],
                                          stdin=subprocess.PIPE, stdout=out, stderr=err)
        self._stack.callback(process.stdin.close)
        self._stack.callback(testbed.stop_child, process)
        return process

    def forward(self, target):
        """Path of a socket on this machine that leads to TARGET on the host: the path of a socket
        or "127.0.0.1:PORT"."""
        self._sockets += 1
        local = f"{self._local}/{self._sockets}"
        subprocess.run([*self._connect("-O", "forward", "-L", f"{local}:{target}")], check=True,
                       capture_output=True)
        return local

    def fetch(self, name):
        """Copies a file of the host's folder to the test's logs."""
        with open(self.logs / name, "wb") as file:
            subprocess.run([*self._connect(), self._line(["cat", name], self.folder)],
                           stdin=subprocess.DEVNULL, stdout=file, timeout=scaled(WAIT), check=True)

    def offer(self, local, path):
        """Makes the socket LOCAL of this machine available as PATH on the host."""
        subprocess.run([*self._connect("-O", "forward", "-R", f"{path}:{local}")], check=True,
                       capture_output=True)

    def has_program(self, name):
        """Whether the program is in PATH on the host."""
        return self.status("sh", "-c", f"command -v {shlex.quote(name)}")[0] == 0

    @functools.cached_property
    def fixed_counters(self):
        """Whether the host's KVM has the mode."""
        return self.run("python3", "-IS", "-c", PROBE).strip() == "yes"

    def _look(self):
        """Reads what nearly every test needs, by one command."""
        self.arch, self.release, online, kvm, *pmus = self.run("sh", "-c", FACTS).splitlines()
        self.cpus = parse_cpu_list(online)
        self.has_kvm = kvm == "kvm"
        # names and CPUs, by CPU
        self.pmus = dict(sorted(((name, parse_cpu_list(cpus))
                                 for name, cpus in map(str.split, pmus)), key=lambda pmu: pmu[1]))

    @property
    def clusters(self):
        """Sets of CPUs to move between: one for each PMU; with one PMU, two halves."""
        if len(self.pmus) > 1:
            return list(self.pmus.values())
        middle = len(self.cpus) // 2
        return [self.cpus[:middle], self.cpus[middle:]]

    def __str__(self):
        pmus = ", ".join(f"{name} on {len(cpus)} CPUs" for name, cpus in self.pmus.items())
        return f"Linux {self.release} with {pmus or 'no PMU'}"


class EmulatedHost(Host):
    """An emulated host, booted for one test. Its kernel panics where others warn."""

    def __init__(self, logs, files, kernel, topology, icount):
        super().__init__(logs, files)
        self._machine = testbed.EmulatedHost(kernel, topology, icount, files=files)
        self._machine.log = self.logs / "host-console.log"

    def _boot(self):
        self._stack.enter_context(self._machine).start()

    def _ssh(self, *options):
        return self._machine.connection.command(*options)

    def _put_files(self):
        # the files came with the disk; on a board they are in the folder, too
        self.run("sh", "-c", 'for file in /root/* ; do ln -s "$file" . ; done')

    def _wait(self, argv, deadline, what, **kwargs):
        try:
            return self._machine.run(argv, deadline, what, **kwargs)
        except testbed.HostError as error:
            raise HostFailed(str(error)) from error

    def _save_log(self):
        try:
            self._machine.end_test()
        except testbed.HostError as error:
            raise HostFailed(str(error)) from error


class Board(Host):
    """A real host. The user's ssh configuration says how to reach it; a user other than root needs
    sudo without a password there."""

    def __init__(self, logs, files, address):
        super().__init__(logs, files)
        self._address = address
        self._sudo = []
        self._log_before = []

    def _boot(self):
        result = subprocess.run([*self._ssh("-T"), "id -u"], stdin=subprocess.DEVNULL,
                                capture_output=True, text=True, check=False)
        if result.returncode:
            raise testbed.HostError(testbed.STATUS_BOOT,
                                    f"ssh {self._address}: {result.stderr.strip()}")
        if result.stdout.strip() != "0":
            self._sudo = ["sudo", "-n"]

    def _ssh(self, *options):
        return ["ssh", "-o", "BatchMode=yes", "-o", f"ConnectTimeout={math.ceil(scaled(WAIT))}",
                *options, self._address, "--"]

    def _line(self, argv, folder):
        if not folder:
            return shlex.join([*self._sudo, *map(str, argv)])
        return shlex.join([*self._sudo, "sh", "-c", 'cd "$0" && exec "$@"', folder,
                           *map(str, argv)])

    def _put_files(self):
        there = [path for path in self.files if self.status("test", "-e", path)[0] == 0]
        for path in there:
            self.run("ln", "-s", path, ".")
        with testbed.pack_files([path for path in self.files if path not in there]) as archive:
            archive.seek(0)
            unpack = self._line(["tar", "-x", "--no-same-owner"], self.folder)
            subprocess.run([*self._connect(), unpack], stdin=archive, check=True)
        self._log_before = self._read_log()

    def _wait(self, argv, deadline, what, **kwargs):
        try:
            with testbed.start_child(argv, **kwargs) as process:
                try:
                    return process.wait(max(0, deadline - time.monotonic()))
                finally:
                    testbed.stop_child(process)
        except subprocess.TimeoutExpired as error:
            raise HostFailed(f"{what} did not end within its deadline") from error

    def _read_log(self):
        return self.run("dmesg").splitlines()

    def _save_log(self):
        log = self._read_log()
        # a full ring buffer loses its oldest lines
        if self._log_before and self._log_before[-1] in log:
            log = log[log.index(self._log_before[-1]) + 1:]
        (self.logs / "host-dmesg.log").write_text("".join(f"{line}\n" for line in log))
        if trouble := [line for line in log if testbed.TROUBLE.search(line)]:
            raise HostFailed(f"the host's kernel reported a bug: {trouble[0]}")


class HostTest(avocado.Test):
    """A test that needs a host. Parameters: host, kernel, topology, qemu; see docs/avocado.md."""

    timeout = scaled(TEST_TIMEOUT)

    @contextlib.contextmanager
    def host(self, pmus=1, mode=None, files=(), icount=False, kernel=None):
        """Context manager: a host with at least PMUS PMUs. MODE: its KVM has the fixed-counters
        mode (True), lacks it (False), or either (None). KERNEL: the default for an emulated host.
        FILES and QEMU go into its folder: as copies, or as links if a board has a file of that
        path. Cancels the test if the host lacks something."""
        with self._make_host(pmus, mode, [self.qemu, *files], icount, kernel) as host:
            self.log.info("host: %s", host)
            if host.arch != "aarch64" or not host.has_kvm:
                self.cancel(f"needs an arm64 host with /dev/kvm, and {host} is {host.arch}")
            if len(host.pmus) < pmus:
                self.cancel(f"needs a host with at least {pmus} PMUs, and this is {host}")
            if mode is not None and host.fixed_counters != mode:
                self.cancel(f"needs a KVM {'with' if mode else 'without'} {ATTRIBUTE}, and this is "
                            f"{host}")
            yield host

    def need_emulated(self, host, why):
        """Cancels the test on a board."""
        if not isinstance(host, EmulatedHost):
            self.cancel(f"{why}: on emulated hosts only")

    @property
    def qemu(self):
        """Path of the QEMU under test, on this machine or on a board."""
        return Path(self.params.get("qemu", default=ARTIFACTS / "qemu-system-aarch64"))

    def _make_host(self, pmus, mode, files, icount, kernel):
        address = self.params.get("host", default="")
        if address:
            return Board(self.logdir, files, address)
        kernel = self.params.get("kernel",
                                 default=kernel or ("stock" if mode is False else "patched"))
        topology = self.params.get("topology", default=None) or find_topology(pmus)
        return EmulatedHost(self.logdir, files, kernel, topology, icount)


def find_topology(pmus):
    """Name of the topology with this number of PMUs; those named unlike-* do not count."""
    for name in testbed.TOPOLOGIES:
        if name.startswith("unlike-"):
            continue
        command = ["fdtget", "-l", ARTIFACTS / f"{name}.dtb", "/"]
        nodes = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout
        if sum(node.startswith("pmu") for node in nodes.split()) == pmus:
            return name
    raise LookupError(f"no emulated host has {pmus} PMUs; see testbed/*.dts")


def poll(what, condition, explain=lambda: "", interval=0.05, timeout=WAIT):
    """Waits until the condition is true, and returns its value; fails after TIMEOUT seconds."""
    deadline = time.monotonic() + scaled(timeout)
    while not (found := condition()):
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {scaled(timeout):g} s in vain for {what}. "
                                 f"{explain()}".rstrip())
        time.sleep(interval)
    return found


def tail(path):
    """The end of a log, for messages."""
    return path.read_text(errors="replace")[-600:] if path.exists() else ""
